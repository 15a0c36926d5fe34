//! Models of the bus: all of it runs on threads whose every step a scheduler chooses, thousands of
//! times over. `cargo xtask models` runs them; `docs/design/0008-models.md` says what they cover.

#![cfg(nexus_shuttle)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod endings;
mod explore;
mod groups;
mod history;
mod queue;
mod registry;
mod reports;
mod shared_lanes;
mod shutdown;
mod stuck;
mod unsubscribe;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_events_dispatch::{Bus, ShutdownReport};
use nexus_events_model::{Event, EventBuilder};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread::{JoinHandle, spawn};

/// No history, which the models in `history.rs` look at.
fn bus() -> Bus {
    Bus::builder().history(0).build().unwrap()
}

fn event(event_type: &str, id: impl ToString) -> EventBuilder {
    Event::builder(event_type).id(id.to_string())
}

/// Publishes these events one after the other on a thread of their own; gives back how many
/// handlers lost one.
fn publisher(bus: &Bus, event_type: &'static str, ids: &'static [u32]) -> JoinHandle<usize> {
    let bus = bus.clone();
    spawn(move || {
        ids.iter().map(|id| block_on(bus.publish(event(event_type, id))).unwrap().rejected).sum()
    })
}

/// What handlers were called with. Looked at by the test alone, so the model does not see it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn add(&self, event: &Event) {
        self.0.lock().unwrap().push(number(event));
    }

    /// A handler that writes down each event.
    fn writes(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let log = self.clone();
        move |event: &Event| log.add(event)
    }

    fn all(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    fn sorted(&self) -> Vec<u32> {
        let mut all = self.all();
        all.sort_unstable();
        all
    }
}

fn number(event: &Event) -> u32 {
    event.id().to_string().parse().unwrap()
}

std::thread_local! {
    /// What handlers found wrong. They do not panic, because the bus would contain that.
    static WRONG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// For handlers: makes the model fail at its end.
fn forbid(is_wrong: bool, what: impl FnOnce() -> String) {
    if is_wrong {
        WRONG.with_borrow_mut(|wrong| wrong.push(what()));
    }
}

/// Something that has happened, which a step of the model finds out.
#[derive(Clone, Default)]
struct Flag(Arc<AtomicBool>);

impl Flag {
    fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn unset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Ends a bus that nobody publishes on any more. Its tasks have to end with it, or else the model
/// is in a deadlock.
fn close(bus: Bus) -> ShutdownReport {
    let report = block_on(bus.shutdown(Duration::from_secs(60)));
    assert_eq!(WRONG.take(), [""; 0]);
    report
}
