//! Gathering by key, its ends, and its bounds.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::{Event, EventType, Text};
use nexus_events_patterns::{
    Correlate, ErrorKind, Gather, GatherReason, Gathered, Reject, Requests, Until,
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ms, of};

type Ended = Arc<Mutex<Vec<(String, usize, GatherReason)>>>;

/// Keeps what has ended.
fn keep(ended: &Ended) -> impl Fn(&Gathered) + Send + Sync + 'static {
    let ended = ended.clone();
    move |gathered: &Gathered| {
        let row = (gathered.key.to_string(), gathered.events.len(), gathered.reason);
        ended.lock().push(row);
    }
}

fn row(key: &str, events: usize, reason: GatherReason) -> (String, usize, GatherReason) {
    (key.to_owned(), events, reason)
}

#[tokio::test(start_paused = true)]
async fn it_is_complete_by_count_by_types_and_by_a_condition() {
    let types = ["order.paid", "order.packed"].map(|name| EventType::new(name).unwrap());
    let last = |events: &[Event]| events.iter().any(|event| event.payload().get("last").is_some());
    for (until, events) in [(Until::count(3), 3), (Until::types(types), 4), (Until::when(last), 2)]
    {
        let (bus, ended) = (Bus::new(), Ended::default());
        Gather::of("order.*", until).unwrap().each(keep(&ended)).attach(&bus).unwrap();
        for (name, payload) in [
            ("order.paid", json!({})),
            ("order.paid", json!({"last": true})),
            ("order.paid", json!({})),
            ("order.packed", json!({})),
        ] {
            bus.publish(of(name, "o-1").payload(payload)).await.unwrap();
        }
        assert_eq!(*ended.lock(), [row("o-1", events, GatherReason::Complete)]);
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_its_time_is_over_and_what_comes_then_is_late() {
    let (bus, ended) = (Bus::new(), Ended::default());
    let gather = Gather::of("order.*", Until::count(2)).unwrap().timeout(ms(100));
    let gatherer = gather.each(keep(&ended)).attach(&bus).unwrap();
    bus.publish(of("order.paid", "a")).await.unwrap();
    sleep(ms(50)).await;
    bus.publish(of("order.paid", "b")).await.unwrap();
    sleep(ms(49)).await;
    assert!(ended.lock().is_empty());
    sleep(ms(1)).await;
    tokio::task::yield_now().await;
    assert_eq!(*ended.lock(), [row("a", 1, GatherReason::TimedOut)]);
    bus.publish(of("order.paid", "a")).await.unwrap();
    bus.publish(of("order.paid", "b")).await.unwrap();
    assert_eq!(ended.lock()[1], row("b", 2, GatherReason::Complete));
    bus.publish(Event::builder("order.paid")).await.unwrap();
    let stats = gatherer.stats();
    assert_eq!((stats.events, stats.late, stats.without_key, stats.open), (3, 1, 1, 0));
    assert_eq!((stats.complete, stats.timed_out, stats.bytes), (1, 1, 0));
    sleep(ms(1_000)).await;
    assert_eq!(ended.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_expected_is_waited_for_from_then_on() {
    let bus = Bus::new();
    let gather = Gather::of("order.*", Until::count(2)).unwrap().timeout(ms(100));
    let gatherer = gather.attach(&bus).unwrap();
    let (begun, never) = (Instant::now(), gatherer.expect("never").unwrap());
    let both = gatherer.expect("both").unwrap();
    let error = gatherer.expect("both").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    for _ in 0..2 {
        bus.publish(of("order.paid", "both")).await.unwrap();
    }
    assert!(both.await.unwrap().is_complete());
    let never = never.await.unwrap();
    assert_eq!((never.events.len(), never.reason), (0, GatherReason::TimedOut));
    assert_eq!(begun.elapsed(), ms(100));
    // It is over, until it is expected once more.
    let again = gatherer.expect("both").unwrap();
    for _ in 0..2 {
        bus.publish(of("order.paid", "both")).await.unwrap();
    }
    assert!(again.await.unwrap().is_complete());
    assert_eq!(gatherer.stats().late, 0);
    // Somebody who has gone does not wait.
    drop(gatherer.expect("gone").unwrap());
    assert!(gatherer.expect("gone").is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_bound_ends_a_gathering_with_what_it_has() {
    let many = || Gather::of("order.*", Until::count(100)).unwrap();
    let size =
        Bus::new().stamp(of("order.paid", "a").payload(json!("x".repeat(100)))).unwrap().size();
    for (gather, expected) in [
        (many().events(2), vec![row("a", 2, GatherReason::Full)]),
        (many().keys(2), vec![row("a", 2, GatherReason::Full)]),
        (many().bytes(3 * size), vec![row("a", 2, GatherReason::Full)]),
    ] {
        let (bus, ended) = (Bus::new(), Ended::default());
        let gatherer = gather.each(keep(&ended)).attach(&bus).unwrap();
        for key in ["a", "a", "b", "c"] {
            let event = of("order.paid", key).payload(json!("x".repeat(100)));
            bus.publish(event).await.unwrap();
        }
        assert_eq!(*ended.lock(), expected, "{:?}", gatherer.stats());
        assert_eq!(gatherer.stats().full, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_what_is_open_and_a_key_of_its_own_is_used() {
    let (bus, ended) = (Bus::new(), Ended::default());
    let by = |event: &Event| Some(Text::from(event.source().to_owned()));
    let gather = Gather::of("order.*", Until::count(3)).unwrap().by(by).named("by source");
    let gatherer = gather.each(keep(&ended)).attach(&bus).unwrap();
    assert_eq!(bus.stats().handlers[0].handler_id.as_str(), "by source");
    let waiting = gatherer.expect("web").unwrap();
    for (source, key) in [("web", "1"), ("shop", "2"), ("web", "3")] {
        bus.publish(of("order.paid", key).source(source)).await.unwrap();
    }
    let stats = gatherer.close().await;
    assert_eq!((stats.shutdown, stats.open, stats.bytes), (2, 0, 0));
    assert_eq!(waiting.await.unwrap().reason, GatherReason::Shutdown);
    assert_eq!(ended.lock().len(), 2);
    bus.publish(of("order.paid", "4").source("web")).await.unwrap();
    assert_eq!(ended.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_bus() {
    let bus = Bus::new();
    let gatherer = Gather::of("order.*", Until::count(3)).unwrap().attach(&bus).unwrap();
    let waiting = gatherer.expect("a").unwrap();
    drop((gatherer, bus));
    assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let bus = Bus::new();
    let gather = |until| Gather::of("order.*", until).unwrap();
    let three = || gather(Until::count(3));
    for (gather, part) in [
        (gather(Until::count(0)), "until"),
        (gather(Until::types([])), "until"),
        (three().keys(0), "keys"),
        (three().events(0), "events"),
        (three().bytes(0), "bytes"),
        (three().timeout(ms(0)), "timeout"),
        (three().timeout(std::time::Duration::MAX), "timeout"),
    ] {
        let error = gather.attach(&bus).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().starts_with(part), "{error}");
    }
    assert!(Gather::of("order..x", Until::count(1)).is_err());
}

#[test]
fn without_a_runtime_it_says_what_is_missing() {
    let gather = Gather::of("order.*", Until::count(3)).unwrap();
    let error = gather.attach(&Bus::new()).unwrap_err();
    assert!(error.to_string().contains("#[tokio::main]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn d27_a_workflow_end_to_end_carries_its_correlation_through_responder_and_gatherer() {
    let bus = Bus::new();
    bus.respond("stock.asked", async |context: Context| {
        context.publish(Event::builder("part.found"))?;
        context.publish(Event::builder("part.found"))?;
        // One with a correlation of its own is another conversation.
        context.publish(Event::builder("part.found").correlation_id("own"))?;
        Ok::<_, Reject>(2_u64)
    })
    .unwrap();
    let gather = Gather::of("part.found", Until::count(2)).unwrap().timeout(ms(500));
    let gatherer = gather
        .publish(|gathered| {
            Event::builder(if gathered.is_complete() { "parts.ready" } else { "parts.missing" })
        })
        .attach(&bus)
        .unwrap();
    let order = bus.correlate().unwrap();
    let parts = gatherer.expect(order.id().to_string()).unwrap();
    let asked = order.request::<u64>(Event::builder("stock.asked")).unwrap();
    assert_eq!(asked.await.unwrap(), 2);
    let parts = parts.await.unwrap();
    sleep(ms(1_000)).await;
    bus.idle().await;
    let history = bus.history(100, None);
    let one = |name: &str| history.iter().find(|event| event.event_type() == name).unwrap();
    let (ready, missing) = (one("parts.ready"), one("parts.missing"));
    assert_eq!(ready.correlation_id(), Some(order.id()));
    assert_eq!(ready.causation_id(), Some(parts.events[1].id().into()));
    // It comes from a task, and is in the conversation that it ends.
    assert_eq!(missing.correlation_id().unwrap().to_string(), "own");
    let tree =
        nexus_events_patterns::CausationTree::of_correlation(&bus, order.id()).await.unwrap();
    let told: Vec<_> = tree
        .nodes()
        .iter()
        .map(|node| (node.depth(), node.event().event_type().as_str()))
        .collect();
    assert_eq!(
        told,
        [(0, "stock.asked"), (1, "part.found"), (1, "part.found"), (2, "parts.ready")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_bus_does_not_take_is_counted() {
    let bus = Bus::new();
    let gather = Gather::of("order.*", Until::count(1)).unwrap();
    let gatherer = gather.publish(|_| Event::builder("no..type")).attach(&bus).unwrap();
    bus.publish(of("order.paid", "a")).await.unwrap();
    assert_eq!(gatherer.stats().unpublished, 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_ends_nothing_but_itself() {
    let (bus, ended) = (Bus::new(), Ended::default());
    let each = keep(&ended);
    let gather = Gather::of("order.*", Until::count(2)).unwrap().timeout(ms(100));
    let gatherer = gather
        .each(move |gathered: &Gathered| {
            assert!(gathered.key != "odd", "each");
            each(gathered);
        })
        .publish(|gathered: &Gathered| {
            assert!(gathered.key != "odd", "publish");
            Event::builder("told")
        })
        .attach(&bus)
        .unwrap();
    let odd = gatherer.expect("odd").unwrap();
    // Both are over at the same time.
    let fine = gatherer.expect("fine").unwrap();
    assert_eq!(odd.await.unwrap().reason, GatherReason::TimedOut);
    assert_eq!(fine.await.unwrap().reason, GatherReason::TimedOut);
    let later = gatherer.expect("later").unwrap();
    assert_eq!(later.await.unwrap().reason, GatherReason::TimedOut);
    assert_eq!(ended.lock().len(), 2);
    assert_eq!((gatherer.stats().timed_out, gatherer.stats().panicked), (3, 2));
}
