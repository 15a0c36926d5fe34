//! Trying again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{DeadLetters, Jitter, Retry};
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerError, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus};

use super::{Calls, MILLI, SECOND, check_refused, nothing, outcome};
use crate::{Log, event};

fn exact() -> Retry {
    Retry::new().max_attempts(5).base(10 * MILLI).jitter(Jitter::None)
}

#[tokio::test(start_paused = true)]
async fn d16_the_delays_are_exact_and_the_first_attempt_comes_at_once() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let (bus, calls) = (Bus::new(), Calls::new());
        bus.on("a", calls.fails(9).layer(exact()).mode(mode)).unwrap();
        let last = outcome(&bus, event("a")).await;
        assert_eq!((last.attempt, last.status), (5, OutcomeStatus::Error));
        assert_eq!(last.error.as_deref(), Some("failure 5"));
        // First at 0, then 10, 20, 40 and 80 ms apart, and nothing after the last.
        assert_eq!(calls.millis(), [0, 10, 30, 70, 150], "{mode:?}");
        assert_eq!(calls.start.elapsed(), 150 * MILLI);
    }
    let (bus, calls) = (Bus::new(), Calls::new());
    bus.on("a", calls.fails_async(9).layer(exact())).unwrap();
    assert_eq!(outcome(&bus, event("a")).await.attempt, 5);
    assert_eq!(calls.millis(), [0, 10, 30, 70, 150]);
}

#[tokio::test(start_paused = true)]
async fn d17_after_four_attempts_there_is_one_dead_letter_with_all_of_them() {
    let (bus, calls, letters) = (Bus::new(), Calls::new(), DeadLetters::new());
    let retry = exact().max_attempts(4);
    bus.on("a", calls.fails(9).layer(letters.layer()).layer(retry)).unwrap();
    assert!(outcome(&bus, event("a")).await.status.is_failure());
    assert_eq!((calls.count(), letters.stats().letters), (4, 1));
    let letter = letters.get(1).unwrap();
    let errors: Vec<&str> = letter.attempts.iter().map(|attempt| &*attempt.error).collect();
    assert_eq!(errors, ["failure 1", "failure 2", "failure 3", "failure 4"]);
    assert_eq!(letter.status, nexus_events_dispatch::Status::Exhausted);
}

#[tokio::test(start_paused = true)]
async fn d18_a_permanent_error_is_parked_after_one_call() {
    let (bus, calls, letters) = (Bus::new(), Calls::new(), DeadLetters::new());
    let counted = calls.clone();
    let fails = move |_: &Event| {
        counted.add();
        Err::<(), _>(HandlerError::permanent("no such user"))
    };
    bus.on("a", fails.layer(letters.layer()).layer(exact())).unwrap();
    let last = outcome(&bus, event("a")).await;
    assert_eq!((last.attempt, calls.count(), letters.stats().letters), (1, 1, 1));
    assert_eq!(letters.get(1).unwrap().status, nexus_events_dispatch::Status::Permanent);
}

