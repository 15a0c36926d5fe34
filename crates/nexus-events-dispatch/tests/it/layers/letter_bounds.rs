//! How many dead letters are kept, for how long, and events about them.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters, OnFull};
use nexus_events_dispatch::store::{EventStore, MemoryStore};
use nexus_events_dispatch::{Bus, Error, HandlerExt, ManualClock};
use nexus_events_model::Event;
use time::macros::datetime;

use super::{check_refused, outcome};
use crate::{Log, event};

const HOUR: Duration = Duration::from_secs(3_600);

fn fails(_: &Event) -> Result<(), &'static str> {
    Err("service away")
}

fn ids(letters: &DeadLetters) -> Vec<u64> {
    letters.list(&DeadLetterFilter::new(), 99).iter().map(|letter| letter.id).collect()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_where_that_is_wanted() {
    let store = Arc::new(MemoryStore::new());
    let builder = || DeadLetters::builder().letters(3).on_full(OnFull::DropOldest);
    let stored = builder().stored(store.clone() as Arc<dyn EventStore>).await.unwrap();
    for letters in [builder().build().unwrap(), stored.clone()] {
        let bus = Bus::new();
        bus.on("a", fails.layer(letters.layer())).unwrap();
        for _ in 0..5 {
            bus.publish_and_wait(event("a")).await.unwrap();
        }
        assert_eq!(ids(&letters), [3, 4, 5]);
        let stats = letters.stats();
        assert_eq!((stats.parked, stats.dropped, stats.refused, stats.letters_max), (5, 2, 0, 3));
    }
    let there = DeadLetters::stored(store as Arc<dyn EventStore>).await.unwrap();
    assert_eq!(ids(&there), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn what_fits_never_makes_no_room() {
    let letters = DeadLetters::builder().bytes(2_000).on_full(OnFull::DropOldest).build().unwrap();
    let bus = Bus::new();
    bus.on("a", fails.layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    let large = event("a").payload(serde_json::json!("x".repeat(9_000)));
    let error = outcome(&bus, large).await.error.unwrap();
    assert!(error.contains("2000 bytes of dead letters are the most"), "{error}");
    assert_eq!(ids(&letters), [1]);
}

#[tokio::test(start_paused = true)]
async fn those_too_old_are_discarded_when_another_is_parked() {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let store = Arc::new(MemoryStore::new());
    let builder = || DeadLetters::builder().expire_after(2 * HOUR);
    let stored = builder().stored(store.clone() as Arc<dyn EventStore>).await.unwrap();
    for letters in [builder().build().unwrap(), stored] {
        let bus = Bus::builder().clock(clock.clone()).build().unwrap();
        bus.on("a", fails.layer(letters.layer())).unwrap();
        for _ in 0..4 {
            bus.publish_and_wait(event("a")).await.unwrap();
            clock.advance(HOUR);
        }
        assert_eq!(ids(&letters), [2, 3, 4]);
        assert_eq!((letters.stats().expired, letters.stats().discarded), (1, 0));
        // A time that cannot be meant.
        assert_eq!(letters.expire(datetime!(-9999-01-01 00:00 UTC)).await.unwrap(), 0);
        assert_eq!(letters.expire(bus.now() + 9 * HOUR).await.unwrap(), 3);
    }
    assert_eq!(DeadLetters::stored(store as Arc<dyn EventStore>).await.unwrap().stats().letters, 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_match_are_discarded_together() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    bus.on("**", fails.named("billing").layer(letters.layer())).unwrap();
    for name in ["a.one", "b.one", "a.two"] {
        bus.publish_and_wait(event(name)).await.unwrap();
    }
    let filter = DeadLetterFilter::new().pattern("a.*".parse().unwrap());
    assert_eq!(letters.discard_all(&filter).await.unwrap(), 2);
    assert_eq!((ids(&letters), letters.stats().discarded), (vec![2], 2));
}

#[tokio::test(start_paused = true)]
async fn an_event_says_that_another_was_parked() {
    let bus = Bus::new();
    let letters = DeadLetters::builder().failure_events(true).build().unwrap();
    let (log, written) = (Log::default(), Log::default());
    let write = written.clone();
    let seen = move |event: &Event| {
        write.add(format!("{} {}", event.source(), event.payload().value().unwrap()));
    };
    bus.on("system.dead_letter.parked", seen).unwrap();
    bus.on("**", log.writes("any")).unwrap();
    bus.on("order.*", fails.named("billing").layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("order.created").id("evt-1").correlation_id("c-1")).await.unwrap();
    bus.idle().await;
    let text = r#"nexus {"attempts":1,"error":"service away","event_id":"evt-1","event_type":"order.created","handler":"billing","id":1}"#;
    assert_eq!((written.take(), log.take().len()), (vec![text.to_owned()], 2));
    let history = bus.history(9, None);
    assert_eq!(history[1].correlation_id().unwrap(), history[0].correlation_id().unwrap());
    assert_eq!(history[1].causation_id().unwrap().to_string(), "evt-1");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_at_failure_events_goes_in_no_circle() {
    let bus = Bus::new();
    let letters = DeadLetters::builder().failure_events(true).build().unwrap();
    bus.on("**", fails.named("all").layer(letters.layer())).unwrap();
    let later = async |event: Event| fails(&event);
    bus.on("system.**", later.named("later").layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("order.created")).await.unwrap();
    bus.idle().await;
    // The event, and the one that says so, which both handlers fail at.
    assert_eq!((bus.stats().events.total_events, letters.stats().letters), (2, 3));
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let builder = DeadLetters::builder;
    let check = |built: Result<DeadLetters, Error>, text| check_refused(built, text);
    check(builder().letters(0).build(), "at least 1");
    check(builder().expire_after(Duration::ZERO).build(), "more than 0");
}
