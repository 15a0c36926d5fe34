//! NewSubscription and its end, at run time and from inside handlers.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode, Subscription};
use nexus_events_model::{Event, OutcomeStatus};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::{Log, event};

#[tokio::test]
async fn after_unsubscribe_returns_the_handler_runs_no_more() {
    let bus = Bus::new();
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let log = Log::default();
        let subscription = bus.on("a", log.writes("ran").mode(mode).named("it")).unwrap();
        bus.publish_and_wait(event("a")).await.unwrap();
        assert!(subscription.unsubscribe().await);
        assert!(!subscription.unsubscribe().await);
        bus.publish_and_wait(event("a")).await.unwrap();
        assert_eq!(log.take(), ["ran"], "{mode:?}");
        assert!(bus.stats().handler("it").is_none());
    }
}

#[tokio::test]
async fn it_waits_for_the_running_call_and_skips_what_is_queued() {
    let bus = Bus::new();
    let (began, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (begins, waits) = (began.clone(), gate.clone());
    let slow = move |_: Event| {
        let begins = begins.clone();
        let waits = waits.clone();
        async move {
            begins.notify_one();
            let _ = waits.acquire().await;
        }
    };
    let subscription = bus.on("a", slow.named("slow")).unwrap();
    let reports: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let bus = bus.clone();
                async move { bus.publish_and_wait(event("a")).await.unwrap() }
            })
        })
        .collect();
    began.notified().await;
    let mut ended = tokio::spawn({
        let subscription = subscription.clone();
        async move { subscription.unsubscribe().await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished(), "the call still runs");
    gate.close();
    assert!((&mut ended).await.unwrap());
    let mut statuses = Vec::new();
    for report in reports {
        statuses.push(report.await.unwrap().outcomes[0].status);
    }
    assert_eq!(statuses, [OutcomeStatus::Success, OutcomeStatus::Skipped, OutcomeStatus::Skipped]);
}

#[tokio::test]
async fn from_inside_itself_it_returns_at_once_and_the_call_is_the_last() {
    for mode in [Mode::Queued, Mode::Blocking] {
        let (bus, log) = (Bus::new(), Log::default());
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let (mine, seen) = (own.clone(), log.clone());
        let handler = move |_: Event| {
            let mine = mine.clone();
            let seen = seen.clone();
            async move {
                let subscription = mine.lock().take();
                if let Some(subscription) = subscription {
                    assert!(subscription.unsubscribe().await);
                }
                seen.add("ran");
            }
        };
        *own.lock() = Some(bus.on("a", handler.mode(mode)).unwrap());
        for _ in 0..3 {
            bus.publish_and_wait(event("a")).await.unwrap();
        }
        assert_eq!(log.take(), ["ran"], "{mode:?}");
    }
}

#[tokio::test]
async fn a_handler_may_subscribe_others_that_see_later_events_only() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("a", move |_: &Event, context: &Context| {
        context.bus().on("a", seen.writes("added")).map(|_| ())
    })
    .unwrap();
    for expected in 0..4 {
        assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
        assert_eq!(log.take().len(), expected);
    }
}

#[tokio::test]
async fn a_name_is_free_again_after_unsubscribe() {
    let bus = Bus::new();
    let first = bus.on("a", (|_: &Event| {}).named("it")).unwrap();
    first.unsubscribe().await;
    let second = bus.on("a", (|_: &Event| {}).named("it")).unwrap();
    assert_ne!(first.id(), second.id());
    assert!(!first.unsubscribe().await);
    assert!(bus.stats().handler("it").is_some());
}

#[tokio::test]
async fn an_event_on_its_way_passes_a_handler_that_ended_meanwhile() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    let slow = move |_: Event| {
        let waits = waits.clone();
        async move { drop(waits.acquire().await) }
    };
    bus.on("a", slow.priority(10)).unwrap();
    let lower = bus.on("a", log.writes("never").named("lower")).unwrap();
    let report = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_and_wait(event("a")).await.unwrap() }
    });
    while bus.stats().events.in_flight == 0 {
        tokio::task::yield_now().await;
    }
    lower.unsubscribe().await;
    gate.close();
    let report = report.await.unwrap();
    assert_eq!(report.outcome("lower").unwrap().error.as_deref(), Some("unsubscribed"));
    assert!(log.take().is_empty());
}
