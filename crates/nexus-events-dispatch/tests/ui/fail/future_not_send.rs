#![allow(unused)]

use std::rc::Rc;

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

async fn welcome(event: Event) {
    let name = Rc::new(event.source().to_owned());
    tokio::task::yield_now().await;
    drop(name);
}

fn main() {
    let _ = Bus::new().on("user.created", welcome);
}
