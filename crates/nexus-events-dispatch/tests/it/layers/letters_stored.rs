//! Dead letters in an event store: of one program after another, and of two at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters, Replayed};
use nexus_events_dispatch::store::{EventStore, MemoryStore};
use nexus_events_dispatch::{Bus, ErrorKind, HandlerExt, ManualClock};
use nexus_events_model::Event;
use serde_json::json;
use time::macros::datetime;
use tokio::sync::Semaphore;

use super::SECOND;
use crate::event;

async fn stored(store: &Arc<MemoryStore>) -> DeadLetters {
    DeadLetters::stored(store.clone() as Arc<dyn EventStore>).await.unwrap()
}

/// A bus whose handler `billing` fails until mended, and counts.
struct Program {
    bus: Bus,
    letters: DeadLetters,
    mended: Arc<AtomicBool>,
    handled: Arc<AtomicUsize>,
}

impl Program {
    async fn open(store: &Arc<MemoryStore>) -> Self {
        // Times are stored to the microsecond.
        let clock = ManualClock::new(datetime!(2026-01-02 03:04:05.678901 UTC));
        Self::with(Bus::builder().clock(clock).build().unwrap(), stored(store).await)
    }

    fn with(bus: Bus, letters: DeadLetters) -> Self {
        let (mended, handled) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (is_mended, counted) = (mended.clone(), handled.clone());
        let handler = move |_: Event| {
            let is_mended = is_mended.load(Ordering::Relaxed);
            counted.fetch_add(usize::from(is_mended), Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                if is_mended { Ok(()) } else { Err("service away") }
            }
        };
        bus.on("**", handler.named("billing").layer(letters.layer())).unwrap();
        Self { bus, letters, mended, handled }
    }

