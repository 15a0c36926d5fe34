//! Scenarios of durable handlers that give events up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters, OnFull, Replayed, Retry};
use nexus_events_dispatch::store::{
    Append, EventStore, MemoryStore, Offset, Retention, StateStore,
};
use nexus_events_dispatch::{Bus, Context, Durable, Error, HandlerError, HandlerExt};
use nexus_events_model::{Event, OutcomeStatus};
use serde_json::json;

use super::dead_letters::Disk;
use super::{SECOND, outcome};
use crate::event;

async fn open(store: &Arc<MemoryStore>) -> Bus {
    Bus::builder().store(store.clone()).open().await.unwrap()
}

/// A handler on a task that counts.
fn counts(count: &Arc<AtomicUsize>) -> impl Fn(Event) -> std::future::Ready<()> + use<> {
    let count = count.clone();
    move |_: Event| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(())
    }
}

/// Waits until it holds, while tokio's paused time goes on.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::advance(SECOND / 100).await;
    }
    panic!("it does not come");
}

#[tokio::test(start_paused = true)]
async fn d10_what_a_durable_handler_gives_up_is_parked_and_replayed_after_the_fix() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let (runs, mended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, is_mended) = (runs.clone(), mended.clone());
    let handler = move |_: Event| {
        counted.fetch_add(1, Ordering::Relaxed);
        let is_mended = is_mended.load(Ordering::Relaxed);
        async move { if is_mended { Ok(()) } else { Err("service away") } }
    };
    let handler = handler.with(|options| options.concurrency(64)).durable("billing");
    bus.on("a", handler).unwrap();
    for number in 0..1_000 {
        bus.publish(event("a").retryable(number % 2 == 0)).await.unwrap();
    }
    bus.idle().await;
    let letters = bus.dead_letters().unwrap();
    let all = letters.list(&DeadLetterFilter::new(), usize::MAX);
    let after = |runs: usize| all.iter().filter(|letter| letter.attempts.len() == runs).count();
    assert_eq!((all.len(), after(1), after(4)), (1_000, 500, 500));
    assert_eq!(runs.load(Ordering::Relaxed), 2_500);
    assert_eq!(bus.consumers()[0].acked, Offset::new(1_000));
    // They are there after a restart, and the handler does not get them by itself.
    bus.shutdown(SECOND).await;
    let bus = open(&store).await;
    let letters = bus.dead_letters().unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    bus.on("a", counts(&done).with(|options| options.concurrency(64)).durable("billing")).unwrap();
    bus.idle().await;
    assert_eq!((letters.stats().letters, done.load(Ordering::Relaxed)), (1_000, 0));
    let report = letters.replay_all(&bus, &DeadLetterFilter::new()).await.unwrap();
    assert_eq!((report.succeeded, letters.stats().letters), (1_000, 0));
    assert_eq!(done.load(Ordering::Relaxed), 1_000);
}

#[tokio::test(start_paused = true)]
async fn d11_a_durable_handler_that_panics_on_one_event_in_a_hundred() {
    const EVENTS: usize = 100_000;
    let store = Arc::new(MemoryStore::keeping(Retention::new()));
    let bus = open(&store).await;
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let panics = move |event: &Event| {
        let number = event.payload().get("n").and_then(serde_json::Value::as_u64).unwrap();
        assert!(!number.is_multiple_of(100), "event {number}");
        counted.fetch_add(1, Ordering::Relaxed);
    };
    bus.on("a", panics.durable(Durable::named("billing").retry(Retry::new().max_attempts(2))))
        .unwrap();
    for number in 0..EVENTS {
        bus.publish(event("a").payload(json!({"n": number}))).await.unwrap();
    }
    bus.idle().await;
    let letters = bus.dead_letters().unwrap();
    assert_eq!(done.load(Ordering::Relaxed), EVENTS - EVENTS / 100);
    let all = letters.list(&DeadLetterFilter::new(), usize::MAX);
    assert_eq!(all.len(), EVENTS / 100);
    for letter in &all {
        let number = letter.event.payload().get("n").unwrap().to_string();
        assert_eq!(*letter.error, format!("panicked: event {number}"));
        assert_eq!((letter.outcome, letter.attempts.len()), (OutcomeStatus::Panicked, 2));
    }
    assert_eq!(bus.consumers()[0].acked, Offset::new(EVENTS as u64));
}

