//! Events about events that were given up.

use nexus_events_model::{Event, EventBuilder};
use serde_json::json;

use super::letters::DeadLetters;
use super::record::DeadLetter;

/// The type of an event that says that another one was parked.
const PARKED: &str = "system.dead_letter.parked";

/// What types begin with that are the system's own.
const RESERVED: &str = "system.";

impl DeadLetters {
    /// What is to be published once this one is parked; nothing about the system's own events, or a
    /// handler that fails at these would go on for ever.
    pub(crate) fn failure_event(&self, letter: &DeadLetter) -> Option<EventBuilder> {
        let event = &letter.event;
        if !self.has_failure_events() || event.event_type().as_str().starts_with(RESERVED) {
            return None;
        }
        let payload = json!({
            "id": self.id_of(&letter.handler, event.id()),
            "handler": letter.handler,
            "event_id": event.id(),
            "event_type": event.event_type(),
            "error": letter.error,
            "attempts": letter.attempts.len(),
        });
        Some(Event::builder(PARKED).source("nexus").payload(payload).caused_by(event))
    }
}
