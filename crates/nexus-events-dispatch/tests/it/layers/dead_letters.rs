//! Events that a handler gave up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{
    DeadLetter, DeadLetterFilter, DeadLetterStore, DeadLetters, Replayed, Retry, Timeout,
};
use nexus_events_dispatch::{
    BoxFuture, Bus, Error, ErrorKind, HandlerError, HandlerExt, ManualClock, Mode, Result, Status,
};
use nexus_events_model::{Event, Filter, OutcomeStatus, Pattern};
use parking_lot::Mutex;
use serde_json::json;
use time::macros::datetime;
use tokio::sync::Semaphore;

use super::{Calls, MILLI, nothing, outcome};
use crate::event;

fn fails(_: &Event) -> std::result::Result<(), HandlerError> {
    Err("connection lost".into())
}

/// A store in memory that fails when told to.
#[derive(Clone, Default)]
pub(super) struct Disk {
    letters: Arc<Mutex<std::collections::BTreeMap<u64, String>>>,
    pub(super) broken: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> Result<()> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(Error::store("disk full")),
            false => Ok(()),
        }
    }
}

impl DeadLetterStore for Disk {
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        let read = |json: &String| DeadLetter::from_json(&serde_json::from_str(json).unwrap());
        let letters = self.letters.lock().values().map(read).collect();
        Box::pin(std::future::ready(letters))
    }

    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.check()?;
            self.letters.lock().insert(letter.id, letter.to_json().to_string());
            Ok(())
        })
    }

    fn remove(&self, id: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.check()?;
            self.letters.lock().remove(&id);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_everything() {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let bus = Bus::builder().clock(clock.clone()).build().unwrap();
    let letters = DeadLetters::new();
    let slow = move |_: &Event| {
        clock.advance(Duration::from_secs(1));
        Err::<(), _>("connection lost")
    };
    let layered = slow.named("billing").layer(letters.layer()).layer(Retry::new());
    bus.on("order.*", layered).unwrap();
    let order = event("order.created").id("evt-1").max_retries(1).correlation_id("order-42");
    bus.publish_and_wait(order).await.unwrap();
    let letter = letters.get(1).unwrap();
    assert_eq!((letter.event.id(), &*letter.handler), (&"evt-1".try_into().unwrap(), "billing"));
    assert_eq!((letter.pattern.as_str(), letter.replays), ("order.*", 0));
    assert_eq!((letter.status, letter.outcome), (Status::Exhausted, OutcomeStatus::Error));
    assert_eq!(*letter.correlation_id().unwrap(), "order-42");
    assert_eq!(letter.first_failure, datetime!(2026-01-02 03:04:05 UTC));
    assert_eq!(letter.attempts[1].started, datetime!(2026-01-02 03:04:06 UTC));
    assert_eq!(letter.last_failure, datetime!(2026-01-02 03:04:07 UTC));
    assert_eq!(DeadLetter::from_json(&letter.to_json()).unwrap(), letter);
    assert_eq!(letters.export(&DeadLetterFilter::new()), json!([letter.to_json()]));
    assert_eq!(letter.to_json()["correlation_id"], "order-42");

    letters.replay(&bus, 1).await.unwrap();
    let letter = letters.get(1).unwrap();
    assert_eq!(letter.first_failure, datetime!(2026-01-02 03:04:05 UTC));
    assert_eq!(letter.last_failure, datetime!(2026-01-02 03:04:09 UTC));
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_is_parked() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let hangs = async |_: Event| std::future::pending::<()>().await;
    let panics = |_: &Event| -> () { panic!("oops") };
    let panics_later = async |_: Event| -> () { panic!("oops") };
    bus.on("a", fails.layer(letters.layer())).unwrap();
    bus.on("a", hangs.layer(letters.layer()).layer(Timeout::new(MILLI))).unwrap();
    bus.on("a", panics.layer(letters.layer())).unwrap();
    bus.on("a", panics_later.layer(letters.layer())).unwrap();
    bus.on("a", panics.mode(Mode::Blocking).layer(letters.layer())).unwrap();
    bus.on("a", nothing.layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    let list = letters.list(&DeadLetterFilter::new(), 99);
    let mut errors: Vec<&str> = list.iter().map(|letter| &*letter.error).collect();
    errors.sort_unstable();
    let panicked = "panicked: oops";
    assert_eq!(errors, ["connection lost", panicked, panicked, panicked, "timed out after 1ms"]);
    assert!(list.iter().all(|letter| letter.attempts.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_the_id_and_runs_one_handler() {
    let (bus, letters, calls) = (Bus::new(), DeadLetters::new(), Calls::new());
    let layered = calls.fails(5).named("billing").layer(letters.layer()).layer(Retry::new());
    bus.on("a", layered).unwrap();
    let others = Calls::new();
    bus.on("a", others.fails(0)).unwrap();
    bus.publish_and_wait(event("a").id("evt-1").max_retries(1)).await.unwrap();

    let again = letters.replay(&bus, 1).await.unwrap();
    assert_eq!(again, Replayed::Failed("failure 4".into()));
    let letter = letters.get(1).unwrap();
    assert_eq!((letter.replays, letter.attempts.len(), &*letter.error), (1, 2, "failure 4"));
    assert_eq!(*letter.event.id(), "evt-1");

    assert_eq!(letters.replay(&bus, 1).await.unwrap(), Replayed::Succeeded);
    assert_eq!((calls.count(), others.count(), letters.get(1)), (6, 1, None));
    assert_eq!(letters.replay(&bus, 1).await.unwrap_err().kind(), ErrorKind::UnknownDeadLetter);
    let stats = letters.stats();
    assert_eq!((stats.letters, stats.bytes, stats.parked, stats.replayed), (0, 0, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_replay_is_nothing_while_one_is_on_its_way() {
    let (bus, letters, gate) = (Bus::new(), DeadLetters::new(), Arc::new(Semaphore::new(1)));
    let (held, calls) = (gate.clone(), Calls::new());
    let counted = calls.clone();
    let waits = move |_: Event| {
        let (gate, call) = (held.clone(), counted.add());
        async move {
            gate.acquire().await.unwrap().forget();
            if call == 1 { Err("connection lost") } else { Ok(()) }
        }
    };
    bus.on("a", waits.layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    let first = tokio::spawn({
        let (bus, letters) = (bus.clone(), letters.clone());
        async move { letters.replay(&bus, 1).await.unwrap() }
    });
    while calls.count() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(letters.replay(&bus, 1).await.unwrap(), Replayed::Pending);
    gate.add_permits(1);
    assert_eq!((first.await.unwrap(), calls.count()), (Replayed::Succeeded, 2));
}

#[tokio::test]
async fn a_replay_without_its_handler_changes_nothing() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let subscription = bus.on("a", fails.named("billing").layer(letters.layer())).unwrap();
    bus.publish(event("a")).await.unwrap();
    subscription.unsubscribe().await;
    for _ in 0..2 {
        let error = letters.replay(&bus, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownHandler);
        let report = letters.replay_all(&bus, &DeadLetterFilter::new()).await.unwrap();
        assert_eq!(report.skipped, 1);
    }
    let never = Filter::parse("payload.amount > 100").unwrap();
    bus.on("a", nothing.named("billing").filter(never)).unwrap();
    let skipped = Replayed::Skipped("the filter does not hold".into());
    assert_eq!(letters.replay(&bus, 1).await.unwrap(), skipped);
    assert!(letters.get(1).is_some());
}

#[tokio::test]
async fn they_are_found_page_by_page_and_discarded() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    bus.on("order.*", fails.named("billing").layer(letters.layer())).unwrap();
    bus.on("**", fails.named("audit").layer(letters.layer())).unwrap();
    for amount in 1..=5 {
        bus.publish(event("order.created").payload(json!({"amount": amount}))).await.unwrap();
        bus.publish(event("user.created")).await.unwrap();
    }
    let check = |filter: DeadLetterFilter, limit: usize, expected: &[u64]| {
        let ids: Vec<u64> = letters.list(&filter, limit).iter().map(|letter| letter.id).collect();
        assert_eq!(ids, expected);
    };
    let all = DeadLetterFilter::new;
    check(all(), 3, &[1, 2, 3]);
    check(all().after(13), 99, &[14, 15]);
    check(all().handler("billing"), 99, &[1, 4, 7, 10, 13]);
    check(all().pattern(Pattern::new("user.*").unwrap()), 2, &[3, 6]);
    check(
        all().handler("billing").filter(Filter::parse("payload.amount > 3").unwrap()),
        99,
        &[10, 13],
    );
    check(all().key("none"), 99, &[]);

    assert_eq!(letters.discard(4).await.unwrap().id, 4);
    assert_eq!(letters.discard(4).await.unwrap_err().kind(), ErrorKind::UnknownDeadLetter);
    let report = letters.replay_all(&bus, &all().handler("billing")).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.skipped), (0, 4, 0));
    let stats = letters.stats();
    assert_eq!((stats.letters, stats.discarded), (14, 1));
}

#[tokio::test(start_paused = true)]
async fn when_they_are_full_the_outcome_shows_both_errors() {
    for letters in [DeadLetters::bounded(1, 1 << 20), DeadLetters::bounded(99, 2_000)] {
        let bus = Bus::new();
        bus.on("a", fails.layer(letters.layer())).unwrap();
        let payload = json!("x".repeat(1_000));
        assert_eq!(
            outcome(&bus, event("a").payload(payload.clone())).await.error.as_deref(),
            Some("connection lost")
        );
        let lost = outcome(&bus, event("a").payload(payload)).await;
        assert_eq!(lost.status, OutcomeStatus::Error);
        let text = lost.error.unwrap();
        assert!(text.starts_with("connection lost; and it could not be parked: "), "{text}");
        assert!(text.contains("are the most; replay or discard some"), "{text}");
        let stats = letters.stats();
        assert_eq!((stats.letters, stats.parked, stats.refused), (1, 1, 1));
    }
}

#[tokio::test]
async fn a_long_error_is_cut() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let long = |_: &Event| Err::<(), _>("é".repeat(1_000_000));
    bus.on("a", long.layer(letters.layer())).unwrap();
    bus.publish(event("a")).await.unwrap();
    let letter = letters.get(1).unwrap();
    assert_eq!((letter.error.len(), letter.attempts[0].error.len()), (4_096, 4_096));
}

#[tokio::test(start_paused = true)]
async fn d20_when_parking_fails_both_errors_show_and_the_event_stays_failed() {
    let disk = Disk::default();
    disk.broken.store(true, Ordering::Relaxed);
    let letters = DeadLetters::open(disk).await.unwrap();
    let fails_async = async |_: Event| Err::<(), _>("connection lost");
    let cases = [
        fails.layer(letters.layer()),
        fails.mode(Mode::Blocking).layer(letters.layer()),
        fails
            .with(|options| options.mode(Mode::Queued).ordered_by(|_: &Event| None))
            .layer(letters.layer()),
        fails_async.layer(letters.layer()),
        fails.layer(letters.layer()).layer(Retry::new()),
        fails_async.layer(letters.layer()).layer(Retry::new()),
    ];
    for handler in cases {
        let bus = Bus::new();
        bus.on("a", handler).unwrap();
        let failed = outcome(&bus, event("a")).await;
        assert_eq!(failed.status, OutcomeStatus::Error);
        assert_eq!(
            failed.error.as_deref(),
            Some("connection lost; and it could not be parked: disk full")
        );
    }
    let stats = letters.stats();
    assert_eq!((stats.letters, stats.bytes, stats.refused), (0, 0, 6));
}

#[tokio::test(start_paused = true)]
async fn a_store_holds_them_longer_than_the_program() {
    let disk = Disk::default();
    let bus = Bus::new();
    let letters = DeadLetters::open(disk.clone()).await.unwrap();
    bus.on("a", fails.named("billing").layer(letters.layer())).unwrap();
    for id in ["evt-1", "evt-2"] {
        // The report comes when it is stored, although the handler is inline.
        bus.publish_and_wait(event("a").id(id)).await.unwrap();
    }
    assert_eq!(disk.letters.lock().len(), 2);

    let (bus, calls) = (Bus::new(), Calls::new());
    let letters = DeadLetters::open(disk.clone()).await.unwrap();
    bus.on("a", calls.fails(1).named("billing").layer(letters.layer())).unwrap();
    assert!(matches!(letters.replay(&bus, 1).await.unwrap(), Replayed::Failed(_)));
    let stored = disk.letters.lock()[&1].clone();
    assert!(stored.contains("failure 1") && stored.contains(r#""replays":1"#), "{stored}");
    disk.broken.store(true, Ordering::Relaxed);
    assert_eq!(letters.replay(&bus, 1).await.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(letters.stats().letters, 2);
    disk.broken.store(false, Ordering::Relaxed);
    assert_eq!(letters.replay(&bus, 1).await.unwrap(), Replayed::Succeeded);
    letters.discard(2).await.unwrap();
    assert!(disk.letters.lock().is_empty());
    bus.on("b", fails.layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("b")).await.unwrap();
    assert!(letters.get(3).is_some());
}

#[test]
fn an_inline_handler_needs_a_runtime_to_wait_for_a_store() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let letters = runtime.block_on(DeadLetters::open(Disk::default())).unwrap();
    let error = Bus::new().on("a", fails.layer(letters.layer())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    Bus::new().on("a", fails.layer(DeadLetters::new().layer())).unwrap();
}

#[test]
fn what_is_no_dead_letter_is_refused_by_name() {
    let error = DeadLetter::from_json(&json!({"id": 1})).unwrap_err();
    assert!(error.to_string().contains("`attempts`"), "{error}");
}
