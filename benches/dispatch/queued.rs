//! Runs of peers whose handlers run elsewhere: publish so many events, wait until all handlers
//! have had all of them.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::histogram::Histogram;
use crate::sink::{Sink, Sinks};
use crate::source::Source;

/// How many events wait for one handler, where a peer has a bound.
pub(crate) const QUEUE: usize = 1_024;

pub(crate) type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// What a peer is set up with, inside a runtime.
pub(crate) struct Setup {
    /// One per handler.
    pub(crate) sinks: Vec<Sink>,
    pub(crate) producers: usize,
}

/// A peer with its handlers.
pub(crate) trait Queued: Send {
    /// Publishes all events of the source, waiting for room where it must.
    fn producer(&mut self, source: Source) -> Producer;
}

/// Where a peer's producer is at its best.
pub(crate) enum Producer {
    Task(Future<()>),
    Thread(Box<dyn FnOnce() + Send>),
}

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) start: fn(Setup) -> Future<Box<dyn Queued>>,
    /// Whether all of it can run on one thread.
    pub(crate) one_thread: bool,
}

/// A peer that was set up in a runtime of its own, which ends with it.
pub(crate) struct Run {
    runtime: Option<Runtime>,
    peer: Box<dyn Queued>,
    sinks: Sinks,
    producers: usize,
}

impl Run {
    /// On two workers.
    pub(crate) fn start(peer: &Peer, handlers: usize, producers: usize, latency: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self::on(runtime.expect("a runtime"), peer, handlers, producers, latency)
    }

    /// On the calling thread, so that the same happens each time.
    pub(crate) fn start_on_one_thread(peer: &Peer, handlers: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self::on(runtime.expect("a runtime"), peer, handlers, 1, false)
    }

    fn on(runtime: Runtime, peer: &Peer, handlers: usize, producers: usize, latency: bool) -> Self {
        let sinks = Sinks::new(peer.name, handlers, latency);
        let setup = Setup { sinks: sinks.handlers(), producers };
        let peer = runtime.block_on((peer.start)(setup));
        Self { runtime: Some(runtime), peer, sinks, producers }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a run that goes on")
    }

    /// The time from the first publish until the last handler is done.
    pub(crate) fn run(&mut self, events: u64) -> Duration {
        self.sinks.expect(events * self.producers as u64);
        let sources = (0..self.producers).map(|_| Source::queued(events));
        let producers: Vec<_> = sources.map(|source| self.peer.producer(source)).collect();
        let start = Instant::now();
        self.runtime().block_on(async {
            for producer in producers {
                match producer {
                    Producer::Task(task) => drop(tokio::spawn(task)),
                    Producer::Thread(thread) => drop(std::thread::spawn(thread)),
                }
            }
            self.sinks.end().await;
        });
        start.elapsed()
    }

    /// How late handlers are, with a producer on a thread of its own that mostly sleeps.
    pub(crate) fn latency(mut self, per_second: u32, time: Duration) -> Histogram {
        self.run(2_048);
        self.sinks.forget_latency();
        let source = Source::paced(per_second, time);
        self.sinks.expect(source.left());
        let producer = self.peer.producer(source);
        let runtime = self.runtime();
        std::thread::scope(|scope| {
            scope.spawn(|| match producer {
                Producer::Task(task) => runtime.block_on(task),
                Producer::Thread(thread) => thread(),
            });
            runtime.block_on(self.sinks.end());
        });
        self.sinks.latency()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Nanoseconds per published event.
pub(crate) fn measure(peer: &Peer, handlers: usize, producers: usize, target: Duration) -> f64 {
    /// So that queues fill and producers have to wait.
    const LEAST: u64 = 2 * QUEUE as u64;
    let mut run = Run::start(peer, handlers, producers, false);
    let mut events = 256;
    // Warms up, too.
    let pilot = loop {
        let time = run.run(events);
        if time * 4 >= target {
            break time;
        }
        events *= 2;
    };
    let scale = target.as_secs_f64() / pilot.as_secs_f64();
    let events = ((events as f64 * scale).ceil() as u64).max(LEAST);
    run.run(events).as_nanos() as f64 / (events * producers as u64) as f64
}
