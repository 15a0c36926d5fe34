#![allow(unused)]

use nexus_events_dispatch::{Bus, HandlerExt};

fn count(number: u32) {}

fn main() {
    let _ = Bus::new().on("order.created", count.priority(10));
}
