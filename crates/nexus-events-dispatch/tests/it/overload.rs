//! What gives way when a queue is full, by policy.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, HandlerExt, Overload, SubscriptionOptions};
use nexus_events_model::{Event, OutcomeStatus, Priority};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::delivery::{gated, settle};
use crate::{Log, event};

/// A bus whose handler is busy with `n.runs`, with room for so many.
async fn busy(queue: usize, overload: Overload) -> (Bus, Log, Arc<Semaphore>) {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let options = |options: SubscriptionOptions| options.name("it").queue(queue).overload(overload);
    bus.on("n.*", gated(&gate, &log).with(options)).unwrap();
    bus.publish(event("n.runs")).await.unwrap();
    settle().await;
    (bus, log, gate)
}

/// Publishes one event after another, and gives back what ran besides the first.
async fn run(overload: Overload, events: &[(&str, Priority)]) -> (Vec<String>, Bus) {
    let (bus, log, gate) = busy(4, overload).await;
    for (name, priority) in events {
        bus.publish(event(&format!("n.{name}")).priority(*priority)).await.unwrap();
    }
    gate.close();
    bus.idle().await;
    let mut ran = log.take();
    assert_eq!(ran.remove(0), "n.runs");
    ran.iter_mut().for_each(|name| *name = name.split_off(2));
    ran.sort();
    (ran, bus)
}

fn dropped(bus: &Bus) -> serde_json::Value {
    let stats = serde_json::to_value(bus.stats()).unwrap();
    stats["handlers"]["it"]["dropped"].clone()
}

const NORMAL: [(&str, Priority); 6] = [
    ("0", Priority::Normal),
    ("1", Priority::Normal),
    ("2", Priority::Normal),
    ("3", Priority::Normal),
    ("4", Priority::Normal),
    ("5", Priority::Normal),
];

#[tokio::test]
async fn reject_skips_at_once() {
    let (ran, bus) = run(Overload::Reject, &NORMAL).await;
    assert_eq!(ran, ["0", "1", "2", "3"]);
    assert_eq!((dropped(&bus), bus.stats().handler("it").unwrap().rejected_count), (json!({}), 2));
}

#[tokio::test]
async fn drop_oldest_keeps_the_latest() {
    let (ran, bus) = run(Overload::DropOldest, &NORMAL).await;
    assert_eq!(ran, ["2", "3", "4", "5"]);
    assert_eq!(dropped(&bus), json!({"oldest": 2}));
    assert_eq!(bus.stats().handler("it").unwrap().rejected_count, 2);
}

#[tokio::test]
async fn drop_newest_keeps_the_first() {
    let (ran, bus) = run(Overload::DropNewest, &NORMAL).await;
    assert_eq!(ran, ["0", "1", "2", "3"]);
    assert_eq!(dropped(&bus), json!({"newest": 2}));
}

#[tokio::test]
async fn sample_lets_one_in_so_many_in_from_half_full_on() {
    let (ran, bus) = run(Overload::Sample { one_in: 3 }, &NORMAL).await;
    // Half full after two; then the first of three, and three passed over or dropped.
    assert_eq!(ran, ["0", "1", "2", "5"]);
    assert_eq!(dropped(&bus), json!({"sampled": 2}));
    let (ran, _) = run(Overload::Sample { one_in: 0 }, &NORMAL[..4]).await;
    assert_eq!(ran, ["0", "1", "2", "3"], "0 counts as 1");
}

#[tokio::test]
async fn a_critical_event_is_never_dropped_before_a_lower_one() {
    let mixed = [
        ("0", Priority::Critical),
        ("1", Priority::Low),
        ("2", Priority::Critical),
        ("3", Priority::Normal),
        ("4", Priority::Critical),
        ("5", Priority::Critical),
    ];
    for overload in
        [Overload::DropOldest, Overload::DropNewest, Overload::Sample { one_in: 1_000_000 }]
    {
        let (ran, bus) = run(overload, &mixed).await;
        assert_eq!(ran, ["0", "2", "4", "5"], "{overload:?}");
        assert_eq!(bus.stats().handler("it").unwrap().rejected_count, 2);
    }
}

#[tokio::test]
async fn what_ranks_lower_than_all_that_wait_is_dropped_itself() {
    let high = [("0", Priority::High); 4].into_iter().chain([("low", Priority::Low)]);
    let events: Vec<_> = high.collect();
    let (ran, bus) = run(Overload::DropOldest, &events).await;
    assert_eq!((ran.len(), dropped(&bus)), (4, json!({"outranked": 1})));
    assert!(!ran.contains(&"low".to_owned()));
}

#[tokio::test]
async fn nothing_is_dropped_for_an_event_bigger_than_the_whole_queue() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let options = |options: SubscriptionOptions| {
        options.name("it").queue_bytes(2_000).overload(Overload::DropOldest)
    };
    bus.on("n.*", gated(&gate, &log).with(options)).unwrap();
    for name in ["n.runs", "n.waits"] {
        bus.publish(event(name)).await.unwrap();
        settle().await;
    }
    bus.publish(event("n.big").payload(json!("x".repeat(5_000)))).await.unwrap();
    assert_eq!(dropped(&bus), json!({"too_big": 1}));
    gate.close();
    bus.idle().await;
    assert_eq!(log.take(), ["n.runs", "n.waits"]);
}

#[tokio::test]
async fn a_dropped_event_goes_on_to_lower_handlers_and_its_report_says_why() {
    let (bus, log, gate) = busy(1, Overload::DropOldest).await;
    bus.on("n.*", log.writes("lower").named("lower").priority(-1)).unwrap();
    let dropped = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_and_wait(event("n.dropped")).await.unwrap() }
    });
    settle().await;
    let receipt = bus.publish(event("n.newer")).await.unwrap();
    assert_eq!((receipt.matched, receipt.rejected), (2, 0), "the newer one lost nothing");
    let report = dropped.await.unwrap();
    let outcome = report.outcome("it").unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert_eq!(outcome.error.as_deref(), Some("a newer event took its place in a full queue"));
    assert_eq!(report.outcome("lower").unwrap().status, OutcomeStatus::Success);
    gate.close();
    bus.idle().await;
    assert_eq!(bus.stats().events.handled_events, 3);
}

#[tokio::test]
async fn a_receipt_counts_what_was_dropped_at_once() {
    for overload in [Overload::Reject, Overload::DropNewest] {
        let (bus, _, gate) = busy(1, overload).await;
        let receipts = bus.publish_batch(["n.0", "n.1", "n.2"].map(Event::builder)).await.unwrap();
        let rejected: Vec<usize> = receipts.iter().map(|receipt| receipt.rejected).collect();
        assert_eq!(rejected, [0, 1, 1], "{overload:?}");
        gate.close();
        bus.idle().await;
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.skipped_events), (2, 2));
    }
}
