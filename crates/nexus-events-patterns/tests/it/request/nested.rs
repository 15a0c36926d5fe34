//! Requests made by handlers, and what is published there.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode, layers::Timeout};
use nexus_events_model::Event;
use nexus_events_patterns::{ErrorKind, Reject, ReplyTo, Requests, responder};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{ask, ms, number};

#[tokio::test(start_paused = true)]
async fn the_deadline_is_inherited_and_the_smaller_one_wins() {
    let bus = Bus::new();
    let inner = async |context: Context, event: Event| {
        let millis = event.payload().value().unwrap().as_u64().unwrap();
        let begun = Instant::now();
        let error = context.request::<u64>(Event::builder("stock.asked")).timeout(ms(millis)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
        Ok::<_, Reject>(u64::try_from(begun.elapsed().as_millis()).unwrap())
    };
    bus.respond("price.asked", inner).unwrap();
    bus.respond_with("stock.asked", async |reply_to: ReplyTo| reply_to.cancelled().await).unwrap();
    let outer = |inner: u64| {
        let asked = ask().payload(serde_json::json!(inner));
        bus.request_many::<u64>(asked).deadline(ms(100)).collect()
    };
    // Its own is smaller.
    assert_eq!(*outer(40).await.unwrap()[0].as_ref().unwrap(), 40);
    // That of the request it answers is smaller, and over for both at the same time.
    let begun = Instant::now();
    assert!(outer(5_000).await.unwrap().is_empty());
    assert_eq!(begun.elapsed(), ms(100));
    bus.idle().await;
    assert_eq!((begun.elapsed(), bus.request_stats().timed_out), (ms(100), 2));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_handler_is_inherited_too() {
    let bus = Bus::new();
    let deadlines = Arc::new(Mutex::new(Vec::new()));
    let (tell, told) = (deadlines.clone(), deadlines.clone());
    let asks = move |context: Context| {
        tell.lock().push(context.deadline().unwrap());
        async move { drop(context.request::<u64>(ask()).await) }
    };
    bus.on("order.created", asks.layer(Timeout::new(ms(1_000)))).unwrap();
    bus.respond_with("price.asked", move |reply_to: ReplyTo| {
        told.lock().push(reply_to.deadline());
    })
    .unwrap();
    bus.publish(Event::builder("order.created")).await.unwrap();
    bus.idle().await;
    let deadlines = deadlines.lock();
    assert_eq!((deadlines.len(), deadlines[0]), (2, deadlines[1]));
}

#[tokio::test(start_paused = true)]
async fn a_request_on_a_plain_bus_inside_a_handler_is_dispatched_at_once() {
    let bus = Bus::new();
    let inner = bus.clone();
    let asks = move || {
        let inner = inner.clone();
        async move { inner.request::<u64>(Event::builder("stock.asked")).await.map_err(Reject::from) }
    };
    bus.respond("price.asked", asks).unwrap();
    bus.respond("stock.asked", async || Ok::<_, Reject>(8_u64)).unwrap();
    let begun = Instant::now();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 8);
    assert_eq!(begun.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn a_responder_that_asks_itself_is_skipped_instead_of_waiting() {
    let bus = Bus::new();
    let asks = async |context: Context| match context.request::<u64>(ask()).await {
        Ok(number) => Ok(number),
        Err(error) if error.kind() == ErrorKind::ResponderGone => Ok::<_, Reject>(99),
        Err(error) => Err(error.into()),
    };
    bus.respond("price.asked", asks).unwrap();
    let begun = Instant::now();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 99);
    assert_eq!(begun.elapsed(), ms(0));
}

#[tokio::test]
async fn d27_what_a_responder_publishes_joins_the_conversation_but_not_the_request() {
    let bus = Bus::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = seen.clone();
    bus.respond("price.asked", async |context: Context| {
        context.publish(Event::builder("price.looked_up"))?;
        context.publish(Event::builder("price.looked_up").correlation_id("own"))?;
        let stock: u64 = context.request(Event::builder("stock.asked")).await?;
        Ok::<_, Reject>(stock)
    })
    .unwrap();
    bus.respond("stock.asked", async |event: Event| {
        assert_eq!(event.correlation_id().unwrap().to_string(), "c-1");
        Ok::<_, Reject>(4_u64)
    })
    .unwrap();
    bus.respond_with("price.looked_up", move |event: &Event, reply_to: Option<ReplyTo>| {
        let correlation = event.correlation_id().map(ToString::to_string);
        let cause = event.causation_id().map(|id| id.to_string());
        let accept = event.metadata().get(ReplyTo::ACCEPT).is_some();
        see.lock().push((correlation, cause, accept, reply_to.is_some()));
    })
    .unwrap();
    let asked = bus.stamp(ask().correlation_id("c-1")).unwrap();
    let id = Some(asked.id().to_string());
    assert_eq!(bus.request::<u64>(asked).accept(["v1"]).await.unwrap(), 4);
    bus.idle().await;
    let row = |correlation: &str| (Some(correlation.to_owned()), id.clone(), false, false);
    assert_eq!(*seen.lock(), [row("c-1"), row("own")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_handler_lends_its_worker_while_it_waits() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let asks = async |context: Context| {
        Ok::<_, Reject>(context.request::<u64>(Event::builder("stock.asked")).await?)
    };
    bus.on("price.asked", responder(asks).mode(Mode::Blocking)).unwrap();
    bus.on("stock.asked", responder(|| Ok::<_, Reject>(3_u64)).mode(Mode::Blocking)).unwrap();
    assert_eq!(number(&bus, 20_000).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_time_is_over_is_not_made() {
    let bus = Bus::new();
    let asks = async |context: Context, reply_to: ReplyTo| {
        sleep(ms(200)).await;
        let error = context.request::<u64>(Event::builder("stock.asked")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(reply_to.is_cancelled());
    };
    bus.respond_with("price.asked", asks).unwrap();
    bus.respond("stock.asked", || Ok::<_, Reject>(1_u64)).unwrap();
    assert!(number(&bus, 100).await.is_err());
    bus.idle().await;
    assert_eq!(bus.stats().events.total_events, 1);
    assert_eq!(bus.pending_requests(), 0);
}