    async fn fail(&self, count: usize) {
        for _ in 0..count {
            self.bus.publish_and_wait(event("order.created")).await.unwrap();
        }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn two_programs_give_each_dead_letter_an_id_of_its_own() {
    let store = Arc::new(MemoryStore::new());
    let (one, other) = (Program::open(&store).await, Program::open(&store).await);
    for _ in 0..5 {
        one.fail(2).await;
        other.fail(3).await;
    }
    let all = stored(&store).await;
    assert_eq!(all.stats().letters, 25);
    one.letters.refresh().await.unwrap();
    assert_eq!(one.letters.list(&DeadLetterFilter::new(), 99).len(), 25);
    one.letters.discard(25).await.unwrap();
    other.letters.refresh().await.unwrap();
    assert!(other.letters.get(25).is_none());
}

#[tokio::test(start_paused = true)]
async fn parallel_replays_of_two_programs_do_it_once() {
    let store = Arc::new(MemoryStore::new());
    let one = Program::open(&store).await;
    one.fail(100).await;
    let other = Program::open(&store).await;
    one.mend();
    other.mend();
    let all = DeadLetterFilter::new();
    let (first, second) = tokio::join!(
        one.letters.replay_all(&one.bus, &all),
        other.letters.replay_all(&other.bus, &all)
    );
    let succeeded = first.unwrap().succeeded + second.unwrap().succeeded;
    assert_eq!((succeeded, one.handled() + other.handled()), (100, 100));
    assert!(one.handled() > 0 && other.handled() > 0);
    assert_eq!(stored(&store).await.stats().letters, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_replayed_elsewhere_is_left_alone_as_long_as_that_lives() {
    let (store, clock) =
        (Arc::new(MemoryStore::new()), ManualClock::new(datetime!(2026-01-02 03:04:05 UTC)));
    let bus = || Bus::builder().clock(clock.clone()).build().unwrap();
    let one = Program::with(bus(), stored(&store).await);
    one.fail(1).await;
    let (hangs, letters, door) = (bus(), stored(&store).await, Arc::new(Semaphore::new(0)));
    let waits = door.clone();
    let handler = move |_: Event| {
        let waits = waits.clone();
        async move { drop(waits.acquire().await) }
    };
    hangs.on("**", handler.named("billing").layer(letters.layer())).unwrap();
    one.mend();
    let mut replay = Box::pin(letters.replay(&hangs, 1));
    for _ in 0..9 {
        // The one at work says again and again that it is.
        assert!(tokio::time::timeout(11 * SECOND, &mut replay).await.is_err());
        clock.advance(11 * SECOND);
        assert_eq!(one.letters.replay(&one.bus, 1).await.unwrap(), Replayed::Pending);
        let edit = one.letters.edit(&one.bus, 1, |event| event.source("shop")).await;
        assert_eq!(edit.unwrap_err().kind(), ErrorKind::Conflict);
    }
    // It says nothing any more.
    drop(replay);
    clock.advance(60 * SECOND);
    assert_eq!(one.letters.replay(&one.bus, 1).await.unwrap(), Replayed::Succeeded);
    door.close();
}

#[tokio::test(start_paused = true)]
async fn several_are_replayed_at_a_time_but_not_those_of_one_key() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let (running, most, mended) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (now, peak, is_mended) = (running.clone(), most.clone(), mended.clone());
    let handler = move |_: Event| {
        let (now, peak, is_mended) = (now.clone(), peak.clone(), is_mended.clone());
        async move {
            if !is_mended.load(Ordering::Relaxed) {
                return Err("service away");
            }
            peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        }
    };
    let by_source =
        |event: &Event| (event.source() != "none").then(|| event.source().to_owned().into());
    let layered = handler
        .named("billing")
        .with(|options| options.concurrency(100).ordered_by(by_source))
        .layer(letters.layer());
    bus.on("**", layered).unwrap();
    for number in 0..20 {
        let source = if number < 10 { "shop" } else { "none" };
        bus.publish_and_wait(event("a").source(source)).await.unwrap();
    }
    mended.store(true, Ordering::Relaxed);
    let shop = DeadLetterFilter::new().key("shop");
    let report = letters.replay_all(&bus, &shop).await.unwrap();
    assert_eq!((report.succeeded, most.swap(0, Ordering::Relaxed)), (10, 1));
    let report = letters.replay_all(&bus, &DeadLetterFilter::new()).await.unwrap();
    assert_eq!((report.succeeded, most.load(Ordering::Relaxed)), (10, 8));
}

#[tokio::test(start_paused = true)]
async fn an_edit_changes_the_event_and_keeps_what_is_known() {
    let store = Arc::new(MemoryStore::new());
    let program = Program::open(&store).await;
    program.bus.publish_and_wait(event("order.created").payload(json!({"a": 1}))).await.unwrap();
    let letters = &program.letters;
    letters.replay(&program.bus, 1).await.unwrap();
    let before = letters.get(1).unwrap();
    let edit = |event: nexus_events_model::EventBuilder| event.payload(json!({"a": 2}));
    let after = letters.edit(&program.bus, 1, edit).await.unwrap();
    assert_eq!(after.event.payload().get("a").unwrap(), 2);
    assert_eq!((after.event.id(), after.replays, after.edits), (before.event.id(), 1, 1));
    assert_eq!((after.first_failure, &after.attempts), (before.first_failure, &before.attempts));
    assert_eq!((after.payload_hash, &after.error), (before.payload_hash, &before.error));
    assert_eq!(stored(&store).await.get(1).unwrap(), after);
    // Failing again keeps the edit.
    letters.replay(&program.bus, 1).await.unwrap();
    let again = stored(&store).await.get(1).unwrap();
    assert_eq!((again.edits, again.replays, again.payload_hash), (1, 2, before.payload_hash));
    assert_eq!(again.event.payload().get("a").unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_checked() {
    let (bus, letters) = (Bus::new(), DeadLetters::builder().bytes(4_000).build().unwrap());
    let fails = |_: &Event| Err::<(), _>("no");
    bus.on("order.*", fails.named("billing").layer(letters.layer())).unwrap();
    bus.publish_and_wait(event("order.created")).await.unwrap();
    let before = letters.get(1).unwrap();
    let check =
        async |change: fn(nexus_events_model::EventBuilder) -> _, kind: &str, text: &str| {
            let error = letters.edit(&bus, 1, change).await.unwrap_err();
            assert_eq!(error.kind().as_str(), kind);
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(letters.get(1).unwrap(), before);
        };
    check(|event| event.id("other"), "refused", "keeps the id").await;
    check(|event| event.event_type("user.created"), "refused", "does not mean `user.created`")
        .await;
    check(|event| event.payload(json!("x".repeat(9_000))), "overloaded", "4000 bytes").await;
    check(|event| event.event_type("?"), "invalid_event_type", "?").await;
    let error = letters.edit(&bus, 7, |event| event).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownDeadLetter);
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_what_another_program_has_changed_does_not_overwrite_it() {
    let store = Arc::new(MemoryStore::new());
    let one = Program::open(&store).await;
    one.fail(1).await;
    let other = Program::open(&store).await;
    one.letters.edit(&one.bus, 1, |event| event.source("one")).await.unwrap();
    let seen = other.letters.edit(&other.bus, 1, |event| event.channel("mail")).await.unwrap();
    assert_eq!((seen.event.source(), seen.event.channel(), seen.edits), ("one", Some("mail"), 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_exported_as_lines_is_the_same_elsewhere() {
    let (store, elsewhere) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let program = Program::open(&store).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = event("order.created").metadata("traceparent", parent);
    program.bus.publish_and_wait(traced).await.unwrap();
    program.fail(2).await;
    let all = DeadLetterFilter::new();
    let lines = program.letters.export_lines(&all);
    assert_eq!(lines.lines().count(), 3);
    let there = stored(&elsewhere).await;
    let imported = there.import_lines(&lines).await.unwrap();
    assert_eq!((imported.parked, imported.known), (3, 0));
    assert_eq!(there.import_lines(&lines).await.unwrap().known, 3);
    assert_eq!(there.list(&all, 9), program.letters.list(&all, 9));
    assert_eq!(there.get(1).unwrap().traceparent().as_deref(), Some(parent));
    let error = there.import_lines(&format!("{lines}\n{{\"id\": 3}}")).await.unwrap_err();
    assert!(error.to_string().starts_with("line 5 is no dead letter: "), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
