//! Priority waves and cancellation.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context, HandlerExt, HandlerPriority, Mode};
use nexus_events_model::{Event, OutcomeStatus};
use tokio::sync::{Barrier, Semaphore};

use crate::{Log, event};

#[tokio::test]
async fn higher_priority_runs_first_and_equal_ones_in_order_of_registration() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes("low").priority(1)).unwrap();
    bus.on("a", log.writes("first")).unwrap();
    bus.on("a", log.writes("high").priority(10)).unwrap();
    bus.on("a", log.writes("second")).unwrap();
    bus.on("a", log.writes("stream").priority(HandlerPriority::STREAM)).unwrap();
    bus.publish(event("a")).await.unwrap();
    assert_eq!(log.take(), ["high", "low", "first", "second", "stream"]);
}

#[tokio::test]
async fn waves_hold_across_all_modes() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes("4 inline").priority(10)).unwrap();
    bus.on("a", log.writes_async("3 queued").priority(20)).unwrap();
    bus.on("a", log.writes("2 blocking").priority(30).mode(Mode::Blocking)).unwrap();
    bus.on("a", log.writes_async("1 queued").priority(40)).unwrap();
    bus.on("a", log.writes("5 blocking").priority(5).mode(Mode::Blocking)).unwrap();
    for _ in 0..20 {
        let report = bus.publish_and_wait(event("a")).await.unwrap();
        assert_eq!(report.handlers_notified(), 5);
        assert_eq!(log.take(), ["1 queued", "2 blocking", "3 queued", "4 inline", "5 blocking"]);
    }
}

#[tokio::test]
async fn async_handlers_of_one_wave_run_concurrently() {
    let bus = Bus::new();
    let barrier = Arc::new(Barrier::new(3));
    for _ in 0..3 {
        let barrier = barrier.clone();
        // Each waits for the two others: one after another they would never end.
        bus.on("a", move |_: Event| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
            }
        })
        .unwrap();
    }
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
}

#[tokio::test]
async fn cancel_lets_the_wave_finish_and_stops_strictly_lower_ones() {
    let (bus, log) = (Bus::new(), Log::default());
    let cancel = |_: &Event, context: &Context| context.cancel("not today");
    bus.on("a", cancel.named("validator").priority(10)).unwrap();
    bus.on("a", log.writes("peer").named("peer").priority(10)).unwrap();
    bus.on("a", log.writes("lower").named("lower").priority(9)).unwrap();
    bus.on("a", log.writes_async("lowest").named("lowest")).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(log.take(), ["peer"]);
    let status = |name: &str| report.outcome(name).unwrap().status;
    assert_eq!(status("validator"), OutcomeStatus::Success);
    assert_eq!(status("peer"), OutcomeStatus::Success);
    assert_eq!(
        (status("lower"), status("lowest")),
        (OutcomeStatus::Cancelled, OutcomeStatus::Cancelled)
    );
    assert_eq!(
        report.outcome("lower").unwrap().error.as_deref(),
        Some("cancelled by validator: not today")
    );
    assert_eq!(report.handlers_notified(), 2);
    let stats = bus.stats();
    assert_eq!((stats.events.cancelled_events, stats.events.handled_events), (1, 0));
    assert_eq!(stats.handler("lower").unwrap().cancelled_count, 1);
}

#[tokio::test]
async fn an_async_handler_can_cancel_too() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", (async |_: Event, context: Context| context.cancel("no")).priority(1)).unwrap();
    bus.on("a", log.writes("never")).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn two_events_that_meet_the_same_waves_stay_in_order() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("n.*", (async |_: Event| tokio::task::yield_now().await).priority(20)).unwrap();
    bus.on("n.*", (async |_: Event| {}).priority(20)).unwrap();
    let lower = log.clone();
    bus.on(
        "n.*",
        (move |event: &Event| lower.add(event.event_type().as_str()))
            .priority(1)
            .mode(Mode::Queued),
    )
    .unwrap();
    let names: Vec<String> = (0..200).map(|number| format!("n.{number}")).collect();
    for name in &names {
        bus.publish(event(name)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(log.take(), names);
}

#[tokio::test]
async fn a_slow_handler_holds_up_neither_publisher_nor_others() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    bus.on(
        "a",
        (move |_: Event| {
            let waits = waits.clone();
            async move {
                let _ = waits.acquire().await;
            }
        })
        .named("slow"),
    )
    .unwrap();
    bus.on("a", log.writes_async("quick").named("quick")).unwrap();
    for _ in 0..100 {
        bus.publish(event("a")).await.unwrap();
    }
    while log.0.lock().len() < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 0);
    gate.close();
    bus.idle().await;
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 100);
}
