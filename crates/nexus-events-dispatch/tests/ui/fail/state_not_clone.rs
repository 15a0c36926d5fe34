#![allow(unused)]

use nexus_events_dispatch::{Bus, State};

struct Mailer;

async fn welcome(State(mailer): State<Mailer>) {}

fn main() {
    let _ = Bus::new().on("user.created", welcome);
}
