#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

fn ship(event: &Event) -> Vec<&'static str> {
    vec!["order.shipped"]
}

fn main() {
    let _ = Bus::new().on("order.created", ship);
}
