//! Every cell several times, the peers of a cell in turn, so that what disturbs the machine for a
//! while disturbs all of them.

use std::time::Duration;

use crate::args::Args;
use crate::cell::{Cell, Group, HANDLERS, PRODUCERS, Series};
use crate::{inline, peers, queued};

const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 5;

/// A benchmark of something that does not happen is worth nothing. The queued peers see to it in
/// every run.
pub(crate) fn check() {
    check_inline(&peers::inline());
    for (peer, handlers) in peers::queued().iter().flat_map(|peer| HANDLERS.map(|n| (peer, n))) {
        queued::Run::start(peer, handlers, 2, false).run(100);
    }
}

fn check_inline(peers: &[inline::Peer]) {
    for handlers in HANDLERS {
        peers.iter().for_each(|peer| inline::check(peer, handlers));
    }
}

pub(crate) fn inline(args: &Args) -> Vec<Series> {
    let mut peers = peers::inline();
    peers.retain(|peer| args.wants(peer.name));
    check_inline(&peers);
    let target = Duration::from_millis(if args.quick { 4 } else { 50 });
    all(
        Group::Inline,
        &peers,
        args.quick,
        |peer| peer.name,
        |peer, handlers, producers| inline::measure(peer, handlers, producers, target),
    )
}

pub(crate) fn queued(args: &Args) -> Vec<Series> {
    let mut peers = peers::queued();
    peers.retain(|peer| args.wants(peer.name));
    let target = Duration::from_millis(if args.quick { 6 } else { 120 });
    all(
        Group::Queued,
        &peers,
        args.quick,
        |peer| peer.name,
        |peer, handlers, producers| queued::measure(peer, handlers, producers, target),
    )
}

fn all<P>(
    group: Group,
    peers: &[P],
    quick: bool,
    name: fn(&P) -> &'static str,
    measure: impl Fn(&P, usize, usize) -> f64,
) -> Vec<Series> {
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let mut all = Vec::new();
    for producers in PRODUCERS {
        for handlers in HANDLERS {
            eprintln!("{group:?}: {handlers} handlers, {producers} producers");
            let results = interleave(peers, rounds, |peer| measure(peer, handlers, producers));
            for (peer, rounds) in peers.iter().zip(results) {
                let peer = name(peer).to_owned();
                all.push(Series::new(Cell { group, peer, handlers, producers }, rounds));
            }
        }
    }
    all
}

/// Every second round goes backwards, so that nobody always follows the same neighbour.
pub(crate) fn interleave<P, T>(
    peers: &[P],
    rounds: usize,
    mut measure: impl FnMut(&P) -> T,
) -> Vec<Vec<T>> {
    let mut results: Vec<Vec<T>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..peers.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            results[index].push(measure(&peers[index]));
        }
    }
    results
}
