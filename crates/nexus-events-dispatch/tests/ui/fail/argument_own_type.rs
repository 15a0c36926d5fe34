#![allow(unused)]

use nexus_events_dispatch::Bus;

struct Tenant(String);

fn main() {
    let _ = Bus::new().on("order.created", |tenant: Tenant| {});
}
