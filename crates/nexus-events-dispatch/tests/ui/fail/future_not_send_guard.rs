#![allow(unused)]

use std::sync::{Arc, Mutex};

use nexus_events_dispatch::{Bus, State};

async fn count(State(counter): State<Arc<Mutex<u64>>>) {
    let mut counter = counter.lock().unwrap();
    tokio::task::yield_now().await;
    *counter += 1;
}

fn main() {
    let _ = Bus::new().on("user.created", count);
}
