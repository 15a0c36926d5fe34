//! Reading a log from its beginning to its end.

use std::time::Instant;

use nexus_events_dispatch::store::Ack;
use tokio::runtime::Runtime;

use crate::peers::{Kind, Peer};
use crate::place::Place;
use crate::results::{Part, Rate, Series, Watch};
use crate::rounds;
use crate::row::Pool;

const EVENTS: u64 = 1_000_000;
const EVENTS_QUICK: u64 = 100_000;

/// Events of a commit, when a log is made.
const BATCH: usize = 4_096;

pub(crate) fn events(quick: bool) -> u64 {
    if quick { EVENTS_QUICK } else { EVENTS }
}

/// The weakest kind of answer that a peer knows.
pub(crate) fn weakest(kind: &Kind) -> Ack {
    kind.acks.iter().map(|(ack, _)| *ack).find(|ack| *ack != Ack::Memory).unwrap_or(Ack::Synced)
}

pub(crate) fn fill(peer: &dyn Peer, events: u64) {
    let mut done = 0;
    while done < events {
        let pool = Pool::new(done, BATCH.min((events - done) as usize));
        peer.commit(pool.all());
        done += pool.all().len() as u64;
    }
}

pub(crate) fn measure(runtime: &Runtime, kinds: &[Kind], quick: bool) -> Part<Vec<Rate>> {
    let mut watch = Watch::begin();
    watch.look_at_the_disk();
    let events = events(quick);
    let kinds: Vec<&Kind> = kinds.iter().filter(|kind| !kind.appends_only).collect();
    let places: Vec<Place> = kinds.iter().map(|kind| Place::new(kind.name)).collect();
    let mut all: Vec<Rate> = Vec::new();
    for (kind, place) in kinds.iter().zip(&places) {
        eprintln!("read: {} is filled", kind.name);
        let peer = (kind.open)(place.path(), weakest(kind), runtime.handle());
        fill(&*peer, events);
        let (peer, events_per_second) = (kind.name.to_owned(), Series::default());
        all.push(Rate { peer, events, events_per_second });
    }
    for round in 0..rounds::of(quick) {
        for at in rounds::order(kinds.len(), round) {
            eprintln!("read: round {round}, {}", kinds[at].name);
            let open = kinds[at].open;
            let peer = open(places[at].path(), weakest(kinds[at]), runtime.handle());
            let began = Instant::now();
            assert_eq!(peer.read(), events, "{} has all", kinds[at].name);
            let rate = events as f64 / began.elapsed().as_secs_f64();
            all[at].events_per_second.0.push(rate);
        }
    }
    watch.end(all)
}
