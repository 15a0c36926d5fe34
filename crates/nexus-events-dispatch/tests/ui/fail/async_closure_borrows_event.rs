#![allow(unused)]

use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::Event;

fn main() {
    let _ = Bus::new().on("user.created", async |event: Event, context: &Context| {
        context.cancel("no");
    });
}
