#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

async fn count(event: Event, number: u32) {}

fn main() {
    let _ = Bus::new().on("order.created", count);
}
