//! Appends by several publishers at once, each of which waits for its answer before the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_events_dispatch::store::Ack;
use tokio::runtime::Runtime;

use crate::peers::{Counts, Kind, Peer};
use crate::place::Place;
use crate::results::{Append, Part, Series, Watch};
use crate::rounds;
use crate::row::Pool;

pub(crate) const PUBLISHERS: [usize; 3] = [1, 16, 256];

/// Rows that exist when the clock starts.
const POOL: usize = 1 << 15;

/// How long a sync takes on the disk that the goals are about.
const SYNC_MS: f64 = 2.0;

#[derive(Debug, Clone, Copy)]
struct Turn {
    warm_up: Duration,
    measured: Duration,
}

const TURN: Turn =
    Turn { warm_up: Duration::from_millis(100), measured: Duration::from_millis(400) };
const TURN_QUICK: Turn =
    Turn { warm_up: Duration::from_millis(50), measured: Duration::from_millis(150) };

/// What happened in one turn.
struct Measured {
    seconds: f64,
    events: u64,
    before: Counts,
    after: Counts,
}

pub(crate) fn measure(runtime: &Runtime, kinds: &[Kind], quick: bool) -> Part<Vec<Append>> {
    let mut watch = Watch::begin();
    let modes: Vec<(&Kind, Ack, &str)> = kinds
        .iter()
        .flat_map(|kind| kind.acks.iter().map(move |(ack, mode)| (kind, *ack, *mode)))
        .collect();
    let mut all: Vec<Append> = Vec::new();
    for (kind, ack, mode) in &modes {
        all.extend(PUBLISHERS.map(|publishers| empty(kind, *ack, mode, publishers)));
    }
    for round in 0..rounds::of(quick) {
        watch.look_at_the_disk();
        for at in rounds::order(modes.len(), round) {
            let (kind, ack, _) = modes[at];
            eprintln!("append: round {round}, {}, {}", kind.name, ack.as_str());
            let place = Place::new(kind.name);
            let peer = Arc::from((kind.open)(place.path(), ack, runtime.handle()));
            for (index, publishers) in PUBLISHERS.into_iter().enumerate() {
                let turn = if quick { TURN_QUICK } else { TURN };
                let measured = take_turn(runtime, &peer, publishers, turn);
                all[at * PUBLISHERS.len() + index].add(&measured);
            }
        }
    }
    watch.end(all)
}

fn empty(kind: &Kind, ack: Ack, mode: &str, publishers: usize) -> Append {
    Append {
        peer: kind.name.to_owned(),
        ack: ack.as_str().to_owned(),
        mode: mode.to_owned(),
        publishers,
        events_per_second: Series::default(),
        commits_per_second: Series::default(),
        sync_ms: Series::default(),
        at_500_syncs: Series::default(),
    }
}

fn take_turn(runtime: &Runtime, peer: &Arc<dyn Peer>, publishers: usize, turn: Turn) -> Measured {
    let pool = Pool::new(0, POOL);
    let (taken, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let publish = |publisher: usize| {
        let (peer, pool, taken, is_over) =
            (peer.clone(), pool.clone(), taken.clone(), is_over.clone());
        runtime.spawn(async move {
            let mut next = publisher;
            while !is_over.load(Ordering::Relaxed) {
                peer.append(pool.at(next)).await;
                next += publishers;
                taken.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let running: Vec<_> = (0..publishers).map(publish).collect();
    std::thread::sleep(turn.warm_up);
    let (before, events, began) = (peer.counts(), taken.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(turn.measured);
    let (after, seconds) = (peer.counts(), began.elapsed().as_secs_f64());
    let events = taken.load(Ordering::Relaxed) - events;
    is_over.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for one in running {
            one.await.expect("a publisher that does not panic");
        }
    });
    Measured { seconds, events, before, after }
}

impl Append {
    fn add(&mut self, measured: &Measured) {
        let Measured { seconds, events, before, after } = measured;
        let (events, commits) = (*events as f64, (after.commits - before.commits) as f64);
        self.events_per_second.0.push(events / seconds);
        self.commits_per_second.0.push(commits / seconds);
        let syncs = (after.syncs - before.syncs) as f64;
        if syncs > 0.0 {
            let synced = (after.sync_nanos - before.sync_nanos) as f64 / 1e9;
            self.sync_ms.0.push(synced / syncs * 1e3);
            let otherwise = seconds - synced + syncs * SYNC_MS / 1e3;
            self.at_500_syncs.0.push(events / otherwise);
        }
    }
}
