#![allow(unused)]

use nexus_events_dispatch::Bus;

#[derive(serde::Deserialize)]
struct Order {
    _total: u64,
}

fn price(order: &Order) {}

fn main() {
    let _ = Bus::new().on("order.created", price);
}