#[tokio::test(start_paused = true)]
async fn d20_a_dead_letter_store_that_fails_too() {
    let disk = Disk::default();
    disk.broken.store(true, Ordering::Relaxed);
    let letters = DeadLetters::open(disk.clone()).await.unwrap();
    let builder = Bus::builder().store(Arc::new(MemoryStore::new())).dead_letters(letters.clone());
    let bus = builder.open().await.unwrap();
    let fails = |_: &Event| Err::<(), _>("service away");
    bus.on("a", fails.named("plain").layer(letters.layer())).unwrap();
    let error = outcome(&bus, event("a")).await.error.unwrap();
    assert_eq!(error, "service away; and it could not be parked: disk full");

    let fails = async |_: Event| Err::<(), _>("service away");
    bus.on("b", fails.durable(Durable::named("durable").retry(Retry::new().max_attempts(1))))
        .unwrap();
    bus.publish(event("b")).await.unwrap();
    until(|| letters.stats().refused >= 4).await;
    let stats = bus.consumers().remove(0);
    // It is not acknowledged, and comes again.
    assert_eq!((stats.acked, stats.parked, stats.pending), (Offset::new(1), 0, 1));
    assert!(stats.redelivered >= 2);
    disk.broken.store(false, Ordering::Relaxed);
    bus.idle().await;
    let stats = bus.consumers().remove(0);
    assert_eq!((stats.acked, stats.parked, letters.stats().letters), (Offset::new(2), 1, 1));
}

#[tokio::test(start_paused = true)]
async fn d20_no_room_for_another_dead_letter_loses_nothing() {
    for (on_full, left) in [(OnFull::Refuse, 1), (OnFull::DropOldest, 3)] {
        let store = Arc::new(MemoryStore::new());
        let builder = DeadLetters::builder().letters(1).on_full(on_full);
        let letters = builder.stored(store.clone() as Arc<dyn EventStore>).await.unwrap();
        let bus = Bus::builder().store(store).dead_letters(letters.clone()).open().await.unwrap();
        let fails = async |_: Event| Err::<(), _>(HandlerError::permanent("no"));
        bus.on("a", fails.durable("billing")).unwrap();
        for _ in 0..3 {
            bus.publish(event("a")).await.unwrap();
        }
        until(|| letters.stats().refused >= 4 || letters.stats().dropped == 2).await;
        assert_eq!(bus.consumers()[0].acked, Offset::new(left));
        assert_eq!(letters.stats().letters, 1);
        if on_full == OnFull::Refuse {
            // Somebody makes room, again and again.
            letters.discard(1).await.unwrap();
            until(|| letters.stats().parked == 2).await;
            letters.discard_all(&DeadLetterFilter::new()).await.unwrap();
            bus.idle().await;
            assert_eq!((letters.stats().parked, bus.consumers()[0].acked), (3, Offset::new(3)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d21_patterns_the_same_event_twice_and_a_last_one_run_and_lead_on_twice() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let (runs, downstream) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = runs.clone();
    let handler = move |_: Event, context: Context| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let next = context.bus().stamp(event("order.paid"))?;
            context.commit(Append::of(next)).await.map(drop)
        }
    };
    bus.on("order.created", handler.durable("billing")).unwrap();
    bus.on("order.paid", counts(&downstream).durable("shipping")).unwrap();
    for id in ["evt-1", "evt-1", "evt-last"] {
        bus.publish(event("order.created").id(id)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!((runs.load(Ordering::Relaxed), downstream.load(Ordering::Relaxed)), (2, 2));
    assert_eq!(store.bounds().last, Offset::new(4));
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_a_durable_handler_that_commits_does() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let handler = move |event: Event, context: Context| {
        let is_mended = is_mended.load(Ordering::Relaxed);
        async move {
            if !is_mended {
                return Err(Error::refused("service away"));
            }
            let bill = Append::new().put("bills", event.id().to_string(), "paid");
            context.commit(bill).await.map(drop)
        }
    };
    bus.on("a", handler.durable(Durable::named("billing").retry(Retry::new().max_attempts(1))))
        .unwrap();
    bus.publish(event("a").id("evt-1")).await.unwrap();
    bus.idle().await;
    mended.store(true, Ordering::Relaxed);
    let letters = bus.dead_letters().unwrap();
    assert_eq!(letters.replay(&bus, 1).await.unwrap(), Replayed::Succeeded);
    assert!(store.get("bills", b"evt-1").await.unwrap().is_some());
}
