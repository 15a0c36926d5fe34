//! What the bus promises, as tests.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod at_shutdown;
mod behind;
mod beside;
mod circles;
mod corners;
mod delivery;
mod durable;
mod extract;
mod filter_index;
mod follow_ups;
mod groups;
mod history;
mod hostile;
mod index;
mod isolation;
mod keys;
mod lane_ends;
mod lanes;
mod layers;
mod oracle;
mod overload;
mod pattern_table;
mod priorities;
mod publish;
mod replay;
mod reports;
mod runtimes;
mod scenarios;
mod scheduled;
mod shared_lanes;
mod shutdown;
mod stats;
mod stress;
mod stuck;
mod trace;
mod unsubscribe;
mod waiting;
mod waves;

use std::sync::Arc;

use nexus_events_model::{Event, EventBuilder};
use parking_lot::Mutex;

/// Writes down what happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }

    /// An inline handler that writes this line.
    fn writes(&self, line: &str) -> impl Fn(&Event) + Send + Sync + 'static {
        let (log, line) = (self.clone(), line.to_owned());
        move |_: &Event| log.add(line.clone())
    }

    /// The same on a task.
    fn writes_async(
        &self,
        line: &str,
    ) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
        let (log, line) = (self.clone(), line.to_owned());
        move |_: Event| {
            log.add(line.clone());
            std::future::ready(())
        }
    }
}

fn event(name: &str) -> EventBuilder {
    Event::builder(name)
}
