//! Handlers that take too long.

use std::sync::{Arc, Weak, mpsc};

use nexus_events_dispatch::layers::{DeadLetters, RateLimit, Retry, Timeout};
use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus};
use tokio::time::Instant;

use super::{Calls, MILLI, SECOND, check_refused, nothing, outcome};
use crate::event;

#[tokio::test(start_paused = true)]
async fn an_async_handler_is_stopped_and_its_future_dropped() {
    let (bus, timeout, held) = (Bus::new(), Timeout::new(200 * MILLI), Arc::new(()));
    let alive: Weak<()> = Arc::downgrade(&held);
    let hangs = move |_: Event| {
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    let start = Instant::now();
    bus.on("a", hangs.layer(timeout.clone())).unwrap();
    let stopped = outcome(&bus, event("a")).await;
    assert_eq!(stopped.status, OutcomeStatus::TimedOut);
    assert_eq!(stopped.error.as_deref(), Some("timed out after 200ms"));
    assert_eq!((start.elapsed(), alive.strong_count()), (200 * MILLI, 1));
    assert_eq!((timeout.stats().timed_out, timeout.stats().late), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_in_time_is_left_alone() {
    let (bus, timeout) = (Bus::new(), Timeout::default());
    let slow = async |_: Event, context: Context| {
        assert_eq!(context.deadline().unwrap() - Instant::now().into_std(), 30 * SECOND);
        tokio::time::sleep(29 * SECOND).await;
    };
    bus.on("a", slow.layer(timeout.clone())).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    assert_eq!(timeout.stats().timed_out, 0);
}

#[tokio::test]
async fn a_late_synchronous_handler_is_counted_and_its_result_stands() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let (bus, timeout) = (Bus::new(), Timeout::new(MILLI));
        let late = |_: &Event, context: &Context| {
            while Instant::now().into_std() <= context.deadline().unwrap() {
                std::hint::spin_loop();
            }
            serde_json::json!(7)
        };
        bus.on("a", late.mode(mode).layer(timeout.clone())).unwrap();
        assert_eq!(outcome(&bus, event("a")).await.value, 7);
        assert_eq!((timeout.stats().timed_out, timeout.stats().late), (0, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_handler_on_a_thread_is_stopped_too() {
    let (bus, timeout) = (Bus::new(), Timeout::new(200 * MILLI));
    let (started, begun) = mpsc::channel();
    let hangs = move |_: Event| {
        started.send(()).unwrap();
        std::future::pending::<()>()
    };
    bus.on("a", hangs.mode(Mode::Blocking).layer(timeout.clone())).unwrap();
    let publishing = tokio::spawn({
        let bus = bus.clone();
        async move { outcome(&bus, event("a")).await }
    });
    // Paused time stands still while a thread is busy.
    while begun.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    while !publishing.is_finished() {
        tokio::time::advance(MILLI).await;
    }
    assert_eq!(publishing.await.unwrap().status, OutcomeStatus::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_may_enter_the_runtime_under_every_layer() {
    let bus = Bus::new();
    let enters = |_: &Event| tokio::runtime::Handle::current().block_on(async {});
    let enters = enters
        .mode(Mode::Blocking)
        .layer(Timeout::default())
        .layer(RateLimit::on_handle(1))
        .layer(Timeout::default());
    bus.on("a", enters).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    let waits = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_and_wait(event("a")).await.unwrap() }
    });
    while !waits.is_finished() {
        tokio::time::advance(10 * MILLI).await;
    }
    let report = waits.await.unwrap();
    assert!(report.is_success(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_end_at_the_deadline_outside_and_are_all_told() {
    let (bus, letters, calls) = (Bus::new(), DeadLetters::new(), Calls::new());
    let timeout = Timeout::new(SECOND);
    let counted = calls.clone();
    let second_hangs = move |_: Event| {
        let call = counted.add();
        async move {
            if call == 2 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>("connection lost")
        }
    };
    let retry = Retry::new().base(100 * MILLI).jitter(nexus_events_dispatch::layers::Jitter::None);
    let layered = second_hangs.layer(letters.layer()).layer(timeout.clone()).layer(retry);
    bus.on("a", layered).unwrap();
    let last = outcome(&bus, event("a")).await;
    assert_eq!((last.status, last.attempt), (OutcomeStatus::TimedOut, 2));
    assert_eq!((calls.count(), calls.start.elapsed()), (2, SECOND));
    assert_eq!(timeout.stats().timed_out, 1);
    let letter = letters.get(1).unwrap();
    let errors: Vec<&str> = letter.attempts.iter().map(|attempt| &*attempt.error).collect();
    assert_eq!(errors, ["connection lost", "timed out after 1s"]);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_waited_for_that_would_begin_after_the_deadline() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let retry = Retry::new().base(SECOND).jitter(nexus_events_dispatch::layers::Jitter::None);
    let layered = calls.fails(9).layer(Timeout::new(2 * SECOND)).layer(retry);
    bus.on("a", layered).unwrap();
    assert_eq!(outcome(&bus, event("a")).await.status, OutcomeStatus::Error);
    assert_eq!((calls.millis(), calls.start.elapsed()), (vec![0, 1_000], SECOND));
}

#[test]
fn no_time_at_all_is_refused() {
    check_refused(
        Bus::new().on("a", nothing.layer(Timeout::new(std::time::Duration::ZERO))),
        "a timeout is longer than 0",
    );
    let for_ever = Timeout::new(std::time::Duration::MAX);
    let bus = Bus::new();
    bus.on("a", nothing.layer(for_ever)).unwrap();
    bus.try_publish(event("a")).unwrap();
    assert_eq!(bus.stats().events.processed_events, 1);
}
