#![allow(unused)]

use std::cell::Cell;

use nexus_events_dispatch::{Bus, Payload};

#[derive(serde::Deserialize)]
struct Order {
    total: Cell<u64>,
}

fn price(order: Payload<Order>) {}

fn main() {
    let _ = Bus::new().on("order.created", price);
}
