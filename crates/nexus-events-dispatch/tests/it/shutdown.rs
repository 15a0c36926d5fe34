//! The end of a bus.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt};
use nexus_events_model::Event;
use tokio::sync::Semaphore;

use crate::{Log, event};

#[tokio::test]
async fn it_closes_the_intake_and_drains_queues_and_follow_ups() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    bus.on("a", move |_: Event, context: Context| {
        let waits = waits.clone();
        async move {
            let _ = waits.acquire().await;
            context.publish(event("b")).map(|_| ())
        }
    })
    .unwrap();
    bus.on("b", log.writes_async("b")).unwrap();
    for _ in 0..10 {
        bus.publish(event("a")).await.unwrap();
    }
    let shutdown = tokio::spawn({
        let bus = bus.clone();
        async move { bus.shutdown(Duration::from_secs(30)).await }
    });
    while bus.publish(event("nothing")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bus.publish(event("a")).await.unwrap_err().kind(), ErrorKind::Closed);
    gate.close();
    let report = shutdown.await.unwrap();
    assert!(report.is_clean());
    assert_eq!((report.drained, log.take().len()), (10, 10));
    assert_eq!(bus.on("a", |_: &Event| {}).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.stats().events.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_stops_what_hangs_and_counts_it() {
    let bus = Bus::new();
    bus.on("a", async |_: Event| std::future::pending::<()>().await).unwrap();
    for _ in 0..5 {
        bus.publish(event("a")).await.unwrap();
    }
    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_and_wait(event("a")).await }
    });
    tokio::task::yield_now().await;
    let before = tokio::time::Instant::now();
    let report = bus.shutdown(Duration::from_secs(5)).await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert_eq!((report.lost, report.drained), (6, 0));
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.stats().events.lost_events, 6);
}

#[tokio::test]
async fn a_handler_may_shut_the_bus_down() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("stop", move |_: Event, context: Context| {
        let seen = seen.clone();
        async move {
            let report = context.bus().shutdown(Duration::from_secs(30)).await;
            assert!(report.is_clean());
            seen.add("stopped");
        }
    })
    .unwrap();
    bus.on("stop", log.writes("lower").priority(-1)).unwrap();
    assert!(bus.publish_and_wait(event("stop")).await.unwrap().is_success());
    assert_eq!(log.take()[0], "stopped");
    assert_eq!(bus.publish(event("stop")).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn shutting_down_twice_is_no_mistake() {
    let bus = Bus::new();
    assert!(bus.shutdown(Duration::ZERO).await.is_clean());
    assert!(bus.shutdown(Duration::ZERO).await.is_clean());
}
