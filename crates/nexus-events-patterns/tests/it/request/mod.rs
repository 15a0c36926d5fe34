//! Request-response.

mod answers;
mod gone;
mod leaks;
mod many;
mod nested;
mod oracle;
mod reply_in;
mod stats;

use std::time::Duration;

use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventBuilder};
use nexus_events_patterns::{Error, Requests};

pub(crate) fn ask() -> EventBuilder {
    Event::builder("price.asked")
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A request for a number, within so many milliseconds.
pub(crate) async fn number(bus: &Bus, millis: u64) -> Result<u64, Error> {
    bus.request(ask()).timeout(ms(millis)).await
}
