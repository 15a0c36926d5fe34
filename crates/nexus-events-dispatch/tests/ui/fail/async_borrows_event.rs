#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

async fn welcome(event: &Event) {
    println!("{}", event.id());
}

fn main() {
    let _ = Bus::new().on("user.created", welcome);
}
