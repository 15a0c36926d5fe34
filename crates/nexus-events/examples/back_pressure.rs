//! A handler that is too slow: what each policy keeps, and what it costs the publisher.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::{Duration, Instant};

use nexus_events::dispatch::{Overload, SubscriptionOptions};
use nexus_events::prelude::*;

const EVENTS: u64 = 40;

/// Takes two milliseconds for each reading.
async fn store(_: Event) {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

async fn publish_all(overload: Overload) -> Result<()> {
    let bus = Bus::new();
    let options = |options: SubscriptionOptions| options.name("store").queue(8).overload(overload);
    bus.on("sensor.*", store.with(options))?;

    let began = Instant::now();
    let mut rejected = 0;
    for _ in 0..EVENTS {
        // The receipt says at once whether a handler was skipped.
        rejected += bus.publish(Event::builder("sensor.reading")).await?.rejected;
    }
    let publishing = began.elapsed();
    bus.idle().await;

    let stats = bus.stats();
    let store = stats.handler("store").expect("it is registered");
    println!(
        "{overload:?}: {} handled, {rejected} refused at once, dropped {:?}; publishing took {publishing:.0?}",
        store.execution_count, store.dropped,
    );
    assert_eq!(store.execution_count + store.rejected_count, EVENTS, "nothing is lost in silence");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    publish_all(Overload::Block { timeout: Duration::from_secs(1) }).await?;
    publish_all(Overload::Reject).await?;
    publish_all(Overload::DropOldest).await?;
    publish_all(Overload::DropNewest).await?;
    publish_all(Overload::Sample { one_in: 4 }).await
}
