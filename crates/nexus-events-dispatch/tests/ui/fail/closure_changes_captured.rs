#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

fn main() {
    let mut count = 0;
    let _ = Bus::new().on("user.created", move |_: &Event| count += 1);
}
