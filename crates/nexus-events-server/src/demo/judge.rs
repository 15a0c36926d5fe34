//! The second witness: what got past every wave, seen by a handler of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use nexus_events_dispatch::{Bus, HandlerExt, Result};
use nexus_events_model::{Event, EventId};

use crate::demo::data::REPLAYED_FROM;

/// Below every handler of the demo.
const PRIORITY: i32 = -1_000;

const NAME: &str = "self-check";

/// Arrivals that wait to be asked for; a visitor's events are never asked for.
const ARRIVED_MAX: usize = 100_000;

/// The events that arrived at the last handler and were not seen by the ledger yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge(Arc<Mutex<HashSet<EventId>>>);

impl Judge {
    pub(super) fn register(bus: &Bus) -> Result<Self> {
        let judge = Self::default();
        let arrived = judge.clone();
        let handler = move |event: &Event| arrived.note(event);
        bus.on("**", handler.named(NAME).priority(PRIORITY))?;
        Ok(judge)
    }

    fn arrived(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Only what the replay published, and what its handlers published because of it: the
    /// console's visitors publish, too.
    fn note(&self, event: &Event) {
        let replayed = event.metadata().get(REPLAYED_FROM).is_some();
        if replayed || event.event_type() == "flight.delayed" {
            let mut arrived = self.arrived();
            if arrived.len() < ARRIVED_MAX {
                arrived.insert(event.id().clone());
            }
        }
    }

    /// Whether this event has arrived; asked once.
    pub(super) fn take(&self, id: &EventId) -> bool {
        self.arrived().remove(id)
    }
}
