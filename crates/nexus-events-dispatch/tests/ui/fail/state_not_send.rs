#![allow(unused)]

use std::rc::Rc;

use nexus_events_dispatch::{Bus, State};

fn welcome(State(mailer): State<Rc<String>>) {}

fn main() {
    let _ = Bus::new().on("user.created", welcome);
}
