//! The second witness: what got past every wave, seen by a handler of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use nexus_events_dispatch::{Bus, Context, HandlerExt, Result};
use nexus_events_model::{Event, EventId};

/// Below every handler of the demo.
const PRIORITY: i32 = -1_000;

/// The follow-ups that are counted.
const FOLLOW_UP: &str = "flight.delayed";

const NAME: &str = "self-check";

/// What arrived at the last handler, of the replayed events and of what they led to.
///
/// Whoever uses the console publishes, too, and may write anything into an event. So a replayed
/// event is known by the id that it was announced with before it was published, and a follow-up by
/// what the bus alone says: that a handler published it, and because of which event.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge(Arc<Mutex<Notes>>);

/// Holds no more than the replayed data, whatever else is published.
#[derive(Debug, Default)]
struct Notes {
    replayed: HashSet<EventId>,
    /// The replayed events that are on their way, and whether they arrived.
    now: HashMap<EventId, bool>,
    /// What arrived because of a replayed event: the first for each.
    follow_ups: HashMap<EventId, EventId>,
}

impl Judge {
    pub(super) fn register(bus: &Bus) -> Result<Self> {
        let judge = Self::default();
        let arrived = judge.clone();
        let handler = move |event: &Event, context: &Context| arrived.note(event, context);
        bus.on("**", handler.named(NAME).priority(PRIORITY))?;
        Ok(judge)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Announces a replayed event.
    pub(super) fn expect(&self, id: &EventId) {
        let mut notes = self.notes();
        notes.replayed.insert(id.clone());
        notes.now.insert(id.clone(), false);
    }

    fn note(&self, event: &Event, context: &Context) {
        let by_a_handler = context.chain().len() > 1;
        let mut notes = self.notes();
        if !by_a_handler {
            if let Some(arrived) = notes.now.get_mut(event.id()) {
                *arrived = true;
            }
            return;
        }
        let cause = event.causation_id().and_then(|id| EventId::new(id.to_string()).ok());
        // The saga, which publishes too, has another witness: the store.
        let is_counted = event.event_type() == FOLLOW_UP;
        if let Some(cause) = cause.filter(|cause| is_counted && notes.replayed.contains(cause)) {
            notes.follow_ups.entry(cause).or_insert_with(|| event.id().clone());
        }
    }

    /// Whether an announced event, which is on its way no more, has arrived.
    pub(super) fn arrived(&self, id: &EventId) -> bool {
        self.notes().now.remove(id).unwrap_or(false)
    }

    /// Whether this event arrived because of that replayed one.
    pub(super) fn followed(&self, cause: &EventId, id: &EventId) -> bool {
        self.notes().follow_ups.get(cause) == Some(id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demo::handlers;

    fn departed() -> Event {
        let payload = json!({"carrier": "US", "flight": 7, "tailnum": "N1", "origin": "JFK", "dest": "CLT", "dep_delay": 90});
        Event::builder("flight.departed")
            .id("1")
            .timestamp_text("2026-01-02T03:04:05Z")
            .payload(payload)
            .build()
            .unwrap()
    }

    fn published(report: &nexus_events_model::PublishReport) -> EventId {
        let id = report.outcome("enrich").unwrap().value["published"].as_str().unwrap();
        EventId::new(id.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_replayed_event_and_what_it_led_to_are_known() {
        let bus = Bus::new();
        handlers::register(&bus).unwrap();
        let judge = Judge::register(&bus).unwrap();
        let event = departed();
        judge.expect(event.id());
        let report = bus.publish_and_wait(event.clone()).await.unwrap();
        bus.idle().await;
        assert!(judge.arrived(event.id()));
        assert!(!judge.arrived(event.id()), "it is on its way no more");
        assert!(judge.followed(event.id(), &published(&report)));
    }

    #[tokio::test]
    async fn strangers_fill_nothing_and_take_no_place() {
        let bus = Bus::new();
        handlers::register(&bus).unwrap();
        let judge = Judge::register(&bus).unwrap();
        let event = departed();
        judge.expect(event.id());
        for number in 0..100 {
            let forged = Event::builder("flight.delayed")
                .id(format!("forged-{number}"))
                .causation_id(event.id())
                .payload(json!({"dep_delay": 200}));
            bus.publish_and_wait(forged).await.unwrap();
            bus.publish_and_wait(departed().to_builder().id(format!("own-{number}")))
                .await
                .unwrap();
        }
        bus.idle().await;
        {
            let notes = judge.notes();
            assert_eq!((notes.replayed.len(), notes.follow_ups.len()), (1, 0));
            assert_eq!(notes.now, HashMap::from([(event.id().clone(), false)]));
        }
        let report = bus.publish_and_wait(event.clone()).await.unwrap();
        bus.idle().await;
        assert!(judge.arrived(event.id()) && judge.followed(event.id(), &published(&report)));
    }
}
