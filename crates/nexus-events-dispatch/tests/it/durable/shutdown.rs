use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, HandlerExt};
use nexus_events_model::Event;
use tokio::time::Instant;

use super::{SECOND, open, publish};

fn slow(bus: &Bus, handled: &Arc<AtomicUsize>) {
    let handled = handled.clone();
    let handler = move |_: Event| {
        let handled = handled.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            handled.fetch_add(1, Ordering::Relaxed);
        }
    };
    let two = handler.durable("billing").with(|options| options.concurrency(2));
    bus.on("order.*", two).unwrap();
}

#[tokio::test(start_paused = true)]
async fn d17_a_shutdown_leaves_the_rest_to_the_next_start() {
    let (store, handled) = (Arc::new(MemoryStore::new()), Arc::new(AtomicUsize::new(0)));
    let bus = open(&store).await;
    slow(&bus, &handled);
    publish(&bus, 0..10_000).await;
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    let report = bus.shutdown(2 * SECOND).await;
    assert!(began.elapsed() <= Duration::from_millis(2_200));
    assert_eq!(report.lost, 0);
    let before = handled.load(Ordering::Relaxed);
    assert_eq!(before + report.redelivered as usize, 10_000);
    assert!(before > 0 && report.redelivered > 0);

    let bus = open(&store).await;
    slow(&bus, &handled);
    bus.idle().await;
    assert_eq!(handled.load(Ordering::Relaxed), 10_000);
    let report = bus.shutdown(SECOND).await;
    assert_eq!((report.lost, report.redelivered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_bus_stores_nothing() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    bus.shutdown(SECOND).await;
    assert!(bus.publish(super::numbered(1)).await.is_err());
    assert!(nexus_events_dispatch::store::EventStore::bounds(&*store).is_empty());
}
