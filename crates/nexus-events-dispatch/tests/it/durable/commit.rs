use std::sync::Arc;

use nexus_events_dispatch::store::{Append, EventStore, MemoryStore, StateStore};
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt};
use nexus_events_model::Event;

use super::{SECOND, numbered, open, pass, process};
use crate::Log;

async fn bill(event: &Event, context: &Context) {
    let paid = context.bus().stamp(Event::builder("order.paid")).unwrap();
    let append = Append::of(paid).put("bills", event.id().to_string(), "paid");
    context.commit(append).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn state_and_events_of_a_commit_are_stored_and_dispatched_once() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let writes = log.clone();
    let billing = move |event: Event, context: Context| {
        let writes = writes.clone();
        async move {
            bill(&event, &context).await;
            writes.add(format!("billed {}", context.attempt()));
            // The event is handled all the same.
            Err::<(), _>("too late")
        }
    };
    bus.on("order.created", billing.durable("billing")).unwrap();
    bus.on("order.paid", log.writes("live")).unwrap();
    bus.on("order.paid", log.writes("durable").durable("shipping")).unwrap();
    bus.publish(numbered(1)).await.unwrap();
    bus.idle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["billed 1", "durable", "live"]);
    assert_eq!(store.bounds().len(), 2);
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 0);
}

#[test]
fn a_crash_after_the_commit_does_not_repeat_it() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let subscribe = |bus: &Bus| {
        let log = log.clone();
        let billing = move |event: Event, context: Context| {
            let log = log.clone();
            async move {
                log.add("called");
                bill(&event, &context).await;
                std::future::pending::<()>().await;
            }
        };
        bus.on("order.created", billing.durable("billing")).unwrap();
    };
    for round in 0..2 {
        process().block_on(async {
            let bus = open(&store).await;
            subscribe(&bus);
            if round == 0 {
                bus.publish(numbered(1)).await.unwrap();
            }
            pass(SECOND).await;
        });
    }
    assert_eq!(log.take(), ["called"]);
    assert_eq!(store.bounds().len(), 2);
    process().block_on(async {
        // What the commit had said is folded into the cursor.
        let left = nexus_events_dispatch::store::Scan::of("nexus.handled");
        assert!(store.scan(left).await.unwrap().is_empty());
    });
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_changes_nothing() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let writes = log.clone();
    let billing = move |event: Event, context: Context| {
        let writes = writes.clone();
        async move {
            let expected = nexus_events_dispatch::store::Expected::Absent;
            let append = Append::new().put_if(expected, "bills", "all", event.id().to_string());
            match context.commit(append).await {
                Err(error) => {
                    writes.add(error.kind().as_str());
                    Err(error)
                }
                Ok(_) => Ok(()),
            }
        }
    };
    bus.on("order.created", billing.durable("billing")).unwrap();
    bus.publish(numbered(1)).await.unwrap();
    bus.publish(numbered(2)).await.unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["conflict"; 4]);
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 1);
    assert_eq!(store.get("bills", b"all").await.unwrap().unwrap().value, b"evt-1");
}

#[tokio::test]
async fn only_a_durable_handler_commits_and_once() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let plain = async |_: Event, context: Context| {
        assert_eq!(context.commit(Append::new()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    };
    bus.on("order.created", plain.named("plain")).unwrap();
    let writes = log.clone();
    let twice = move |_: Event, context: Context| {
        let writes = writes.clone();
        async move {
            context.commit(Append::new().put("a", "b", "c")).await.unwrap();
            let second = context.commit(Append::new().put("a", "b", "d")).await.unwrap_err();
            writes.add(second.kind().as_str());
        }
    };
    bus.on("order.created", twice.durable("twice")).unwrap();
    let report = bus.publish_and_wait(numbered(1)).await.unwrap();
    assert!(report.is_success());
    bus.idle().await;
    assert_eq!(log.take(), ["unsupported"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_before_under_its_key_is_not_dispatched_again() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let pay = async |_: Event, context: Context| {
        let paid = context.bus().stamp(Event::builder("order.paid"))?;
        context.commit(Append::of(paid).idempotency_key("payment-7")).await.map(drop)
    };
    bus.on("order.created", pay.durable("billing")).unwrap();
    bus.on("order.paid", log.writes("live")).unwrap();
    bus.on("order.paid", log.writes("durable").durable("shipping")).unwrap();
    for number in 0..2 {
        bus.publish(numbered(number)).await.unwrap();
        bus.idle().await;
    }
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["durable", "live"]);
    assert_eq!(super::consumer(&bus, "billing").handled, 2);
}
