#![allow(unused)]

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

async fn mail(event: Event) {}

fn main() {
    let _ = Bus::new().on("user.created", |event: Event| mail(event).await);
}