#[tokio::test(start_paused = true)]
async fn d19_panics_are_errors_and_harm_nobody_else() {
    fn check(payload: fn(), text: &str) -> (Bus, Log, String) {
        let (bus, log) = (Bus::new(), Log::default());
        bus.on("a", (move |_: &Event| payload()).named("panics").layer(exact())).unwrap();
        bus.on("a", log.writes("inline").named("inline")).unwrap();
        bus.on("a", log.writes_async("queued").named("queued")).unwrap();
        (bus, log, text.to_owned())
    }
    let cases = [
        check(|| panic!("out of {}", "luck"), "panicked: out of luck"),
        check(|| std::panic::panic_any(7), "panicked: with a value that is no text"),
    ];
    for (bus, log, text) in cases {
        for _ in 0..2 {
            let report = bus.publish_and_wait(event("a")).await.unwrap();
            let panicked = report.outcome("panics").unwrap();
            assert_eq!(panicked.status, OutcomeStatus::Panicked);
            assert_eq!(panicked.error.as_deref(), Some(&*text));
            // Once more, because it may have been bad luck.
            assert_eq!(panicked.attempt, 2);
            let mut others = log.take();
            others.sort();
            assert_eq!(others, ["inline", "queued"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_future_is_caught_too() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let counted = calls.clone();
    let panics = move |_: Event| {
        let call = counted.add();
        async move {
            tokio::task::yield_now().await;
            assert!(call != 1, "the first time");
        }
    };
    bus.on("a", panics.layer(exact())).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    assert_eq!(calls.millis(), [0, 10]);
}

#[tokio::test(start_paused = true)]
async fn the_event_says_how_often() {
    for (max_retries, attempts) in [(0, 1), (3, 4), (19, 20), (20, 20), (u32::MAX, 20)] {
        let (bus, calls) = (Bus::new(), Calls::new());
        bus.on("a", calls.fails(99).layer(Retry::new())).unwrap();
        bus.publish_and_wait(event("a").max_retries(max_retries)).await.unwrap();
        assert_eq!(calls.count(), attempts);
    }
    for retry in [Retry::new(), Retry::new().max_attempts(4)] {
        let (bus, calls) = (Bus::new(), Calls::new());
        bus.on("a", calls.fails(99).layer(retry)).unwrap();
        bus.publish_and_wait(event("a").retryable(false)).await.unwrap();
        assert_eq!(calls.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_if_decides_and_is_not_asked_about_the_last_attempt() {
    for (first_words, calls_made) in [(true, 5), (false, 1)] {
        let (bus, calls, asked) = (Bus::new(), Calls::new(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        let retry = exact().retry_if(move |error| {
            count.fetch_add(1, Ordering::Relaxed);
            error.to_string().starts_with("failure") == first_words
        });
        bus.on("a", calls.fails(99).layer(retry)).unwrap();
        bus.publish_and_wait(event("a")).await.unwrap();
        assert_eq!(calls.count(), calls_made);
        assert_eq!(asked.load(Ordering::Relaxed), calls_made.min(4));
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_an_error_asks_for_is_the_least() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let counted = calls.clone();
    let busy = move |_: &Event| match counted.add() {
        1 => Err(HandlerError::from("busy").retry_after(5 * SECOND)),
        2 => Err(HandlerError::from("busy").retry_after(MILLI)),
        _ => Ok(()),
    };
    bus.on("a", busy.layer(exact().cap(SECOND))).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    assert_eq!(calls.millis(), [0, 5_000, 5_020]);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_budget() {
    let (bus, calls) = (Bus::new(), Calls::new());
    bus.on("a", calls.fails(99).layer(exact().budget(69 * MILLI))).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(calls.millis(), [0, 10, 30]);
    assert_eq!(calls.start.elapsed(), 30 * MILLI);

    let (bus, calls) = (Bus::new(), Calls::new());
    let counted = calls.clone();
    let later = move |_: &Event| {
        counted.add();
        Err::<(), _>(HandlerError::from("come back next year").retry_after(Duration::MAX))
    };
    bus.on("a", later.layer(exact())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(calls.millis(), [0]);
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_ends_the_wait_at_once() {
    let (bus, calls, letters) = (Bus::new(), Calls::new(), DeadLetters::new());
    let retry = exact().base(SECOND * 60).cap(SECOND * 60);
    let handler = calls.fails(99).layer(letters.layer()).layer(retry);
    let subscription = bus.on("a", handler).unwrap();
    bus.publish(event("a")).await.unwrap();
    tokio::time::advance(SECOND).await;
    subscription.unsubscribe().await;
    bus.idle().await;
    assert_eq!((calls.count(), calls.start.elapsed()), (1, SECOND));
    let letter = letters.get(1).unwrap();
    assert_eq!(&*letter.error, "the handler ended before attempt 2: failure 1");
    assert_eq!(letter.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn further_attempts_go_on_beside_lower_waves() {
    let (bus, log, calls) = (Bus::new(), Log::default(), Calls::new());
    let tries = log.clone();
    let high = move |_: &Event, context: &Context| {
        tries.add(format!("attempt {}", context.attempt()));
        calls.result(1)
    };
    bus.on("a", high.priority(10).layer(exact())).unwrap();
    bus.on("a", log.writes("lower")).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(log.take(), ["attempt 1", "lower", "attempt 2"]);
    let stats = bus.stats();
    let handler = &stats.handlers[0];
    assert_eq!((handler.execution_count, handler.error_count), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_further_attempt_publishes_is_a_follow_up() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let (bus, log, calls) = (Bus::new(), Log::default(), Calls::new());
        let (publisher, causes) = (bus.clone(), log.clone());
        let again = move |_: &Event| {
            calls.result(1)?;
            publisher.try_publish(event("b"))?;
            Ok::<_, HandlerError>(())
        };
        bus.on("a", again.layer(exact()).mode(mode)).unwrap();
        bus.on("b", move |event: &Event| causes.add(event.causation_id().unwrap().to_string()))
            .unwrap();
        let report = bus.publish_and_wait(event("a")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), [report.event_id.to_string()], "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_waits_without_a_worker_and_runs_on_a_thread() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let (calls, log) = (Calls::new(), Log::default());
    let counted = calls.clone();
    let blocks = move |_: &Event| {
        // Only a thread that may block allows this.
        tokio::runtime::Handle::current().block_on(async {});
        counted.result(2)
    };
    bus.on("a", blocks.mode(Mode::Blocking).layer(exact().base(SECOND))).unwrap();
    bus.on("b", log.writes("b").mode(Mode::Blocking)).unwrap();
    bus.publish(event("a")).await.unwrap();
    while calls.count() < 1 {
        tokio::task::yield_now().await;
    }
    bus.publish_and_wait(event("b")).await.unwrap();
    assert_eq!(calls.count(), 1);
    bus.idle().await;
    assert_eq!(calls.millis(), [0, 1_000, 3_000]);
    assert_eq!(bus.stats().handlers[0].panic_count, 0);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_two_layers_multiply() {
    let (bus, calls, letters) = (Bus::new(), Calls::new(), DeadLetters::new());
    let (outer, inner) = (exact().max_attempts(3).base(SECOND), exact().max_attempts(2));
    bus.on("a", calls.fails(99).layer(letters.layer()).layer(outer).layer(inner)).unwrap();
    assert_eq!(outcome(&bus, event("a")).await.attempt, 6);
    assert_eq!(calls.millis(), [0, 10, 1_010, 1_020, 3_020, 3_030]);
    assert_eq!(letters.get(1).unwrap().attempts.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_the_same_delays() {
    let mut delays = Vec::new();
    for seed in [1, 1, 2] {
        let (bus, calls) = (Bus::new(), Calls::new());
        let retry = Retry::new().max_attempts(9).base(SECOND).factor(1.5).seed(seed);
        bus.on("a", calls.fails(99).layer(retry)).unwrap();
        bus.publish_and_wait(event("a")).await.unwrap();
        delays.push(calls.millis());
    }
    assert_eq!(delays[0], delays[1]);
    assert_ne!(delays[0], delays[2]);
}

#[tokio::test]
async fn options_out_of_their_range_are_refused() {
    let check = |retry: Retry, part: &str| {
        check_refused(Bus::new().on("a", nothing.layer(retry)), part);
    };
    check(Retry::new().max_attempts(0), "max_attempts is 1 to 20, not 0");
    check(Retry::new().max_attempts(21), "not 21");
    check(Retry::new().factor(0.5), "factor is 1 or more, not 0.5");
    check(Retry::new().factor(f64::NAN), "not NaN");
    check(Retry::new().jitter(Jitter::Bounded(-0.1)), "a share from 0 to 1, not -0.1");
}

#[test]
fn trying_again_needs_a_runtime() {
    let error = Bus::new().on("a", nothing.layer(Retry::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
}
