#![allow(unused)]

use nexus_events_dispatch::{Bus, Payload};

#[derive(serde::Deserialize)]
struct Order<'a> {
    sku: &'a str,
}

fn price(order: Payload<Order<'_>>) {}

fn main() {
    let _ = Bus::new().on("order.created", price);
}
