#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

#[derive(Debug)]
struct NoStock;

fn reserve(event: &Event) -> Result<(), NoStock> {
    Err(NoStock)
}

fn main() {
    let _ = Bus::new().on("order.created", reserve);
}
