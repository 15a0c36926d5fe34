//! A queue that is full holds up nobody but its own handler.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::limits::SHARED_LANE_EVENTS;
use nexus_events_dispatch::{Bus, HandlerExt, Mode, Overload, SubscriptionOptions};
use nexus_events_model::Event;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::delivery::{gated, polled_once, settle};
use crate::{Log, event};

fn blocks(millis: u64) -> impl Fn(SubscriptionOptions) -> SubscriptionOptions {
    let overload = Overload::Block { timeout: Duration::from_millis(millis) };
    move |options| options.queue(1).overload(overload)
}

/// Writes the event's type.
fn seen(log: &Log) -> impl Fn(&Event) + Send + Sync + 'static {
    let log = log.clone();
    move |event: &Event| log.add(event.event_type().as_str())
}

/// A handler that is busy, and its queue full.
async fn fill(bus: &Bus, gate: &Arc<Semaphore>, log: &Log, pattern: &str, millis: u64) {
    let name = pattern.replace('*', "fills");
    bus.on(pattern, gated(gate, log).with(blocks(millis))).unwrap();
    for _ in 0..2 {
        bus.publish(event(&name)).await.unwrap();
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn later_queues_and_inline_handlers_of_the_wave_do_not_wait_for_a_full_one() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let [slow, quick, inline, lower] = [(); 4].map(|()| Log::default());
    fill(&bus, &gate, &slow, "n.*", 60_000).await;
    bus.on("n.*", quick.writes_async("quick")).unwrap();
    bus.on("n.*", inline.writes("inline")).unwrap();
    bus.on("n.*", lower.writes("lower").priority(-1)).unwrap();
    let mut third = pin!(bus.publish(event("n.third")));
    assert!(polled_once(third.as_mut()).await, "the publisher waits");
    settle().await;
    assert_eq!((quick.take().len(), inline.take().len()), (1, 1));
    assert!(lower.take().is_empty(), "the wave is not over");
    gate.close();
    assert_eq!(third.await.unwrap().rejected, 0);
    bus.idle().await;
    assert_eq!((slow.take().len(), lower.take().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_waits_for_several_full_queues_begin_together() {
    let (bus, gate, log) = (Bus::new(), Arc::new(Semaphore::new(0)), Log::default());
    for (name, millis) in [("one", 1_000), ("two", 700), ("three", 300)] {
        let options = |options| blocks(millis)(options).name(name);
        bus.on("a", gated(&gate, &log).with(options)).unwrap();
    }
    for _ in 0..2 {
        bus.publish(event("a")).await.unwrap();
        settle().await;
    }
    let before = Instant::now();
    let mut third = pin!(bus.publish(event("a")));
    for (name, millis) in [("three", 300), ("two", 700), ("one", 1_000)] {
        assert!(polled_once(third.as_mut()).await);
        tokio::time::advance(Duration::from_millis(millis) - before.elapsed()).await;
        let _ = polled_once(third.as_mut()).await && name != "one";
        assert_eq!(bus.stats().handler(name).unwrap().rejected_count, 1, "{name}");
    }
    assert_eq!(bus.stats().events.rejected, 3);
    gate.close();
    bus.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_of_a_lower_wave_does_not_hold_back_the_others_of_it() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let [slow, quick, inline] = [(); 3].map(|()| Log::default());
    fill(&bus, &gate, &slow, "n.*", 60_000).await;
    bus.on("n.*", (async |_: Event| {}).priority(1)).unwrap();
    bus.on("n.*", quick.writes_async("quick")).unwrap();
    bus.on("n.*", inline.writes("inline")).unwrap();
    for _ in 0..3 {
        bus.publish(event("n.more")).await.unwrap();
    }
    settle().await;
    assert_eq!((quick.take().len(), inline.take().len()), (3, 3));
    gate.close();
    bus.idle().await;
    assert_eq!(slow.take().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_publish_given_up_keeps_its_place_in_every_queue() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let [slow, other, lower] = [(); 3].map(|()| Log::default());
    for log in [&slow, &other] {
        bus.on("n.*", gated(&gate, log).with(blocks(60_000))).unwrap();
    }
    bus.on("n.*", seen(&lower).priority(-1)).unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("n.{number}")).collect();
    for name in &names {
        // Every second one is given up half way.
        let mut publish = Box::pin(bus.publish(event(name)));
        let waits = polled_once(publish.as_mut()).await;
        assert_eq!(waits, name > &names[1], "one runs, one is queued");
        settle().await;
        if waits && name.ends_with(['1', '3', '5', '7', '9']) {
            tokio::spawn({
                let (bus, name) = (bus.clone(), name.clone());
                async move { bus.publish(event(&name)).await }
            });
            settle().await;
        }
    }
    gate.close();
    bus.idle().await;
    let mut expected = Vec::new();
    for name in &names {
        expected.push(name.clone());
        if name > &names[1] && name.ends_with(['1', '3', '5', '7', '9']) {
            expected.push(name.clone());
        }
    }
    for log in [slow, other, lower] {
        assert_eq!(log.take(), expected);
    }
    assert_eq!(bus.stats().events.rejected, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_runs_out_of_time_in_order_and_lower_waves_follow() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let [slow, lower] = [(); 2].map(|()| Log::default());
    fill(&bus, &gate, &slow, "n.*", 1_000).await;
    bus.on("n.*", seen(&lower).priority(-1).mode(Mode::Queued)).unwrap();
    let names: Vec<String> = (0..6).map(|number| format!("n.{number}")).collect();
    for name in &names[..5] {
        assert!(polled_once(pin!(bus.publish(event(name)))).await);
    }
    // This one has as much time as those before it, and is not given up.
    assert_eq!(bus.publish(event(&names[5])).await.unwrap().rejected, 1);
    settle().await;
    assert_eq!(lower.take(), names);
    assert_eq!(bus.stats().events.rejected, 6);
    gate.close();
    bus.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_shared_lane_does_not_hold_back_the_others_of_the_wave() {
    let (bus, inline) = (Bus::new(), Log::default());
    let shared = Log::default();
    bus.on("n.*", seen(&shared).mode(Mode::Queued)).unwrap();
    bus.on("n.one", inline.writes("inline")).unwrap();
    for _ in 0..SHARED_LANE_EVENTS {
        assert_eq!(bus.try_publish(event("n.fills")).unwrap().rejected, 0);
    }
    {
        let mut one = pin!(bus.publish(event("n.one")));
        assert!(polled_once(one.as_mut()).await, "the publisher waits");
        assert_eq!(inline.take(), ["inline"]);
    }
    // What was given up is in front of what comes after it.
    assert_eq!(bus.publish(event("n.two")).await.unwrap().rejected, 0);
    bus.idle().await;
    let shared = shared.take();
    assert_eq!(shared.len(), SHARED_LANE_EVENTS + 2);
    assert_eq!(shared[SHARED_LANE_EVENTS..], ["n.one", "n.two"]);
}
