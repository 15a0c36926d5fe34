use std::sync::Arc;

use nexus_events_dispatch::store::{EventStore, MemoryStore, Read};
use nexus_events_dispatch::{Context, HandlerExt};
use nexus_events_model::Event;

use super::{numbered, open};

#[tokio::test(start_paused = true)]
async fn a_batch_is_stored_and_dispatched_in_order() {
    let (store, log) = (Arc::new(MemoryStore::new()), crate::Log::default());
    let bus = open(&store).await;
    let writes = log.clone();
    bus.on("order.*", move |event: &Event| writes.add(event.id().to_string())).unwrap();
    let receipts = bus.publish_batch((0..3_000).map(numbered)).await.unwrap();
    let offsets: Vec<u64> = receipts.iter().map(|it| it.offset.unwrap().number()).collect();
    assert_eq!(offsets, (1..=3_000).collect::<Vec<_>>());
    assert_eq!(log.take(), (0..3_000).map(|n| format!("evt-{n}")).collect::<Vec<_>>());
    assert_eq!(store.bounds().len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn the_statistics_tell_of_store_and_consumers() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    bus.on("order.*", (async |_: Event| {}).durable("billing")).unwrap();
    bus.publish_batch((0..7).map(numbered)).await.unwrap();
    bus.idle().await;
    let stats = bus.stats();
    assert_eq!(stats.store.as_ref().unwrap().events, 7);
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["consumers"]["billing"]["acked"], 7);
    assert_eq!(json["store"]["events"], 7);
    let text = stats.to_prometheus();
    assert!(
        text.contains("nexus_events_consumer_handled_total{consumer=\"billing\"} 7\n"),
        "{text}"
    );
    assert!(text.contains("nexus_events_store_events 7\n"));
}

#[tokio::test(start_paused = true)]
async fn d27_what_a_handler_publishes_is_stored_with_its_correlation_and_cause() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    bus.on("order.created", async |context: Context| {
        context.publish(Event::builder("order.checked")).unwrap();
        context.publish_and_wait(Event::builder("order.priced")).await.unwrap();
        context.bus().publish(Event::builder("order.mailed")).await.unwrap();
    })
    .unwrap();
    bus.publish(numbered(1).correlation_id("o-1")).await.unwrap();
    bus.idle().await;
    let page = store.read(Read::all()).await.unwrap();
    assert_eq!(page.events.len(), 4);
    for stored in &page.events[1..] {
        let (correlation, cause) = (stored.event.correlation_id(), stored.event.causation_id());
        assert_eq!(correlation.unwrap().to_string(), "o-1", "{:?}", stored.event);
        assert_eq!(cause.unwrap().to_string(), "evt-1", "{:?}", stored.event);
    }
}
