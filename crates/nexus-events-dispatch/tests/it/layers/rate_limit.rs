//! So many per second.

use nexus_events_dispatch::layers::{Jitter, RateLimit, Retry};
use nexus_events_dispatch::{Bus, ErrorKind, HandlerExt, Mode};
use nexus_events_model::OutcomeStatus;

use super::{Calls, MILLI, SECOND, check_refused, nothing, outcome};
use crate::event;

#[tokio::test(start_paused = true)]
async fn publishing_beyond_the_limit_is_refused_and_names_it() {
    let limit = RateLimit::on_publish(10).burst(3);
    let bus = Bus::builder().layer(limit.clone()).build().unwrap();
    let passed = || (0..20).filter(|_| bus.try_publish(event("a")).is_ok()).count();
    assert_eq!(passed(), 3);
    let error = bus.try_publish(event("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.to_string().contains("10 events per second, 3 at once"), "{error}");
    tokio::time::advance(99 * MILLI).await;
    assert_eq!(passed(), 0);
    tokio::time::advance(MILLI).await;
    assert_eq!(passed(), 1);
    // A pause saves up no more than the burst.
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(passed(), 3);
    assert_eq!(bus.stats().events.total_events, 7);
    assert_eq!(limit.limited(), 17 + 1 + 20 + 19 + 17);
}

#[tokio::test(start_paused = true)]
async fn over_a_long_time_exactly_the_limit_passes() {
    let bus = Bus::builder().layer(RateLimit::on_publish(100).burst(1)).build().unwrap();
    let mut passed = 0;
    for _ in 0..10_000 {
        passed += u32::from(bus.try_publish(event("a")).is_ok());
        tokio::time::advance(MILLI).await;
    }
    assert_eq!(passed, 1_000);
}

#[tokio::test(start_paused = true)]
async fn queued_handlers_wait_for_their_turn() {
    let (bus, calls) = (Bus::new(), Calls::new());
    bus.on("a", calls.fails_async(0).layer(RateLimit::on_handle(10).burst(2))).unwrap();
    for _ in 0..5 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(calls.millis(), [0, 0, 100, 200, 300]);
    assert_eq!(bus.stats().events.failed_events, 0);
}

#[tokio::test(start_paused = true)]
async fn inline_handlers_fail_and_say_when_to_try_again() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let retry = Retry::new().base(MILLI).jitter(Jitter::None);
    let limit = RateLimit::on_handle(1);
    bus.on("a", calls.fails(0).layer(retry).layer(limit.clone())).unwrap();
    bus.on("b", calls.fails(0).layer(limit)).unwrap();
    bus.publish(event("a")).await.unwrap();
    let refused = outcome(&bus, event("b")).await;
    assert_eq!(refused.status, OutcomeStatus::Error);
    assert!(refused.error.unwrap().contains("1 events per second"));
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    assert_eq!(calls.millis(), [0, 1_000]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_on_a_thread_lends_its_worker() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let calls = Calls::new();
    let limited = calls.fails(0).mode(Mode::Blocking).layer(RateLimit::on_handle(1));
    bus.on("a", limited).unwrap();
    bus.on("b", nothing.mode(Mode::Blocking)).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    bus.publish(event("a")).await.unwrap();
    bus.publish_and_wait(event("b")).await.unwrap();
    assert_eq!(calls.count(), 1);
    while calls.count() < 2 {
        tokio::time::advance(10 * MILLI).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_ends_the_wait_at_once() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let subscription = bus.on("a", calls.fails_async(0).layer(RateLimit::on_handle(1))).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    bus.publish(event("a")).await.unwrap();
    tokio::task::yield_now().await;
    subscription.unsubscribe().await;
    assert_eq!((calls.count(), calls.start.elapsed()), (1, std::time::Duration::ZERO));
}

#[tokio::test]
async fn options_out_of_their_range_are_refused() {
    let check = |limit: RateLimit, part: &str| {
        check_refused(Bus::new().on("a", nothing.layer(limit)), part);
    };
    check(RateLimit::on_handle(0), "1 event per second or more");
    check(RateLimit::on_handle(1).burst(0), "a burst of 1 or more");
    check(RateLimit::on_publish(1), "`BusBuilder::layer`");
}
