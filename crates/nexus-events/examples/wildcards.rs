//! Patterns select by type, filters by field.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use nexus_events::prelude::*;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let bus = Bus::new();
    let prints =
        |what: &'static str| move |event: &Event| println!("{what:>14}  {}", event.event_type());

    bus.on("order.created", prints("exact"))?;
    bus.on("order.*", prints("one segment"))?;
    bus.on("order.**", prints("one or more"))?;
    bus.on("*.created", prints("any first"))?;

    let big = Filter::parse("payload.amount > 100 && priority == 'high'")?;
    bus.on("order.created", prints("big order").filter(big))?;

    bus.publish(Event::builder("order.created").payload(json!({"amount": 20}))).await?;
    bus.publish(Event::builder("order.payment.failed")).await?;
    let order =
        Event::builder("order.created").payload(json!({"amount": 120})).priority(Priority::High);
    let receipt = bus.publish(order).await?;
    assert_eq!(receipt.matched, 5);
    Ok(())
}
