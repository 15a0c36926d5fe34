#![allow(unused)]

use nexus_events_dispatch::Bus;

fn welcome() -> String {
    String::from("welcome")
}

fn main() {
    let _ = Bus::new().on("user.created", welcome());
}
