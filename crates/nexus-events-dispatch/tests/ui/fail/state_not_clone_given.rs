#![allow(unused)]

use nexus_events_dispatch::Bus;

struct Mailer;

fn main() {
    let _ = Bus::builder().state(Mailer);
}
