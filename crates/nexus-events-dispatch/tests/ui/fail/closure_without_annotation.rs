#![allow(unused)]

use nexus_events_dispatch::Bus;

fn main() {
    let _ = Bus::new().on("user.created", |event| println!("{}", event.id()));
}
