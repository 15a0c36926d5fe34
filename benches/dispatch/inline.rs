//! Runs of peers whose handlers run on the producer's own stack.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::event;
use crate::source::Source;

/// A peer with its handlers.
pub(crate) trait Inline: Send + Sync {
    /// Publishes all events of the source from this thread, which is one of so many.
    fn publish(&self, source: Source, producers: usize);
}

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Sets it up with so many handlers.
    pub(crate) start: fn(usize) -> Box<dyn Inline>,
    /// How many of the handlers run.
    pub(crate) runs: fn(usize) -> usize,
}

/// Nanoseconds that a publish takes its producer; all producers publish at the same time.
pub(crate) fn measure(peer: &Peer, handlers: usize, producers: usize, target: Duration) -> f64 {
    let peer = (peer.start)(handlers);
    let mut events = 64;
    // Warms up, too.
    let pilot = loop {
        let time = run(&*peer, events, producers);
        if time * 4 >= target {
            break time;
        }
        events *= 2;
    };
    let scale = target.as_secs_f64() / pilot.as_secs_f64();
    let events = (events as f64 * scale).ceil().max(64.0) as u64;
    run(&*peer, events, producers).as_nanos() as f64 / events as f64
}

/// The time the slowest producer took.
fn run(peer: &dyn Inline, events: u64, producers: usize) -> Duration {
    let timed = |source| {
        let start = Instant::now();
        peer.publish(source, producers);
        start.elapsed()
    };
    if producers == 1 {
        return timed(Source::inline(events));
    }
    let barrier = Barrier::new(producers);
    std::thread::scope(|scope| {
        let one = || {
            let source = Source::inline(events);
            barrier.wait();
            timed(source)
        };
        let threads: Vec<_> = (0..producers).map(|_| scope.spawn(one)).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("a producer"));
        times.max().unwrap_or_default()
    })
}

/// Publishes so many events and no more.
pub(crate) fn exactly(peer: &dyn Inline, events: u64) {
    peer.publish(Source::inline(events), 1);
}

/// Panics unless as many handlers run as should.
pub(crate) fn check(peer: &Peer, handlers: usize) {
    let started = (peer.start)(handlers);
    let ran = event::counted(|| started.publish(Source::marked(), 1));
    assert_eq!(ran, (peer.runs)(handlers) as u64, "handlers of {} that ran", peer.name);
}
