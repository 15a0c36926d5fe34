//! Three workers share the jobs of many users; the jobs of one user stay in order.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use nexus_events::dispatch::SubscriptionOptions;
use nexus_events::prelude::*;
use serde_json::json;

async fn work(event: Event, context: Context) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let user = event.user_id().map(ToString::to_string).unwrap_or_default();
    let step = event.payload().get("step").cloned().unwrap_or_default();
    println!("{}: {user}, step {step}", context.handler());
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = Bus::new();
    // All consumers of a group share its queue and its key.
    let shared = SubscriptionOptions::new()
        .group("workers")
        .ordered_by(|event| event.user_id().map(|user| user.to_string().into()))
        .concurrency(1);
    let mut workers = Vec::new();
    for name in ["worker-1", "worker-2", "worker-3"] {
        workers.push(bus.on("job.*", work.with(|_| shared.clone().name(name)))?);
    }

    for step in 1..=4 {
        for user in ["ada", "bob", "cleo", "dan"] {
            let job = Event::builder("job.step").user_id(user).payload(json!({"step": step}));
            let receipt = bus.publish(job).await?;
            assert_eq!(receipt.matched, 1, "one of the three gets it");
        }
    }
    // What waits when one of them leaves goes to the others.
    tokio::time::sleep(Duration::from_millis(8)).await;
    workers.remove(0).unsubscribe().await;
    bus.idle().await;

    let stats = bus.stats();
    for worker in &stats.handlers {
        println!("{} is still there and did {} jobs", worker.handler_id, worker.execution_count);
    }
    assert_eq!(stats.events.handled_events, 16);
    Ok(())
}
