//! How many bytes a store writes for each event.

use nexus_events_dispatch::store::Ack;
use tokio::runtime::Runtime;

use crate::peers::{Kind, OURS};
use crate::place::Place;
use crate::process::Io;
use crate::results::{Part, PerEvent, Watch};
use crate::row::Pool;

/// Events of a commit.
pub(crate) const BATCHES: [usize; 3] = [1, 16, 256];

/// Events that are there before, as the first ones pay for a file that grows and trees that are
/// small; then so many are measured, up to a bound of commits.
const BEFORE: usize = 20_000;
const EVENTS: usize = 1 << 16;
const COMMITS: usize = 512;

pub(crate) fn measure(runtime: &Runtime, kinds: &[Kind], quick: bool) -> Part<Vec<PerEvent>> {
    let mut watch = Watch::begin();
    watch.look_at_the_disk();
    let mut all = Vec::new();
    for kind in kinds.iter().filter(|kind| !kind.appends_only) {
        for batch in BATCHES {
            eprintln!("written: {}, {batch}", kind.name);
            let (events, commits) =
                if quick { (EVENTS / 8, COMMITS / 8) } else { (EVENTS, COMMITS) };
            all.push(one(runtime, kind, batch, (events / batch).min(commits)));
        }
    }
    watch.end(all)
}

fn one(runtime: &Runtime, kind: &Kind, batch: usize, commits: usize) -> PerEvent {
    let place = Place::new(kind.name);
    let peer = (kind.open)(place.path(), Ack::Synced, runtime.handle());
    Pool::new(0, BEFORE).all().chunks(1_000).for_each(|rows| peer.commit(rows));
    let pool = Pool::new(BEFORE as u64, batch * commits);
    let (counted, io) = (peer.counts(), Io::of(peer.process()));
    pool.all().chunks(batch).for_each(|rows| peer.commit(rows));
    let (counted_after, io_after) = (peer.counts(), Io::of(peer.process()));
    let per_event = |bytes: u64| bytes as f64 / (batch * commits) as f64;
    let written = match kind.name {
        OURS => counted_after.bytes - counted.bytes,
        _ => io_after.written - io.written,
    };
    PerEvent {
        peer: kind.name.to_owned(),
        batch,
        written: per_event(written),
        to_disk: per_event(io_after.to_disk - io.to_disk),
    }
}
