use std::sync::Arc;

use nexus_events_dispatch::store::{Cancelled, MemoryStore, Offset};
use nexus_events_dispatch::{Context, Durable, HandlerExt, Start};
use nexus_events_model::Event;
use tokio::sync::Notify;

use super::{SECOND, consumer, number, open, pass, publish};
use crate::Log;

#[tokio::test(start_paused = true)]
async fn a_durable_handler_does_not_overtake_the_waves_above_it() {
    let (store, log, gate) =
        (Arc::new(MemoryStore::new()), Log::default(), Arc::new(Notify::new()));
    let bus = open(&store).await;
    let (waits, writes) = (gate.clone(), log.clone());
    let validate = move |_: Event| {
        let writes = writes.clone();
        let waits = waits.clone();
        async move {
            waits.notified().await;
            writes.add("validated");
        }
    };
    bus.on("order.*", validate.named("validate").priority(100)).unwrap();
    bus.on("order.*", log.writes("billed").durable("billing")).unwrap();
    bus.publish(super::numbered(1)).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(log.take().is_empty());
    gate.notify_one();
    bus.idle().await;
    assert_eq!(log.take(), ["validated", "billed"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_higher_wave_cancels_is_not_handled_then_or_later() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let validate = |event: &Event, context: &Context| {
        if number(event) == 1 {
            context.cancel("no amount");
        }
    };
    bus.on("order.*", validate.named("validate").priority(100)).unwrap();
    let handler = |name: &'static str| {
        let log = log.clone();
        move |event: &Event| log.add(format!("{name} {}", number(event)))
    };
    bus.on("order.*", handler("low").durable("low")).unwrap();
    bus.on("order.*", handler("high").priority(200).durable("high")).unwrap();
    publish(&bus, 0..3).await;
    bus.idle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["high 0", "high 1", "high 2", "low 0", "low 2"]);
    assert_eq!(consumer(&bus, "low").cancelled, 1);
    let written = Cancelled::between(&*store, Offset::new(1), Offset::new(9)).await.unwrap();
    assert_eq!(written[&Offset::new(2)].by, "validate");

    let late = Durable::named("late").start(Start::Earliest);
    bus.on("order.*", handler("late").durable(late)).unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["late 0", "late 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_holds_for_durable_handlers_too() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let filter = nexus_events_model::Filter::parse("event_id == 'evt-2'").unwrap();
    bus.on("order.*", log.writes("two").filter(filter).durable("two")).unwrap();
    publish(&bus, 0..4).await;
    bus.idle().await;
    assert_eq!(log.take(), ["two"]);
    assert_eq!(consumer(&bus, "two").acked.number(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_event_published_again_on_its_way_is_not_overtaken() {
    let (store, log, gate) =
        (Arc::new(MemoryStore::new()), Log::default(), Arc::new(Notify::new()));
    let bus = open(&store).await;
    let waits = gate.clone();
    let validate = move |_: Event, context: Context| {
        let waits = waits.clone();
        async move {
            waits.notified().await;
            context.cancel("no amount");
        }
    };
    bus.on("order.*", validate.named("validate").priority(100)).unwrap();
    bus.on("order.*", log.writes("billed").durable("billing")).unwrap();
    bus.publish(super::numbered(1)).await.unwrap();
    assert!(bus.publish(super::numbered(1)).await.unwrap().duplicate);
    pass(SECOND).await;
    assert!(log.take().is_empty());
    gate.notify_one();
    bus.idle().await;
    assert!(log.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_written_down_however_many_events_were_stored_meanwhile() {
    let (store, log, gate) =
        (Arc::new(MemoryStore::new()), Log::default(), Arc::new(Notify::new()));
    let bus = open(&store).await;
    let waits = gate.clone();
    let validate = move |_: Event, context: Context| {
        let waits = waits.clone();
        async move {
            waits.notified().await;
            context.cancel("no amount");
        }
    };
    bus.on("order.*", validate.named("validate").priority(100)).unwrap();
    bus.on("order.*", log.writes("billed").durable("billing")).unwrap();
    bus.publish(super::numbered(1)).await.unwrap();
    // More than are remembered.
    let others = (0..66_000).map(|number| Event::builder("other").id(number.to_string()));
    bus.publish_batch(others).await.unwrap();
    gate.notify_one();
    bus.idle().await;
    assert!(log.take().is_empty());
    let written = Cancelled::between(&*store, Offset::new(1), Offset::new(1)).await.unwrap();
    assert_eq!(written[&Offset::new(1)].reason, "no amount");
}
