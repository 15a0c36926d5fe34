#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

fn source(event: &Event) -> &str {
    event.source()
}

fn main() {
    let _ = Bus::new().on("order.created", source);
}
