//! Sagas.

mod changes;
mod directory;
mod not_found;
mod order;
mod states;
mod steps;
mod timeouts;

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, ManualClock};
use nexus_events_model::{Event, EventBuilder};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::macros::datetime;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A program on a store, with a clock of its own.
struct Program {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    bus: Bus,
}

impl Program {
    async fn new() -> Self {
        let clock = ManualClock::new(datetime!(2026-01-02 12:00:00 UTC));
        Self::open(Arc::new(MemoryStore::new()), clock).await
    }

    async fn open(store: Arc<MemoryStore>, clock: ManualClock) -> Self {
        let builder = Bus::builder().store(store.clone()).clock(clock.clone());
        let bus = builder.open().await.unwrap();
        Self { store, clock, bus }
    }

    /// Ends it in good order; another one goes on.
    async fn restart(self) -> Self {
        self.bus.shutdown(SECOND).await;
        Self::open(self.store, self.clock).await
    }

    async fn publish(&self, event: EventBuilder) {
        self.bus.publish(event).await.unwrap();
    }

    /// Publishes, and waits until everything that follows is done.
    async fn publish_all(&self, events: impl IntoIterator<Item = EventBuilder>) {
        for event in events {
            self.publish(event).await;
        }
        self.bus.idle().await;
    }

    /// Keeps what is published from now on of these types.
    fn record(&self, pattern: &str) -> Recorded {
        let recorded = Recorded::default();
        let keep = recorded.0.clone();
        self.bus.on(pattern, move |event: &Event| keep.lock().push(event.clone())).unwrap();
        recorded
    }

    /// Why events of this key became dead letters.
    fn dead_letters(&self) -> Vec<String> {
        let letters = self.bus.dead_letters().unwrap();
        let all = letters.list(&nexus_events_dispatch::layers::DeadLetterFilter::new(), 100);
        all.iter().map(|letter| letter.error.to_string()).collect()
    }
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<Event>>>);

impl Recorded {
    fn events(&self) -> Vec<Event> {
        self.0.lock().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn payloads(&self) -> Vec<Value> {
        self.events().iter().map(|event| event.payload().value().unwrap().clone()).collect()
    }
}

/// An event of the key.
fn of(event_type: &str, key: impl Into<Value>) -> EventBuilder {
    Event::builder(event_type).payload(json!({"id": key.into()}))
}
