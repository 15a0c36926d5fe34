//! What a handler of a saga may do besides changing its state.

use std::time::Duration;

use nexus_events_dispatch::{Bus, Schedule, Scheduled};
use nexus_events_model::{Event, EventBuilder, EventId, IntoEvent, Text};
use serde_json::Value;
use time::OffsetDateTime;

use super::instance::{Instance, SagaStatus};
use super::timer::{Address, SagaTimer};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{SAGA_EVENTS_MAX, SAGA_TIMERS_MAX};

/// A saga handler's view: it publishes, sets timeouts, ends the saga. All of it happens in one
/// commit with the new state, once the handler has returned, or not at all.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::SagaContext;
/// use serde_json::json;
///
/// fn created(_: &mut (), event: &Event, saga: &mut SagaContext) {
///     saga.publish(Event::builder("payment.request").payload(json!({"order_id": saga.key()})));
///     saga.timeout_after("late", Duration::from_secs(900));
/// }
/// ```
#[derive(Debug)]
pub struct SagaContext<'a> {
    bus: &'a Bus,
    event: &'a Event,
    is_new: bool,
    now: OffsetDateTime,
    pub(super) instance: Instance,
    pub(super) events: Vec<Event>,
    pub(super) schedule: Vec<Scheduled>,
    pub(super) unschedule: Vec<Scheduled>,
    failed: Option<Error>,
}

impl<'a> SagaContext<'a> {
    pub(super) fn new(bus: &'a Bus, event: &'a Event, instance: Instance, is_new: bool) -> Self {
        let now = bus.now();
        let (events, schedule, unschedule) = (Vec::new(), Vec::new(), Vec::new());
        Self { bus, event, is_new, now, instance, events, schedule, unschedule, failed: None }
    }

