//! Handlers say what they need: the payload as a type, shared state, parts of the event.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
struct OrderCreated {
    order_id: u32,
    total: u64,
}

impl TypedEvent for OrderCreated {
    const TYPE: EventType = EventType::from_static("order.created");
}

#[derive(Serialize, Deserialize)]
struct OrderShipped {
    order_id: u32,
}

impl TypedEvent for OrderShipped {
    const TYPE: EventType = EventType::from_static("order.shipped");
}

#[derive(Clone, Default)]
struct Revenue(Arc<AtomicU64>);

/// Runs first, and decides whether the others run at all.
fn validate(order: &OrderCreated) -> Outcome {
    if order.total == 0 { Outcome::cancel("nothing to pay") } else { Outcome::Continue }
}

/// Borrows the payload; what was published in this process is never serialised.
fn count(order: &OrderCreated, State(revenue): State<Revenue>) {
    revenue.0.fetch_add(order.total, Ordering::Relaxed);
}

/// Runs on a task; what it returns is published as a follow-up.
async fn ship(order: Payload<OrderCreated>) -> Result<Vec<OrderShipped>> {
    println!("shipping order {}", order.order_id);
    Ok(vec![OrderShipped { order_id: order.order_id }])
}

#[tokio::main]
async fn main() -> Result<()> {
    let revenue = Revenue::default();
    let bus = Bus::builder().state(revenue.clone()).build()?;
    bus.on(OrderCreated::TYPE, validate.priority(100))?;
    bus.on(OrderCreated::TYPE, count)?;
    bus.on(OrderCreated::TYPE, ship)?;
    bus.on("order.shipped", |shipped: &OrderShipped, event: &Event| {
        println!("shipped order {} because of {:?}", shipped.order_id, event.causation_id());
    })?;

    // A value of the type, and JSON from somewhere else: the handlers see no difference.
    bus.publish_and_wait(OrderCreated { order_id: 1, total: 120 }).await?;
    let payload = json!({"order_id": 2, "total": 80});
    bus.publish_and_wait(Event::builder("order.created").payload(payload)).await?;
    bus.publish_and_wait(OrderCreated { order_id: 3, total: 0 }).await?;
    assert_eq!(revenue.0.load(Ordering::Relaxed), 200);

    // What does not decode is an error that names the field.
    let wrong = Event::builder("order.created").payload(json!({"order_id": 4}));
    let report = bus.publish_and_wait(wrong).await?;
    println!(
        "{}",
        report.outcome("count").and_then(|outcome| outcome.error.as_deref()).unwrap_or_default()
    );
    assert_eq!(revenue.0.load(Ordering::Relaxed), 200);
    Ok(())
}
