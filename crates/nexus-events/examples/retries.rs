//! A handler that fails is tried again; what it gives up is parked, and replayed once it is mended.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_events::dispatch::layers::{DeadLetterFilter, DeadLetters, Retry, Timeout};
use nexus_events::prelude::*;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let bank_is_open = Arc::new(AtomicBool::new(false));

    let is_open = bank_is_open.clone();
    let charge = move |event: Event, context: Context| {
        let is_open = is_open.load(Ordering::Relaxed);
        async move {
            println!("attempt {} at {}", context.attempt(), event.id());
            match event.payload().get("amount") {
                None => Err(HandlerError::permanent("no amount")),
                Some(_) if is_open => Ok(()),
                Some(_) => Err("the bank is away".into()),
            }
        }
    };
    // The first layer is the outermost: what all attempts together could not do is parked.
    let charge = charge
        .named("billing")
        .layer(letters.layer())
        .layer(Retry::new().base(Duration::from_millis(10)))
        .layer(Timeout::new(Duration::from_secs(5)));
    bus.on("order.created", charge)?;

    for payload in [json!({"amount": 12}), json!({"note": "a gift"})] {
        bus.publish_and_wait(Event::builder("order.created").payload(payload)).await?;
    }
    for letter in letters.list(&DeadLetterFilter::new(), 10) {
        println!("parked after {} attempts: {}", letter.attempts.len(), letter.error);
    }
    assert_eq!(letters.stats().letters, 2);

    bank_is_open.store(true, Ordering::Relaxed);
    let report = letters.replay_all(&bus, &DeadLetterFilter::new().handler("billing")).await?;
    println!("replayed: {} succeeded, {} failed again", report.succeeded, report.failed);
    assert_eq!((report.succeeded, report.failed), (1, 1));
    Ok(())
}
