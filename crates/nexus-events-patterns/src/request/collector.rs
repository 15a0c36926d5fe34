//! Answers that are events: one inline handler for each type that they come in.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use nexus_events_dispatch::{Bus, HandlerExt, Subscription};
use nexus_events_model::{Event, EventType, Pattern};
use parking_lot::Mutex;
use serde_json::Value;

use super::of_bus::BusRequests;
use super::slot::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::REPLY_EVENT_TYPES_MAX;

const REQUEST_ID: &str = "request_id";

#[derive(Default)]
pub(crate) struct Collectors(Mutex<HashMap<EventType, Arc<Collector>>>);

/// Gives the events of one type to the requests that they answer. It stays while the bus does.
struct Collector {
    waiting: Arc<Waiting>,
    _subscription: Subscription,
}

#[derive(Default)]
struct Waiting(Mutex<HashMap<String, Weak<Slot>>>);

impl Waiting {
    fn take_in(&self, event: &Event) {
        let slot = {
            let waiting = self.0.lock();
            if waiting.is_empty() {
                return;
            }
            asked_by(event).and_then(|id| waiting.get(&id).and_then(Weak::upgrade))
        };
        if let Some(slot) = slot {
            slot.put(Ok(event.payload().clone()));
        }
    }
}

/// The request that an event says it answers.
fn asked_by(event: &Event) -> Option<String> {
    let named = event.payload().get(REQUEST_ID).or_else(|| event.metadata().get(REQUEST_ID));
    if let Some(id) = named {
        return text(id);
    }
    let cause = event.causation_id().map(|id| id.to_string());
    cause.or_else(|| event.correlation_id().map(ToString::to_string))
}

fn text(id: &Value) -> Option<String> {
    match id {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

impl Collectors {
    fn of(&self, bus: &Bus, event_type: EventType) -> Result<Arc<Collector>> {
        let mut collectors = self.0.lock();
        if let Some(known) = collectors.get(&event_type) {
            return Ok(known.clone());
        }
        if collectors.len() == REPLY_EVENT_TYPES_MAX {
            let message = format!(
                "answers come in {REPLY_EVENT_TYPES_MAX} event types already; let answers share a type, they are told apart by their request"
            );
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        let waiting = Arc::<Waiting>::default();
        let take_in = {
            let waiting = waiting.clone();
            move |event: &Event| waiting.take_in(event)
        };
        let pattern = Pattern::from(event_type.clone());
        let take_in = take_in.named(format!("replies in {event_type}"));
        let subscription = bus.on(pattern, take_in)?;
        let collector = Arc::new(Collector { waiting, _subscription: subscription });
        collectors.insert(event_type, collector.clone());
        Ok(collector)
    }
}

/// A request waits for an event, until dropped.
pub(crate) struct Collecting {
    collector: Arc<Collector>,
    ids: Vec<String>,
}

impl Collecting {
    pub(crate) fn begin(
        bus: &Bus,
        requests: &BusRequests,
        event_type: EventType,
        slot: &Arc<Slot>,
    ) -> Result<Self> {
        let collector = requests.collectors.of(bus, event_type)?;
        let mut ids = vec![slot.event.id().to_string()];
        ids.extend(slot.event.payload().get(REQUEST_ID).and_then(text));
        let mut waiting = collector.waiting.0.lock();
        if let Some(id) = ids.iter().find(|id| waiting.contains_key(*id)) {
            let message = format!("the request `{id}` is waited for already; give each its own id");
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        waiting.extend(ids.iter().map(|id| (id.clone(), Arc::downgrade(slot))));
        drop(waiting);
        Ok(Self { collector, ids })
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let mut waiting = self.collector.waiting.0.lock();
        self.ids.iter().for_each(|id| drop(waiting.remove(id)));
    }
}
