#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

fn main() {
    let greeting = String::from("welcome");
    let _ = Bus::new().on("user.created", async move |event: Event| {
        println!("{greeting}, {}", event.id());
    });
}
