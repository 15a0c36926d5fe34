//! The layers around handlers and publishing.

mod circuit_breaker;
mod dead_letters;
mod dedup;
mod durability;
mod letter_bounds;
mod letters_durable;
mod letters_stored;
mod order;
mod parked_keys;
mod rate_limit;
mod retry;
mod timeout;

use std::future::Ready;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Context, Error, HandlerError};
use nexus_events_model::{Event, HandlerOutcome, PublishReport};
use parking_lot::Mutex;
use tokio::time::Instant;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// When a handler was called, since this was made.
#[derive(Clone)]
struct Calls {
    start: Instant,
    at: Arc<Mutex<Vec<Duration>>>,
}

impl Calls {
    fn new() -> Self {
        Self { start: Instant::now(), at: Arc::default() }
    }

    fn add(&self) -> usize {
        let mut at = self.at.lock();
        at.push(self.start.elapsed());
        at.len()
    }

    fn count(&self) -> usize {
        self.at.lock().len()
    }

    fn millis(&self) -> Vec<u128> {
        self.at.lock().iter().map(Duration::as_millis).collect()
    }

    /// An inline handler whose first `failures` calls fail.
    fn fails(&self, failures: usize) -> impl Fn(&Event) -> Result<(), HandlerError> + use<> {
        let calls = self.clone();
        move |_: &Event| calls.result(failures)
    }

    /// The same on a task.
    fn fails_async(
        &self,
        failures: usize,
    ) -> impl Fn(Event) -> Ready<Result<(), HandlerError>> + use<> {
        let calls = self.clone();
        move |_: Event| std::future::ready(calls.result(failures))
    }

    fn result(&self, failures: usize) -> Result<(), HandlerError> {
        match self.add() {
            call if call <= failures => Err(format!("failure {call}").into()),
            _ => Ok(()),
        }
    }
}

/// The report of one event for one handler.
async fn outcome(bus: &Bus, event: impl nexus_events_model::IntoEvent) -> HandlerOutcome {
    only(bus.publish_and_wait(event).await.unwrap())
}

fn only(report: PublishReport) -> HandlerOutcome {
    assert_eq!(report.outcomes.len(), 1, "{report:?}");
    report.outcomes.into_iter().next().unwrap()
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: Result<T, Error>, part: &str) {
    let error = result.unwrap_err();
    assert!(error.to_string().contains(part), "{error}");
}

/// A handler that does nothing.
fn nothing(_: &Event, _: &Context) {}
