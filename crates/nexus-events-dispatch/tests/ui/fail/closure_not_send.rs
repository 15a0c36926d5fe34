#![allow(unused)]

use std::rc::Rc;

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

fn main() {
    let greeting = Rc::new(String::from("welcome"));
    let _ = Bus::new().on("user.created", move |_: &Event| println!("{greeting}"));
}
