#![allow(unused)]

use nexus_events_dispatch::Bus;

fn count(number: u32) {}

fn main() {
    let _ = Bus::new().on("order.created", count);
}
