//! A bus for tests.

use nexus_events_dispatch::{
    Bus, Error, IntoHandler, ManualClock, Result, ShutdownReport, Subscription,
};
use nexus_events_model::{Event, EventBuilder, IntoEvent, Pattern};
use parking_lot::Mutex;
use serde_json::Value;
use std::time::Duration;
use time::OffsetDateTime;

/// A bus whose events wait until [`process_events`](Self::process_events), and whose clock stands
/// still until it is moved.
///
/// ```
/// use nexus_events_model::Event;
/// use nexus_events_test::TestEventBus;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let test_bus = TestEventBus::new();
/// test_bus.subscribe("user.created", |_: &Event| Err::<(), _>("test error"))?;
/// test_bus.emit(Event::builder("user.created"))?;
/// test_bus.process_events().await?;
/// assert_eq!(test_bus.error_count(), 1);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TestEventBus {
    bus: Bus,
    clock: ManualClock,
    emitted: Mutex<Vec<Event>>,
}

impl TestEventBus {
    /// The time its clock shows at first: midnight of 1 January 2026, UTC.
    pub const START: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(1_767_225_600) {
        Ok(start) => start,
        Err(_) => panic!("in range"),
    };

    /// A bus of its own.
    ///
    /// # Panics
    /// Never: the settings are valid.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new(Self::START);
        let bus = Bus::builder().clock(clock.clone()).build().expect("the defaults are valid");
        Self { bus, clock, emitted: Mutex::default() }
    }

    /// The bus itself. What is published on it directly is handled at once.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its clock.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nexus_events_test::TestEventBus;
    /// let test_bus = TestEventBus::new();
    /// test_bus.clock().advance(Duration::from_secs(60));
    /// assert_eq!(test_bus.bus().now(), TestEventBus::START + Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Registers a handler, as [`Bus::on`].
    ///
    /// # Errors
    /// As [`Bus::on`].
    pub fn subscribe<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<Error>>,
        handler: impl IntoHandler<Shape>,
    ) -> Result<Subscription> {
        self.bus.on(pattern, handler)
    }

    /// Keeps an event until [`process_events`](Self::process_events).
    ///
    /// # Errors
    /// A malformed event is refused at once.
    pub fn emit(&self, event: impl IntoEvent) -> Result<()> {
        let event = self.bus.stamp(event)?;
        self.emitted.lock().push(event);
        Ok(())
    }

    /// As [`emit`](Self::emit), from JSON.
    ///
    /// ```
    /// # use nexus_events_test::TestEventBus;
    /// # use serde_json::json;
    /// let test_bus = TestEventBus::new();
    /// test_bus.emit_json(&json!({"event_type": "user.created", "data": {"user_id": "123"}}))?;
    /// assert!(test_bus.emit_json(&json!({"event_typ": "user.created"})).is_err());
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    ///
    /// # Errors
    /// A malformed event is refused at once.
    pub fn emit_json(&self, event: &Value) -> Result<()> {
        self.emit(EventBuilder::from_json(&event.to_string())?)
    }

    /// Publishes what was emitted, in order, and returns when everything is handled, follow-ups
    /// included. A failing handler is no error here; see [`error_count`](Self::error_count).
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](nexus_events_dispatch::ErrorKind::Closed) after
    /// [`cleanup`](Self::cleanup).
    pub async fn process_events(&self) -> Result<()> {
        let events = std::mem::take(&mut *self.emitted.lock());
        for event in events {
            self.bus.publish(event).await?;
        }
        self.bus.idle().await;
        Ok(())
    }

    /// How many handler runs have failed or panicked so far.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.bus.stats().events.failed_events
    }

    /// Ends the bus.
    pub async fn cleanup(&self) -> ShutdownReport {
        self.bus.shutdown(Duration::ZERO).await
    }
}

impl Default for TestEventBus {
    fn default() -> Self {
        Self::new()
    }
}
