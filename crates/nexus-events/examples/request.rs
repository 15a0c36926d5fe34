//! Three shops are asked for a price; one of them asks its warehouse first.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use nexus_events::model::EventBuilder;
use nexus_events::patterns::{ErrorKind, Reject, Requests, responder};
use nexus_events::prelude::*;

async fn corner_shop(sku: Payload<String>) -> Result<u64, Reject> {
    match sku.as_str() {
        "pen" => Ok(150),
        other => Err(Reject::new(404, format!("we have no {other}"))),
    }
}

/// What is left of the time of the request it answers is all that its own request has.
async fn department_store(sku: Payload<String>, context: Context) -> Result<u64, Reject> {
    let asked = Event::builder("stock.asked").typed(sku.to_string());
    let left: u64 = context.request(asked).await?;
    if left > 0 { Ok(120) } else { Err(Reject::new(409, "sold out")) }
}

async fn slow_shop() -> Result<u64, Reject> {
    tokio::time::sleep(Duration::from_secs(5)).await;
    Ok(90)
}

fn ask(sku: &str) -> EventBuilder {
    Event::builder("price.asked").typed(sku.to_owned())
}

#[tokio::main]
async fn main() -> nexus_events::patterns::Result<()> {
    let bus = Bus::new();
    let error = bus.request::<u64>(ask("pen")).await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::NoResponders);
    println!("nobody there: {error}");

    bus.respond("price.asked", corner_shop)?;
    bus.on("price.asked", responder(department_store).with(|options| options.concurrency(4)))?;
    bus.respond("price.asked", slow_shop)?;
    bus.respond("stock.asked", |sku: Payload<String>| {
        Ok::<_, Reject>(if *sku.0 == "pen" { 7_u64 } else { 0 })
    })?;

    // The first answer.
    let price: u64 = bus.request(ask("pen")).timeout(Duration::from_secs(1)).await?;
    println!("a pen is {price}");

    // All of them, as long as they come quickly.
    for sku in ["pen", "ink"] {
        let many = bus.request_many::<u64>(ask(sku)).idle(Duration::from_millis(100));
        for answer in many.collect().await? {
            match answer {
                Ok(price) => println!("{sku}: {price}"),
                Err(error) => println!("{sku}: {error}"),
            }
        }
    }

    assert_eq!(bus.pending_requests(), 0);
    println!("{}", serde_json::to_string(&bus.request_stats()).expect("JSON"));
    Ok(())
}
