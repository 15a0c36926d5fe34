//! Everything at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode};
use nexus_events_model::{Event, EventType, Filter};

use crate::event;

const PUBLISHERS: u64 = 64;
const EVENTS: u64 = 10_000;

/// 64 publishers × 10,000 events, while handlers subscribe, unsubscribe and publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_publishers_and_handlers_that_change_the_bus_lose_no_event() {
    let bus = Bus::builder().history(100).build().unwrap();
    let counts: [Arc<AtomicU64>; 3] = Default::default();
    let [inline, queued, follow_ups] = counts.clone();

    bus.on("load.event", move |_: &Event| {
        inline.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    let every = Filter::parse("payload == 0").unwrap();
    bus.on(
        "load.event",
        (|_: &Event, context: &Context| context.publish(event("load.follow_up")).map(|_| ()))
            .named("publishes")
            .filter(every),
    )
    .unwrap();
    bus.on("load.follow_up", move |_: &Event| {
        follow_ups.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    // Subscribes a handler that ends itself at its first event.
    bus.on(
        "load.churn",
        (async |_: Event, context: Context| {
            let once = context.bus().on("load.event", (|_: &Event| {}).mode(Mode::Queued))?;
            once.unsubscribe().await;
            Ok::<(), nexus_events_dispatch::Error>(())
        })
        .named("churns"),
    )
    .unwrap();
    bus.on(
        "load.event",
        (move |_: &Event| {
            queued.fetch_add(1, Ordering::Relaxed);
        })
        .named("queued")
        .with(|options| options.mode(Mode::Queued).queue(65_536)),
    )
    .unwrap();

    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let bus = bus.clone();
            tokio::spawn(async move {
                let load = EventType::from_static("load.event");
                for number in 0..EVENTS {
                    let receipt = bus
                        .publish(Event::builder(&load).payload(serde_json::json!(number % 100)))
                        .await
                        .unwrap();
                    assert_eq!(receipt.rejected, 0);
                    if number % 500 == publisher {
                        bus.publish(event("load.churn")).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    bus.idle().await;

    let [inline, queued, follow_ups] = counts.map(|count| count.load(Ordering::Relaxed));
    let (published, churned) = (PUBLISHERS * EVENTS, PUBLISHERS * EVENTS / 500);
    assert_eq!((inline, queued, follow_ups), (published, published, published / 100));
    let stats = bus.stats();
    assert_eq!(stats.events.total_events, published + published / 100 + churned);
    assert_eq!(stats.events.handled_events, stats.events.total_events);
    assert_eq!(stats.handler("churns").unwrap().execution_count, churned);
    assert_eq!(
        (stats.events.failed_events, stats.events.rejected, stats.events.in_flight),
        (0, 0, 0)
    );
}

/// Handlers come and go while events pass: each event is seen by a handler if it was there before
/// and not ended yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscription_sees_every_event_between_its_beginning_and_its_end() {
    let bus = Bus::new();
    let noise = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..20_000 {
                bus.publish(event("a.noise")).await.unwrap();
            }
        }
    });
    for round in 0..200 {
        let seen = Arc::new(AtomicU64::new(0));
        let counts = seen.clone();
        let name = format!("a.own-{round}");
        let mode = if round % 2 == 0 { Mode::Inline } else { Mode::Queued };
        let handler = move |_: &Event| {
            counts.fetch_add(1, Ordering::Relaxed);
        };
        let subscription = bus.on(name.as_str(), handler.mode(mode)).unwrap();
        for _ in 0..10 {
            bus.publish_and_wait(event(&name)).await.unwrap();
        }
        subscription.unsubscribe().await;
        bus.publish_and_wait(event(&name)).await.unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 10);
    }
    noise.await.unwrap();
}
