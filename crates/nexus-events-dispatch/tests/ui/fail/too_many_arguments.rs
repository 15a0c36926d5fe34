#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventId, EventType, Metadata, Priority};

fn everything(
    _: Event,
    _: EventId,
    _: EventType,
    _: Metadata,
    _: Priority,
    _: Event,
    _: Event,
    _: Event,
    _: Event,
) {
}

fn main() {
    let _ = Bus::new().on("user.created", everything);
}
