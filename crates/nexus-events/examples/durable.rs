//! A store in a file: what was acknowledged is still there after a restart, and a durable handler
//! gets it. What a handler gives up is a dead letter, replayed once the handler is mended.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_events::dispatch::layers::DeadLetterFilter;
use nexus_events::dispatch::{Durable, Start};
use nexus_events::prelude::*;
use nexus_events::store::{Read, Store};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("nexus-durable-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Error::store)?;
    let path = folder.join("events.nexus");

    // The first run of a program, which ends before anybody has charged the order.
    let bus = open(&path).await?;
    for amount in [json!(12), json!("twelve")] {
        let order = Event::builder("order.created").payload(json!({"amount": amount}));
        let receipt = bus.publish(order).await?;
        println!("the disk has event {}", receipt.offset.unwrap_or_default());
    }
    close(bus).await?;

    // The second one has a handler, which begins where it has never been: at the oldest event.
    let bus = open(&path).await?;
    let charge = async |event: Event| match event.payload().get("amount") {
        Some(amount) if amount.is_u64() => {
            println!("charge {amount}");
            Ok(())
        }
        _ => Err(HandlerError::permanent("no amount")),
    };
    let billing = Durable::named("billing").start(Start::Earliest);
    bus.on("order.created", charge.durable(billing))?;
    bus.idle().await;
    close(bus).await?;

    // In the third one the handler is mended, and what it gave up comes to it again.
    let bus = open(&path).await?;
    let mended = async |event: Event| println!("charge {:?}", event.payload().get("amount"));
    bus.on("order.created", mended.durable("billing"))?;
    let letters = bus.dead_letters().cloned().unwrap_or_default();
    for letter in letters.list(&DeadLetterFilter::new(), 10) {
        println!("dead letter {}: {}", letter.id, letter.error);
    }
    let report = letters.replay_all(&bus, &DeadLetterFilter::new().handler("billing")).await?;
    println!("replayed: {} succeeded, {} failed again", report.succeeded, report.failed);
    assert_eq!((report.succeeded, letters.stats().letters), (1, 0));

    let store = bus.store().ok_or_else(|| Error::store("the bus has no store"))?;
    assert_eq!(store.read(Read::all()).await?.events.len(), 2);
    close(bus).await?;
    std::fs::remove_dir_all(&folder).map_err(Error::store)
}

async fn open(path: &Path) -> Result<Bus> {
    Bus::builder().store(Arc::new(Store::open(path)?)).open().await
}

/// Lets handlers end, then the store.
async fn close(bus: Bus) -> Result<()> {
    bus.shutdown(Duration::from_secs(5)).await;
    if let Some(store) = bus.store() {
        store.close().await?;
    }
    Ok(())
}
