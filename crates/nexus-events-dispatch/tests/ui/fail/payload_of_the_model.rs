#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Payload;

fn price(payload: Payload) {}

fn main() {
    let _ = Bus::new().on("order.created", price);
}
