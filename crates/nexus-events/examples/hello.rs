//! One event, two handlers, one report.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use nexus_events::prelude::*;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let bus = Bus::new();

    // A synchronous handler runs on the publisher's own stack …
    bus.on("user.created", |event: &Event| {
        println!("log: {} from {}", event.event_type(), event.source());
    })?;

    // … an asynchronous one on a task of its own, behind a bounded queue.
    bus.on("user.created", async |event: Event| json!({"welcomed": event.payload().get("name")}))?;

    let report = bus
        .publish_and_wait(
            Event::builder("user.created").source("sign-up").payload(json!({"name": "Ada"})),
        )
        .await?;
    for outcome in &report.outcomes {
        println!("{}: {} {}", outcome.handler, outcome.status.as_str(), outcome.value);
    }
    assert!(report.is_success());
    Ok(())
}
