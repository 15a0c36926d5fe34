//! The same event once.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use nexus_events_dispatch::layers::{Dedup, Jitter, Retry};
use nexus_events_dispatch::{
    Bus, Context, Error, ErrorKind, HandlerExt, Layer, Mode, Next, Published,
};
use nexus_events_model::{Event, OutcomeStatus, Text};
use tokio::sync::Semaphore;

use super::{Calls, MILLI, SECOND, check_refused, nothing, outcome};
use crate::delivery::{gated, polled_once, settle};
use crate::{Log, event};

fn once() -> (Bus, Calls, Dedup) {
    let dedup = Dedup::on_publish();
    let (bus, calls) = (Bus::builder().layer(dedup.clone()).build().unwrap(), Calls::new());
    bus.on("a", calls.fails(0)).unwrap();
    (bus, calls, dedup)
}

fn user(event: &Event) -> Option<Text> {
    event.user_id().map(|user| user.to_string().into())
}

/// Lets an event pass when a permit is there, and refuses the first ones.
struct Gate(Arc<Semaphore>, Calls, usize);

impl Layer for Gate {
    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        Published::Pending(Box::pin(async move {
            self.0.acquire().await.unwrap().forget();
            if self.1.add() <= self.2 {
                return Err(Error::refused("not this one"));
            }
            next.run(event).wait().await
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_gets_the_first_receipt_and_is_not_published() {
    let (bus, calls, dedup) = once();
    let first = bus.publish(event("a").id("evt-1")).await.unwrap();
    let second = bus.try_publish(event("a").id("evt-1")).unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!((second.event_id, second.matched), (first.event_id, 1));
    let report = bus.publish_and_wait(event("a").id("evt-1")).await.unwrap();
    assert!(report.outcomes.is_empty());
    bus.publish(event("a").id("evt-2")).await.unwrap();
    assert_eq!((calls.count(), dedup.duplicates()), (2, 2));
    assert_eq!(bus.stats().events.total_events, 2);

    tokio::time::advance(600 * SECOND - MILLI).await;
    assert!(bus.try_publish(event("a").id("evt-1")).unwrap().duplicate);
    tokio::time::advance(MILLI).await;
    assert!(!bus.try_publish(event("a").id("evt-1")).unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn window_and_number_are_options() {
    let dedup = Dedup::on_publish().window(SECOND).keys(2);
    let bus = Bus::builder().layer(dedup).build().unwrap();
    let is_duplicate = |id: &str| bus.try_publish(event("a").id(id)).unwrap().duplicate;
    assert!(!is_duplicate("1") && !is_duplicate("2") && is_duplicate("1"));
    assert!(!is_duplicate("3") && is_duplicate("2") && !is_duplicate("1"));
    tokio::time::advance(SECOND).await;
    assert!(!is_duplicate("1"));
}

#[tokio::test]
async fn a_key_replaces_the_id() {
    let bus = Bus::builder().layer(Dedup::on_publish().by(user)).build().unwrap();
    let first = bus.publish(event("a").user_id("ada")).await.unwrap();
    let second = bus.publish(event("b").user_id("ada")).await.unwrap();
    assert_eq!((second.duplicate, second.event_id), (true, first.event_id));
    for _ in 0..2 {
        assert!(!bus.publish(event("a")).await.unwrap().duplicate);
    }
    let long = bus.publish(event("a").user_id("x".repeat(256))).await.unwrap_err();
    assert_eq!(long.kind(), ErrorKind::Refused);
    assert!(long.to_string().contains("256 bytes long, the most is 255"), "{long}");
    let panics = Dedup::on_publish().by(|_: &Event| panic!("no user"));
    let bus = Bus::builder().layer(panics).build().unwrap();
    check_refused(bus.publish(event("a")).await, "panicked: no user");
}

#[tokio::test]
async fn while_the_first_is_published_a_duplicate_waits_for_it() {
    // The first one succeeds, or is refused and leaves its place to the second.
    for (refused, duplicate) in [(0, true), (1, false)] {
        let (gate, calls) = (Arc::new(Semaphore::new(0)), Calls::new());
        let bus = Bus::builder()
            .layer(Dedup::on_publish())
            .layer(Gate(gate.clone(), calls.clone(), refused))
            .build()
            .unwrap();
        let publish = || {
            let bus = bus.clone();
            tokio::spawn(async move { bus.publish(event("a").id("evt-1")).await })
        };
        let (first, second) = (publish(), publish());
        tokio::task::yield_now().await;
        assert_eq!(
            bus.try_publish(event("a").id("evt-1")).unwrap_err().kind(),
            ErrorKind::WouldWait
        );
        gate.add_permits(2);
        assert_eq!(first.await.unwrap().is_ok(), refused == 0);
        assert_eq!(second.await.unwrap().unwrap().duplicate, duplicate);
        assert_eq!(calls.count(), 1 + refused);
    }
}

#[tokio::test]
async fn a_handler_never_waits_for_the_event_it_handles() {
    let (bus, _, dedup) = once();
    let again = async |event: Event, context: Context| {
        context.publish_and_wait(event).await.map(|_| ()).map_err(|error| error.to_string())
    };
    bus.on("b", again).unwrap();
    let report = bus.publish_and_wait(event("b")).await.unwrap();
    assert!(report.outcomes[0].error.as_ref().unwrap().contains("is being published"));
    assert_eq!(dedup.duplicates(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_see_a_failed_event_again_but_not_a_handled_one() {
    let (bus, calls, dedup) = (Bus::new(), Calls::new(), Dedup::on_handle());
    bus.on("a", calls.fails(1).named("first").layer(dedup.clone())).unwrap();
    let others = Calls::new();
    bus.on("a", others.fails_async(0).named("second").layer(dedup.clone())).unwrap();
    for _ in 0..3 {
        bus.publish_and_wait(event("a").id("evt-1")).await.unwrap();
    }
    // Each handler has its own keys.
    assert_eq!((calls.count(), others.count(), dedup.duplicates()), (2, 1, 3));
    tokio::time::advance(600 * SECOND).await;
    bus.publish_and_wait(event("a").id("evt-1")).await.unwrap();
    assert_eq!((calls.count(), others.count()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_waits_for_the_attempts_of_the_first_inside_and_helps_outside() {
    // Outside of retry: the duplicate waits for the second attempt, which succeeds.
    // Inside: the first attempt failed, so the duplicate is handled; the second one is skipped.
    for (dedup_outside, millis) in [(true, vec![0, 1_000]), (false, vec![0, 0])] {
        let (bus, calls, dedup) = (Bus::new(), Calls::new(), Dedup::on_handle());
        let retry = Retry::new().base(SECOND).jitter(Jitter::None);
        let handler = calls.fails_async(1);
        bus.on(
            "a",
            match dedup_outside {
                true => handler.layer(dedup.clone()).layer(retry),
                false => handler.layer(retry).layer(dedup.clone()),
            },
        )
        .unwrap();
        bus.publish(event("a").id("evt-1")).await.unwrap();
        let second = outcome(&bus, event("a").id("evt-1")).await;
        assert_eq!(second.status, OutcomeStatus::Success);
        bus.idle().await;
        assert_eq!((calls.millis(), dedup.duplicates()), (millis, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_handled_when_the_first_failed() {
    for mode in [Mode::Queued, Mode::Blocking] {
        let (bus, calls) = (Bus::new(), Calls::new());
        let retry = Retry::new().max_attempts(2).base(SECOND).jitter(Jitter::None);
        let layered = calls.fails(2).mode(mode).layer(Dedup::on_handle()).layer(retry);
        bus.on("a", layered).unwrap();
        bus.publish(event("a").id("evt-1")).await.unwrap();
        let waits = tokio::spawn({
            let bus = bus.clone();
            async move { outcome(&bus, event("a").id("evt-1")).await }
        });
        // Paused time stands still while a thread is busy.
        while !waits.is_finished() {
            tokio::time::advance(10 * MILLI).await;
            std::thread::yield_now();
        }
        assert_eq!(waits.await.unwrap().status, OutcomeStatus::Success);
        assert_eq!(calls.count(), 3);
    }
}

#[tokio::test]
async fn on_a_publishers_own_stack_a_duplicate_fails() {
    let bus = Bus::new();
    let (started, begun) = mpsc::channel();
    let (go_on, gone) = mpsc::channel::<()>();
    let gone = parking_lot::Mutex::new(gone);
    let waits = move |_: &Event| {
        started.send(()).unwrap();
        gone.lock().recv().unwrap();
    };
    bus.on("a", waits.layer(Dedup::on_handle())).unwrap();
    let first = std::thread::spawn({
        let bus = bus.clone();
        move || bus.try_publish(event("a").id("evt-1"))
    });
    begun.recv().unwrap();
    let second = outcome(&bus, event("a").id("evt-1")).await;
    assert_eq!(
        second.error.as_deref(),
        Some("an event with this idempotency key is being handled")
    );
    go_on.send(()).unwrap();
    first.join().unwrap().unwrap();
    assert!(bus.publish_and_wait(event("a").id("evt-1")).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_ends_the_wait_at_once() {
    let (bus, calls) = (Bus::new(), Calls::new());
    let retry = Retry::new().base(30 * SECOND).jitter(Jitter::None);
    let layered = calls.fails_async(9).layer(Dedup::on_handle()).layer(retry);
    let subscription = bus.on("a", layered).unwrap();
    bus.publish(event("a").id("evt-1")).await.unwrap();
    bus.publish(event("a").id("evt-1")).await.unwrap();
    tokio::task::yield_now().await;
    subscription.unsubscribe().await;
    bus.idle().await;
    assert_eq!((calls.count(), calls.start.elapsed()), (1, Duration::ZERO));
}

#[test]
fn options_out_of_their_range_are_refused() {
    let check = |dedup: Dedup, part: &str| {
        check_refused(Bus::new().on("a", nothing.layer(dedup)), part);
    };
    check(Dedup::on_handle().keys(0), "1 key or more");
    check(Dedup::on_publish(), "`BusBuilder::layer`");
}

#[tokio::test(start_paused = true)]
async fn a_publish_given_up_before_a_full_queue_was_one() {
    let bus = Bus::builder().layer(Dedup::on_publish()).build().unwrap();
    let (gate, log) = (Arc::new(Semaphore::new(0)), Log::default());
    bus.on("a", gated(&gate, &log).with(|options| options.queue(1).name("slow"))).unwrap();
    for id in ["evt-1", "evt-2"] {
        bus.publish(event("a").id(id)).await.unwrap();
        settle().await;
    }
    assert!(polled_once(pin!(bus.publish(event("a").id("evt-3")))).await, "the queue is full");
    let again = bus.publish(event("a").id("evt-3")).await.unwrap();
    assert_eq!((again.duplicate, again.matched), (true, 1));
    gate.close();
    bus.idle().await;
    assert_eq!((log.take().len(), bus.history(10, None).len()), (3, 3));
}

#[tokio::test]
async fn a_publish_given_up_in_a_layer_was_none() {
    let (gate, calls) = (Arc::new(Semaphore::new(0)), Calls::new());
    let layer = Gate(gate.clone(), calls, 0);
    let bus = Bus::builder().layer(Dedup::on_publish()).layer(layer).build().unwrap();
    assert!(polled_once(pin!(bus.publish(event("a").id("evt-1")))).await);
    gate.add_permits(1);
    assert!(!bus.publish(event("a").id("evt-1")).await.unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_gives_up_waiting_for_a_report_has_published() {
    for patient in [false, true] {
        let bus = Bus::builder().layer(Dedup::on_publish()).build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        bus.on("b", gated(&gate, &Log::default())).unwrap();
        let asks = move |event: Event, context: Context| async move {
            let again = || crate::event("b").id("evt-1").caused_by(&event);
            let mut asks = Box::pin(context.publish_and_wait(again()));
            match patient {
                // 30 s are the most.
                true => drop(asks.await.unwrap_err()),
                false => {
                    assert!(polled_once(asks.as_mut()).await);
                    drop(asks);
                }
            }
            context.publish(again()).map(|receipt| assert!(receipt.duplicate))
        };
        bus.on("a", asks).unwrap();
        assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
        gate.close();
        bus.idle().await;
    }
}
