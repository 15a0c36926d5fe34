//! From publish to handler at a steady 10,000 events/s, one producer.

use std::time::Duration;

use crate::args::Args;
use crate::histogram::Histogram;
use crate::queued::{Peer, Run};
use crate::{peers, rounds};

pub(crate) const PER_SECOND: u32 = 10_000;
pub(crate) const HANDLERS: [usize; 2] = [1, 10];
const ROUNDS: usize = 5;

/// Nanoseconds over all handlers and rounds.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) peer: &'static str,
    pub(crate) handlers: usize,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

pub(crate) fn all(args: &Args) -> Vec<Latency> {
    let time = Duration::from_millis(if args.quick { 50 } else { 600 });
    let mut peers = peers::latency();
    peers.retain(|peer| args.wants(peer.name));
    let mut all = Vec::new();
    for handlers in HANDLERS {
        eprintln!("latency: {handlers} handlers");
        let run = |peer: &Peer| Run::start(peer, handlers, 1, true).latency(PER_SECOND, time);
        let results = rounds::interleave(&peers, ROUNDS, run);
        all.extend(peers.iter().zip(results).map(|(peer, rounds)| {
            let mut merged = Histogram::default();
            rounds.iter().for_each(|round| merged.merge(round));
            let (p50, p99) = (merged.quantile(0.5), merged.quantile(0.99));
            Latency { peer: peer.name, handlers, p50, p99, max: merged.max() }
        }));
    }
    all
}
