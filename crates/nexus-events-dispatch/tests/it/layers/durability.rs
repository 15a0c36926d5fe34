//! Scenarios of delivery: retries, dead letters and timeouts under many events.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters, Jitter, Retry, Timeout};
use nexus_events_dispatch::{Bus, HandlerExt, ManualClock, Mode};
use nexus_events_model::{Event, OutcomeStatus};
use parking_lot::Mutex;
use time::macros::datetime;
use tokio::time::Instant;

use super::{Calls, MILLI, SECOND};
use crate::event;

#[tokio::test(start_paused = true)]
async fn durability_d09_two_failures_then_success_for_a_thousand_events() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let runs: Arc<Mutex<HashMap<String, Vec<Instant>>>> = Arc::default();
    let noted = runs.clone();
    let third = move |event: &Event| {
        let mut runs = noted.lock();
        let runs = runs.entry(event.id().to_string()).or_default();
        runs.push(Instant::now());
        if runs.len() < 3 { Err("not yet") } else { Ok(()) }
    };
    bus.on("a", third.layer(letters.layer()).layer(Retry::new().seed(9))).unwrap();
    for _ in 0..1_000 {
        bus.publish(event("a").max_retries(3)).await.unwrap();
    }
    bus.idle().await;
    let runs = runs.lock();
    assert_eq!(runs.values().map(Vec::len).sum::<usize>(), 3_000);
    assert_eq!(bus.stats().events.handled_events, 1_000);
    assert_eq!(letters.stats().parked, 0);
    // Full jitter: anything from 0 to 100 and 200 ms, and tokio's timer rounds up to a millisecond.
    let mut longest = [Duration::ZERO; 2];
    for runs in runs.values() {
        for (n, bound) in [100 * MILLI, 200 * MILLI].into_iter().enumerate() {
            let gap = runs[n + 1] - runs[n];
            assert!(gap <= bound + MILLI, "{gap:?}");
            longest[n] = longest[n].max(gap);
        }
    }
    assert!(longest[0] > 90 * MILLI && longest[1] > 180 * MILLI, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn durability_d10_what_always_fails_is_parked_and_replayed_after_the_fix() {
    let (bus, letters, calls) = (Bus::new(), DeadLetters::new(), Calls::new());
    let (counted, mended) = (calls.clone(), Arc::new(AtomicBool::new(false)));
    let is_mended = mended.clone();
    let handler = move |_: &Event| {
        counted.add();
        if is_mended.load(Ordering::Relaxed) { Ok(()) } else { Err("service away") }
    };
    bus.on("a", handler.layer(letters.layer()).layer(Retry::new())).unwrap();
    for number in 0..1_000 {
        bus.publish(event("a").retryable(number % 2 == 0)).await.unwrap();
    }
    bus.idle().await;
    let all = letters.list(&DeadLetterFilter::new(), usize::MAX);
    let after = |runs: usize| all.iter().filter(|letter| letter.attempts.len() == runs).count();
    assert_eq!((all.len(), after(1), after(4), calls.count()), (1_000, 500, 500, 2_500));
    mended.store(true, Ordering::Relaxed);
    let report = letters.replay_all(&bus, &DeadLetterFilter::new()).await.unwrap();
    assert_eq!((report.succeeded, letters.stats().letters), (1_000, 0));
    assert_eq!((letters.stats().replayed, calls.count()), (1_000, 3_500));
}

#[tokio::test(start_paused = true)]
async fn durability_d11_a_handler_that_panics_on_one_event_in_a_hundred() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let done = Arc::new(AtomicUsize::new(0));
    for (pattern, mode) in [("inline", Mode::Inline), ("queued", Mode::Queued)] {
        let done = done.clone();
        let panics = move |event: &Event| {
            let number = event.payload().get("n").and_then(serde_json::Value::as_u64).unwrap();
            assert!(!number.is_multiple_of(100), "event {number}");
            done.fetch_add(1, Ordering::Relaxed);
        };
        let layered = panics.mode(mode);
        bus.on(pattern, layered.layer(letters.layer()).layer(Retry::new())).unwrap();
    }
    let numbered = |number: u64| {
        let name = if (number / 100).is_multiple_of(2) { "inline" } else { "queued" };
        event(name).payload(serde_json::json!({"n": number}))
    };
    for number in 0..100_000 {
        bus.publish(numbered(number)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!((done.load(Ordering::Relaxed), letters.stats().letters), (99_000, 1_000));
    let all = letters.list(&DeadLetterFilter::new(), usize::MAX);
    for letter in &all {
        let number = letter.event.payload().get("n").unwrap().to_string();
        assert_eq!(*letter.error, format!("panicked: event {number}"));
        assert_eq!((letter.outcome, letter.attempts.len()), (OutcomeStatus::Panicked, 2));
    }
    for number in [1, 101] {
        assert!(bus.publish_and_wait(numbered(number)).await.unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn durability_d12_one_handler_hangs_and_nine_are_healthy() {
    let (bus, calls, held) = (Bus::new(), Calls::new(), Arc::new(()));
    let (hung, alive): (Arc<Mutex<Vec<Instant>>>, _) = (Arc::default(), Arc::downgrade(&held));
    let (noted, timeout) = (hung.clone(), Timeout::new(200 * MILLI));
    let hangs = move |_: Event| {
        noted.lock().push(Instant::now());
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    let hangs = hangs.named("hangs").layer(timeout.clone()).with(|options| options.queue(1_000));
    bus.on("a", hangs).unwrap();
    for _ in 0..9 {
        bus.on("a", calls.fails_async(0).with(|options| options.queue(1_000))).unwrap();
    }
    for _ in 0..1_000 {
        bus.publish(event("a")).await.unwrap();
    }
    // The healthy ones are through before the first hung run is stopped.
    while calls.count() < 9_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(timeout.stats().timed_out, 0);
    bus.idle().await;
    assert_eq!(timeout.stats().timed_out, 1_000);
    let runs = hung.lock();
    assert!(runs.windows(2).all(|pair| pair[1] - pair[0] == 200 * MILLI));
    // What a hung run holds is freed: nothing grows.
    assert_eq!(alive.strong_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn durability_d19_the_wall_clock_does_not_move_a_back_off() {
    let clock = ManualClock::new(datetime!(2026-01-02 12:00:00 UTC));
    let bus = Bus::builder().clock(clock.clone()).build().unwrap();
    let (calls, letters) = (Calls::new(), DeadLetters::new());
    let counted = calls.clone();
    let jumps = move |_: &Event| {
        // An hour back, then a day ahead.
        match counted.add() {
            1 => clock.set(datetime!(2026-01-02 11:00:00 UTC)),
            _ => clock.set(datetime!(2026-01-03 12:00:00 UTC)),
        }
        Err::<(), _>("connection lost")
    };
    let retry = Retry::new().base(SECOND).jitter(Jitter::None);
    bus.on("a", jumps.layer(letters.layer()).layer(retry)).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(calls.millis(), [0, 1_000, 3_000, 7_000]);
    assert_eq!(letters.get(1).unwrap().attempts.len(), 4);
}
