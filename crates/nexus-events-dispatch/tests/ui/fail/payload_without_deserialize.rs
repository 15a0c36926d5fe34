#![allow(unused)]

use nexus_events_dispatch::{Bus, Payload};

struct Order {
    _total: u64,
}

fn price(order: Payload<Order>) {}

fn main() {
    let _ = Bus::new().on("order.created", price);
}
