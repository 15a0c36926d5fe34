//! A pause for what fails all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_events_dispatch::layers::{CircuitBreaker, CircuitState, Jitter, Retry, Timeout};
use nexus_events_dispatch::{Bus, HandlerError, HandlerExt};
use nexus_events_model::Event;
use tokio::sync::Semaphore;

use super::{Calls, MILLI, SECOND, check_refused, nothing, outcome};
use crate::event;

/// A bus with a handler behind this breaker that fails while the flag is up.
fn setup(breaker: &CircuitBreaker) -> (Bus, Calls, Arc<AtomicBool>) {
    let (bus, calls, away) = (Bus::new(), Calls::new(), Arc::new(AtomicBool::new(true)));
    let (counted, fails) = (calls.clone(), away.clone());
    let handler = move |_: &Event| {
        counted.add();
        if fails.load(Ordering::Relaxed) { Err("service away") } else { Ok(()) }
    };
    bus.on("a", handler.layer(breaker.clone())).unwrap();
    (bus, calls, away)
}

async fn publish(bus: &Bus, events: usize) {
    for _ in 0..events {
        bus.publish(event("a")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_probes_and_closes() {
    let breaker = CircuitBreaker::new().failures(3).pause(10 * SECOND);
    let (bus, calls, away) = setup(&breaker);
    publish(&bus, 2).await;
    assert_eq!((breaker.stats().state, breaker.stats().failures), (CircuitState::Closed, 2));
    publish(&bus, 5).await;
    let open = breaker.stats();
    assert_eq!((open.state, open.opened, open.refused), (CircuitState::Open, 1, 4));
    assert_eq!(calls.count(), 3);

    tokio::time::advance(10 * SECOND - MILLI).await;
    publish(&bus, 1).await;
    assert_eq!(calls.count(), 3);
    tokio::time::advance(MILLI).await;
    assert_eq!(breaker.stats().state, CircuitState::HalfOpen);
    publish(&bus, 2).await;
    let again = breaker.stats();
    assert_eq!((calls.count(), again.state), (4, CircuitState::Open));
    assert_eq!((again.opened, again.probed, again.closed), (2, 1, 0));

    tokio::time::advance(10 * SECOND).await;
    away.store(false, Ordering::Relaxed);
    publish(&bus, 3).await;
    let closed = breaker.stats();
    assert_eq!((calls.count(), closed.state), (7, CircuitState::Closed));
    assert_eq!((closed.opened, closed.probed, closed.closed, closed.failures), (2, 2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_row_of_failures() {
    let breaker = CircuitBreaker::new().failures(2);
    let (bus, _, away) = setup(&breaker);
    for fails in [true, false, true, false, true] {
        away.store(fails, Ordering::Relaxed);
        publish(&bus, 1).await;
    }
    assert_eq!(breaker.stats().state, CircuitState::Closed);
    publish(&bus, 1).await;
    assert_eq!(breaker.stats().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_last_calls_opens_it() {
    let breaker = CircuitBreaker::new().failures(100).failure_rate(0.5, 4);
    let (bus, _, away) = setup(&breaker);
    let calls = [(true, 0), (true, 0), (false, 0), (false, 0), (false, 0), (false, 0)];
    // Two of four failed, but the fourth did not: only a failure opens it. Then two are forgotten,
    // and two failures are half of the last four again.
    for (fails, opened) in calls.into_iter().chain([(true, 0), (true, 1)]) {
        away.store(fails, Ordering::Relaxed);
        publish(&bus, 1).await;
        assert_eq!(breaker.stats().opened, opened);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_before_is_forgotten_when_it_closes() {
    let breaker = CircuitBreaker::new().failures(100).failure_rate(0.5, 4);
    let (bus, _, away) = setup(&breaker);
    publish(&bus, 4).await;
    assert_eq!(breaker.stats().opened, 1);
    tokio::time::advance(30 * SECOND).await;
    for fails in [false, true, true, true] {
        away.store(fails, Ordering::Relaxed);
        publish(&bus, 1).await;
    }
    assert_eq!((breaker.stats().opened, breaker.stats().closed), (1, 1));
    publish(&bus, 1).await;
    assert_eq!(breaker.stats().opened, 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_it_opened_says_nothing_to_the_probe() {
    let (bus, breaker) = (Bus::new(), CircuitBreaker::new().failures(1).pause(SECOND));
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    for (name, gate) in ["old", "probe"].into_iter().zip(gates.clone()) {
        let waits = move |_: Event| {
            let gate = gate.clone();
            async move { gate.acquire().await.map(drop) }
        };
        bus.on(name, waits.layer(breaker.clone())).unwrap();
    }
    bus.on("fails", (|_: &Event| Err::<(), _>("away")).layer(breaker.clone())).unwrap();
    bus.publish(event("old")).await.unwrap();
    tokio::task::yield_now().await;
    bus.publish(event("fails")).await.unwrap();
    tokio::time::advance(SECOND).await;
    bus.publish(event("probe")).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(breaker.stats().probed, 1);
    gates[0].add_permits(1);
    while bus.stats().events.processed_events < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!((breaker.stats().state, breaker.stats().closed), (CircuitState::HalfOpen, 0));
    gates[1].add_permits(1);
    bus.idle().await;
    assert_eq!((breaker.stats().state, breaker.stats().closed), (CircuitState::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn only_one_event_probes_and_one_dropped_half_way_says_nothing() {
    let (bus, breaker) = (Bus::new(), CircuitBreaker::new().failures(1).pause(SECOND));
    let (gate, calls) = (Arc::new(Semaphore::new(0)), Calls::new());
    let (opens, counted) = (gate.clone(), calls.clone());
    let waits = move |_: Event| {
        let (gate, call) = (opens.clone(), counted.add());
        async move {
            if call == 1 {
                return Err("service away");
            }
            let _ = gate.acquire().await;
            Ok(())
        }
    };
    // Two handlers of one service.
    let stopped = Timeout::new(5 * SECOND);
    bus.on("a", waits.named("first").layer(stopped).layer(breaker.clone())).unwrap();
    bus.on("b", nothing.named("second").layer(breaker.clone())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    tokio::time::advance(SECOND).await;
    bus.publish(event("a")).await.unwrap();
    tokio::task::yield_now().await;
    let refused = outcome(&bus, event("b")).await;
    assert_eq!(refused.error.as_deref(), Some("the circuit breaker is open"));
    assert_eq!(breaker.stats().state, CircuitState::HalfOpen);
    // The timeout outside drops the probe; the next event is the next probe.
    bus.idle().await;
    assert_eq!(calls.start.elapsed(), 6 * SECOND);
    assert_eq!(breaker.stats().state, CircuitState::HalfOpen);
    assert!(bus.publish_and_wait(event("b")).await.unwrap().is_success());
    assert_eq!(breaker.stats().state, CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_not_held_against_the_service_but_a_panic_is() {
    let (bus, breaker) = (Bus::new(), CircuitBreaker::new().failures(1));
    let wrong = |_: &Event| Err::<(), _>(HandlerError::permanent("no such user"));
    bus.on("a", wrong.layer(breaker.clone())).unwrap();
    let panics = |_: &Event| -> () { panic!("oops") };
    bus.on("b", panics.layer(breaker.clone()).layer(Retry::new())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(breaker.stats().state, CircuitState::Closed);
    bus.publish_and_wait(event("b")).await.unwrap();
    assert_eq!(breaker.stats().state, CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn retries_outside_heed_the_pause() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let breaker = CircuitBreaker::new().failures(1).pause(7 * SECOND);
    let retry = Retry::new().base(SECOND).jitter(Jitter::None);
    bus.on("a", calls.fails(1).layer(retry).layer(breaker.clone())).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    // Tried at 1 s, refused with the other 6 s of the pause, and heeded.
    assert_eq!(calls.millis(), [0, 7_000]);
    assert_eq!(breaker.stats().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn retries_inside_count_once() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let breaker = CircuitBreaker::new().failures(2);
    bus.on("a", calls.fails(99).layer(breaker.clone()).layer(Retry::new())).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!((calls.count(), breaker.stats().failures), (4, 1));
}

#[tokio::test]
async fn options_out_of_their_range_are_refused() {
    let check = |breaker: CircuitBreaker, part: &str| {
        check_refused(Bus::new().on("a", nothing.layer(breaker)), part);
    };
    check(CircuitBreaker::new().failures(0), "after 1 failure or more");
    check(CircuitBreaker::new().failure_rate(0.0, 10), "not 0 of 10");
    check(CircuitBreaker::new().failure_rate(1.1, 10), "not 1.1 of 10");
    check(CircuitBreaker::new().failure_rate(0.5, 0), "not 0.5 of 0");
    check(CircuitBreaker::new().failure_rate(0.5, 10_001), "of 1 to 10000 calls");
}
