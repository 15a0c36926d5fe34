//! Correlations: carried, gathered, told.

mod gather;
mod oracle;
mod tree;
mod workflow;

use std::time::Duration;

use nexus_events_model::{Event, EventBuilder};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An event of this type and conversation.
pub(crate) fn of(name: &'static str, key: &str) -> EventBuilder {
    Event::builder(name).correlation_id(key)
}
