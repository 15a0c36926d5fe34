#![allow(unused)]

use nexus_events_dispatch::Bus;

#[derive(serde::Serialize)]
struct Order {
    _total: u64,
}

fn main() {
    let _ = Bus::new().try_publish(Order { _total: 120 });
}
