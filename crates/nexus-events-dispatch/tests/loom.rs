//! The handshake between a pass and those who wait for its end, on memory that shows old values
//! wherever an ordering allows it. See `docs/design/0005-passes.md`; `cargo xtask models` runs it.
//!
//! Loom tries every order of steps up to a number of switches that nobody asked for, and every
//! value that a read may see.

#![cfg(nexus_loom)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::spawn;
use nexus_events_dispatch::Bus;
use nexus_events_dispatch::model::begin;
use nexus_events_model::Event;

/// Switches away from a thread that could have gone on, in one execution.
const SWITCHES_MAX: usize = 4;

fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let start = Instant::now();
    let executions = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(SWITCHES_MAX);
    builder.max_branches = 20_000;
    let counts = executions.clone();
    builder.check(move || {
        counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        begin();
        model();
    });
    let executions = executions.load(std::sync::atomic::Ordering::Relaxed);
    println!("{name}: {executions} schedules in {:.1} s", start.elapsed().as_secs_f64());
}

/// What the handler and the one who ends it tell each other with the weakest orderings there are,
/// so that only the bus's own handshake orders them.
#[derive(Default)]
struct Seen {
    inside: AtomicUsize,
    ended: AtomicBool,
    wrong: AtomicBool,
}

impl Seen {
    fn handle(&self) {
        self.inside.store(1, Ordering::Relaxed);
        if self.ended.load(Ordering::Relaxed) {
            self.wrong.store(true, Ordering::Relaxed);
        }
        self.inside.store(0, Ordering::Relaxed);
    }

    /// No call goes on, and none is going to begin.
    fn end(&self) {
        assert_eq!(self.inside.load(Ordering::Relaxed), 0, "a call goes on");
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// A bus with one inline handler, for which a publisher has a route already or not.
fn bus(seen: &Arc<Seen>) -> (Bus, nexus_events_dispatch::Subscription) {
    let bus = Bus::builder().history(0).build().unwrap();
    let handler = {
        let seen = seen.clone();
        move |_: &Event| seen.handle()
    };
    let subscription = bus.on("a", handler).unwrap();
    (bus, subscription)
}

fn event(id: usize) -> nexus_events_model::EventBuilder {
    Event::builder("a").id(id.to_string()).timestamp_text("2026-01-02T03:04:05Z")
}

#[test]
fn when_unsubscribe_returns_no_pass_is_in_the_handler() {
    explore("when_unsubscribe_returns_no_pass_is_in_the_handler", || {
        let seen = Arc::new(Seen::default());
        let (bus, subscription) = bus(&seen);
        let publisher = spawn({
            let bus = bus.clone();
            move || bus.try_publish(event(1)).map(drop).unwrap()
        });
        block_on(subscription.unsubscribe());
        seen.end();
        publisher.join().unwrap();
        assert!(!seen.wrong.load(Ordering::Relaxed), "called after its end");
    });
}

#[test]
fn when_a_shutdown_returns_no_pass_goes_on() {
    explore("when_a_shutdown_returns_no_pass_goes_on", || {
        let seen = Arc::new(Seen::default());
        let (bus, _) = bus(&seen);
        let publisher = spawn({
            let bus = bus.clone();
            move || bus.try_publish(event(1)).is_ok()
        });
        let report = block_on(bus.shutdown(Duration::from_secs(60)));
        seen.end();
        publisher.join().unwrap();
        assert!(report.is_clean());
        assert!(!seen.wrong.load(Ordering::Relaxed), "called after the end");
    });
}
