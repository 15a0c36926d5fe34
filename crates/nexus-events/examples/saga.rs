//! An order: payment first, then the goods; when these are gone the payment is given back. Whatever
//! happens in between, the order comes to an end.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use nexus_events::dispatch::store::MemoryStore;
use nexus_events::patterns::saga::{Saga, SagaContext, SagaFilter, SagaKey, Sagas};
use nexus_events::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Default, Serialize, Deserialize)]
struct Order {
    order_id: String,
    completed_steps: Vec<String>,
}

impl Order {
    fn started(&mut self, event: &Event, saga: &mut SagaContext<'_>) -> Result<(), &'static str> {
        let id = event.payload().get("order_id").and_then(Value::as_str);
        self.order_id = id.ok_or("the order has no order_id")?.to_owned();
        let amount = event.payload().get("amount");
        let payload = json!({"order_id": self.order_id, "amount": amount});
        saga.publish(Event::builder("payment.request").source("saga").payload(payload));
        // Also an order that nobody answers comes to an end.
        saga.timeout_after("late", Duration::from_secs(15 * 60));
        Ok(())
    }

    fn paid(&mut self, event: &Event, saga: &mut SagaContext<'_>) {
        self.completed_steps.push("payment".to_owned());
        let payload = json!({"order_id": self.order_id, "items": event.payload().get("items")});
        saga.publish(Event::builder("inventory.reserve").source("saga").payload(payload));
    }

    fn not_paid(&mut self, _: &Event, saga: &mut SagaContext<'_>) {
        self.give_up("payment_failed", saga);
    }

    fn reserved(&mut self, _: &Event, saga: &mut SagaContext<'_>) {
        self.completed_steps.push("inventory".to_owned());
        saga.complete();
    }

    fn sold_out(&mut self, _: &Event, saga: &mut SagaContext<'_>) {
        self.give_up("inventory_unavailable", saga);
    }

    fn late(&mut self, _: &Value, saga: &mut SagaContext<'_>) {
        self.give_up("late", saga);
    }

    /// Takes back what was done.
    fn give_up(&self, reason: &str, saga: &mut SagaContext<'_>) {
        let payload = json!({"order_id": self.order_id, "reason": reason});
        if self.completed_steps.iter().any(|step| step == "payment") {
            saga.publish(Event::builder("payment.refund").source("saga").payload(payload.clone()));
        }
        saga.publish(Event::builder("order.cancelled").source("saga").payload(payload));
        saga.cancel(reason);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // With `Store::open("orders.nexus")` instead, orders go on after a crash.
    let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    let sagas = Sagas::new(&bus);
    let talk = SagaKey::correlation;
    let order = Saga::<Order>::named("order")
        .starts("order.created", talk(), Order::started)
        .on("payment.completed", talk(), Order::paid)
        .on("payment.failed", talk(), Order::not_paid)
        .on("inventory.reserved", talk(), Order::reserved)
        .on("inventory.failed", talk(), Order::sold_out)
        .timeout("late", Order::late)
        .build()?;
    sagas.add(order.attach(&bus)?);

    // The others: the bank always pays, the warehouse has pens only. What a handler publishes is
    // part of the conversation of what it handles.
    bus.on("payment.request", |event: &Event, context: &Context| {
        let id = event.payload().get("order_id").and_then(Value::as_str).unwrap_or_default();
        let items = if id == "o-1" { json!(["pen"]) } else { json!(["unicorn"]) };
        context.publish(Event::builder("payment.completed").payload(json!({"items": items})))
    })?;
    bus.on("inventory.reserve", |event: &Event, context: &Context| {
        let has_them = event.payload().get("items") == Some(&json!(["pen"]));
        let answer = if has_them { "inventory.reserved" } else { "inventory.failed" };
        context.publish(Event::builder(answer))
    })?;
    bus.on("payment.refund", |event: &Event| {
        println!("refunded: {}", event.payload().get("reason").unwrap_or(&Value::Null));
    })?;

    for id in ["o-1", "o-2"] {
        let created = Event::builder("order.created").payload(json!({"order_id": id, "amount": 7}));
        bus.publish(created.correlation_id(format!("talk-{id}"))).await?;
    }
    bus.idle().await;

    let mut ended = sagas.list(&SagaFilter::new().ended()).await?;
    ended.sort_by(|one, other| one.key.cmp(&other.key));
    for saga in &ended {
        println!(
            "{}: {} after {}",
            saga.key,
            saga.status.as_str(),
            saga.state()["completed_steps"]
        );
    }
    assert_eq!(
        ended.iter().map(|it| it.status.as_str()).collect::<Vec<_>>(),
        ["completed", "cancelled"]
    );
    assert!(sagas.list(&SagaFilter::new()).await?.is_empty(), "none is forgotten");
    Ok(())
}