    /// What the saga is found by.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.instance.key
    }

    /// Names this saga and no later one with the same key: the id of the event that started it.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.instance.id
    }

    /// Whether it starts with this event.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The time on the clock of the bus.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Its timeouts that have not come.
    #[must_use]
    pub fn timers(&self) -> &[SagaTimer] {
        &self.instance.timers
    }

    /// What it has published so far, for tests of handlers.
    #[must_use]
    pub fn published(&self) -> &[Event] {
        &self.events
    }

    /// Publishes an event when the commit is done. It inherits the conversation of the event that
    /// is handled; a malformed one fails the handler. At most 1,024.
    pub fn publish(&mut self, event: impl IntoEvent) {
        let stamped =
            self.bus.stamp(event).map_err(Error::from).and_then(|event| self.adopt(event));
        let stamped = stamped.and_then(|event| match self.events.len() < SAGA_EVENTS_MAX {
            true => Ok(event),
            false => Err(too_many("events", SAGA_EVENTS_MAX, &self.instance)),
        });
        if let Some(event) = self.keep(stamped) {
            self.events.push(event);
        }
    }

    /// Sets a timeout: the handler of that name is called after so much time, on the clock of the
    /// bus. It survives the program, and ends with the saga. At most 1,024 at a time.
    pub fn timeout_after(&mut self, name: impl Into<Text>, after: Duration) -> EventId {
        self.timeout(name.into(), Schedule::after(after), Value::Null)
    }

    /// The same at this time, or at once if that is past.
    pub fn timeout_at(&mut self, name: impl Into<Text>, time: OffsetDateTime) -> EventId {
        self.timeout(name.into(), Schedule::at(time), Value::Null)
    }

    /// The same, with something that the handler is given.
    pub fn timeout_with(
        &mut self,
        name: impl Into<Text>,
        time: OffsetDateTime,
        payload: impl Into<Value>,
    ) -> EventId {
        self.timeout(name.into(), Schedule::at(time), payload.into())
    }

    fn timeout(&mut self, name: Text, schedule: Schedule, payload: Value) -> EventId {
        let scheduled = self.new_timer(&name, schedule, &payload);
        match self.keep(scheduled) {
            Some(scheduled) => {
                let (id, due) = (scheduled.event.id().clone(), scheduled.due);
                self.instance.timers.push(SagaTimer { id: id.clone(), name, due, payload });
                self.schedule.push(scheduled);
                id
            }
            // The handler fails, so nobody uses it.
            None => self.instance.id.clone(),
        }
    }

    fn new_timer(&self, name: &str, schedule: Schedule, payload: &Value) -> Result<Scheduled> {
        if self.instance.timers.len() >= SAGA_TIMERS_MAX {
            return Err(too_many("timeouts", SAGA_TIMERS_MAX, &self.instance));
        }
        let event = SagaTimer::event(name, &self.address(), payload);
        let event = self.adopt(self.bus.stamp(event)?)?;
        Ok(Scheduled::of(event, schedule, self.now)?)
    }

    /// Takes a timeout back; `false` when it has come, or never was.
    pub fn cancel_timeout(&mut self, id: &EventId) -> bool {
        let Some(at) = self.instance.timers.iter().position(|timer| timer.id == *id) else {
            return false;
        };
        let timer = self.instance.timers.remove(at);
        self.take_back(&timer);
        true
    }

    /// Takes back all timeouts of this name; how many.
    pub fn cancel_timeouts(&mut self, name: &str) -> usize {
        let timers = std::mem::take(&mut self.instance.timers);
        let (taken, kept): (Vec<_>, Vec<_>) =
            timers.into_iter().partition(|timer| timer.name.as_str() == name);
        self.instance.timers = kept;
        taken.iter().for_each(|timer| self.take_back(timer));
        taken.len()
    }

    fn take_back(&mut self, timer: &SagaTimer) {
        let before = self.schedule.len();
        self.schedule.retain(|scheduled| *scheduled.event.id() != timer.id);
        if self.schedule.len() == before {
            let scheduled = timer.scheduled(self.bus);
            if let Some(scheduled) = self.keep(scheduled) {
                self.unschedule.push(scheduled);
            }
        }
    }

    /// Ends the saga; its key may start another.
    pub fn complete(&mut self) {
        self.instance.status = SagaStatus::Completed;
    }

    /// Ends the saga as cancelled.
    pub fn cancel(&mut self, reason: impl Into<Text>) {
        self.instance.status = SagaStatus::Cancelled { reason: reason.into() };
    }

    /// Ends the saga as something that somebody has to look at.
    pub fn halt(&mut self, reason: impl Into<Text>) {
        self.instance.status = SagaStatus::Halted { reason: reason.into() };
    }

    pub(super) fn address(&self) -> Address {
        let Instance { saga, key, id, .. } = &self.instance;
        Address { saga: saga.clone(), key: key.clone(), instance: id.clone() }
    }

    fn adopt(&self, event: Event) -> Result<Event> {
        if event.causation_id().is_some() && event.correlation_id().is_some() {
            return Ok(event);
        }
        let correlation_id = event.correlation_id().unwrap_or(&self.instance.correlation_id);
        let builder = event.to_builder().correlation_id(correlation_id.clone());
        Ok(builder.caused_by(self.event).build()?)
    }

    fn keep<T>(&mut self, made: Result<T>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    /// What it is about, for the history.
    pub(super) fn cause(&self) -> &Event {
        self.event
    }

    /// An event of its own, in its conversation.
    pub(super) fn own(&self, event: EventBuilder) -> Result<Event> {
        let event = event.correlation_id(self.instance.correlation_id.clone());
        Ok(self.bus.stamp(event.caused_by(self.event))?)
    }

    /// It cannot be done.
    pub(super) fn fails(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// What waits for its time drives it no more.
    pub(super) fn take_back_wake(&mut self) {
        let wake = self.instance.progress.wake.take();
        // It has come, if it is what is handled now.
        if let Some(wake) = wake.filter(|wake| wake.id != *self.event.id()) {
            self.take_back(&wake);
        }
    }

    /// The first thing that could not be done.
    pub(super) fn failure(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Nothing of a saga that has ended comes any more.
    pub(super) fn end_timers(&mut self) {
        let timers = std::mem::take(&mut self.instance.timers);
        timers.iter().for_each(|timer| self.take_back(timer));
    }
}

fn too_many(what: &str, most: usize, instance: &Instance) -> Error {
    let message = format!(
        "the saga `{}` {} asks for more than {most} {what} at a time; spread them over several events",
        instance.saga, instance.key
    );
    Error::new(ErrorKind::Overloaded, message)
}
