//! Publishing: what matches, what is refused, what fails.

use nexus_events_dispatch::{Bus, ErrorKind, HandlerError, HandlerExt, ManualClock, Mode};
use nexus_events_model::{Event, EventBuilder, Filter, OutcomeStatus, Payload};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::{Log, event};

#[tokio::test]
async fn patterns_and_filters_select() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("data.*", log.writes("one")).unwrap();
    bus.on("**", log.writes("all")).unwrap();
    bus.on("*.created", log.writes("created")).unwrap();
    let big = Filter::parse("payload.amount > 100").unwrap();
    bus.on("data.created", log.writes("big").filter(big).named("big")).unwrap();
    let receipt = bus.publish(event("data.created").payload(json!({"amount": 7}))).await.unwrap();
    assert_eq!(receipt.matched, 3);
    assert_eq!(log.take(), ["one", "all", "created"]);
    let receipt = bus.publish(event("data.created").payload(json!({"amount": 101}))).await.unwrap();
    assert_eq!(receipt.matched, 4);
    assert_eq!(log.take(), ["one", "all", "created", "big"]);
    assert_eq!(bus.publish(event("data.user.created")).await.unwrap().matched, 1);
    assert_eq!(bus.stats().handler("big").unwrap().filtered_count, 1);
}

#[tokio::test]
async fn several_filters_on_one_handler_must_all_hold() {
    let (bus, log) = (Bus::new(), Log::default());
    let small = Filter::parse("payload.n < 10").unwrap();
    let even = Filter::parse("payload.even == true").unwrap();
    bus.on("a", log.writes("hit").filter(small).filter(even)).unwrap();
    bus.publish(event("a").payload(json!({"n": 4, "even": true}))).await.unwrap();
    bus.publish(event("a").payload(json!({"n": 12, "even": true}))).await.unwrap();
    bus.publish(event("a").payload(json!({"n": 3, "even": false}))).await.unwrap();
    assert_eq!(log.take(), ["hit"]);
}

#[tokio::test]
async fn a_failure_or_a_panic_is_the_outcome_of_one_handler_alone() {
    fn panics(_: &Event) {
        panic!("with text")
    }
    fn panics_oddly(_: &Event) {
        std::panic::panic_any(7)
    }
    async fn panics_async(_: Event) {
        panic!("while polled")
    }
    let (bus, log) = (Bus::new(), Log::default());
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let named = |what: &str| format!("{what} {mode:?}");
        bus.on("a", panics.mode(mode).named(named("panics"))).unwrap();
        bus.on("a", panics_oddly.mode(mode).named(named("panics oddly"))).unwrap();
        bus.on("a", (|_: &Event| Err::<(), _>("refused")).mode(mode).named(named("fails")))
            .unwrap();
        bus.on("a", log.writes("works").mode(mode).named(named("works"))).unwrap();
    }
    bus.on("a", panics_async.named("panics async")).unwrap();
    for _ in 0..3 {
        let report = bus.publish_and_wait(event("a")).await.unwrap();
        for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
            let outcome = |what: &str| report.outcome(&format!("{what} {mode:?}")).unwrap();
            assert_eq!(outcome("panics").status, OutcomeStatus::Panicked);
            assert_eq!(outcome("panics").error.as_deref(), Some("panicked: with text"));
            assert_eq!(
                outcome("panics oddly").error.as_deref(),
                Some("panicked: with a value that is no text")
            );
            assert_eq!(outcome("fails").error.as_deref(), Some("refused"));
            assert_eq!(outcome("works").status, OutcomeStatus::Success);
        }
        assert_eq!(
            report.outcome("panics async").unwrap().error.as_deref(),
            Some("panicked: while polled")
        );
    }
    assert_eq!(log.take().len(), 9);
    let stats = bus.stats();
    assert_eq!((stats.events.processed_events, stats.events.failed_events), (9, 30));
    assert_eq!(stats.handler("panics Inline").unwrap().panic_count, 3);
}

#[tokio::test]
async fn handlers_return_values_and_errors_with_their_causes() {
    let bus = Bus::new();
    bus.on("a", (|_: &Event| json!({"n": 1})).named("value")).unwrap();
    bus.on("a", (|_: &Event| Ok::<Value, HandlerError>(json!(2))).named("result")).unwrap();
    bus.on("a", (async |event: Event| event.payload().decode::<u32>().map(|_| ())).named("decode"))
        .unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("value").unwrap().value, json!({"n": 1}));
    assert_eq!(report.outcome("result").unwrap().value, 2);
    assert!(
        report
            .outcome("decode")
            .unwrap()
            .error
            .as_deref()
            .unwrap()
            .contains("payload is not a u32")
    );
}

#[tokio::test]
async fn a_typed_payload_reaches_a_typed_handler_without_serialisation() {
    /// Its serialisation would panic.
    struct Opaque(u32);
    impl serde::Serialize for Opaque {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("serialised")
        }
    }
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("a", move |event: &Event| {
        seen.add(event.payload().downcast_ref::<Opaque>().unwrap().0.to_string());
    })
    .unwrap();
    bus.publish(event("a").payload(Payload::typed(Opaque(7)))).await.unwrap();
    assert_eq!(log.take(), ["7"]);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_when_checked_and_keeps_its_order() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("**", move |event: &Event| seen.add(event.event_type().as_str())).unwrap();
    let receipts = bus.publish_batch(["c", "a", "b"].map(event)).await.unwrap();
    assert_eq!(receipts.len(), 3);
    assert_eq!(log.take(), ["c", "a", "b"]);
    let error = bus.publish_batch(["a", "b", "not a type"].map(event)).await.unwrap_err();
    assert!(
        error.to_string().starts_with("event 2 of the batch: event type `not a type`"),
        "{error}"
    );
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn the_bus_stamps_what_is_missing_and_nothing_else() {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05.678901234 UTC));
    let bus = Bus::builder().clock(clock).build().unwrap();
    let stamped = bus.stamp(event("a")).unwrap();
    assert_eq!(stamped.timestamp(), datetime!(2026-01-02 03:04:05.678901 UTC));
    assert_eq!(stamped.id().as_uuid().unwrap().get_version_num(), 7);
    let complete =
        event("a").id("mine").timestamp_text("2013-02-05T00:00:00-05:00").build().unwrap();
    assert_eq!(bus.publish(&complete).await.unwrap().event_id, "mine");
    assert_eq!(bus.history(1, None), [complete]);
    let from_json = bus.stamp(EventBuilder::from_json(r#"{"event_id":"x"}"#).unwrap()).unwrap();
    assert_eq!(
        (from_json.id().to_string().as_str(), from_json.timestamp()),
        ("x", stamped.timestamp())
    );
}

#[test]
fn inline_handlers_need_no_runtime_and_others_say_so() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes("ran")).unwrap();
    bus.try_publish(event("a")).unwrap();
    assert_eq!(log.take(), ["ran"]);
    let error = bus.on("a", async |_: Event| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
}

#[tokio::test]
async fn mistakes_are_errors_that_name_the_fix() {
    let bus = Bus::new();
    let check = |error: nexus_events_dispatch::Error, kind: ErrorKind, text: &str| {
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    };
    bus.on("a", (|_: &Event| {}).named("taken")).unwrap();
    check(
        bus.on("a", (|_: &Event| {}).named("taken")).unwrap_err(),
        ErrorKind::DuplicateName,
        "another name",
    );
    check(
        bus.on("a", (|_: &Event| {}).named("")).unwrap_err(),
        ErrorKind::InvalidOption,
        "give it text",
    );
    check(
        bus.on("a", (|_: &Event| {}).named("x".repeat(256))).unwrap_err(),
        ErrorKind::InvalidOption,
        "the most is 255",
    );
    check(
        bus.on("a", (|_: &Event| {}).with(|o| o.queue(5))).unwrap_err(),
        ErrorKind::InvalidOption,
        ".mode(Mode::Queued)",
    );
    check(
        bus.on("a", (async |_: Event| {}).with(|o| o.queue(0))).unwrap_err(),
        ErrorKind::InvalidOption,
        "1 to 65536",
    );
    check(
        bus.on("a", (async |_: Event| {}).mode(Mode::Inline)).unwrap_err(),
        ErrorKind::InvalidOption,
        "fn(&Event)",
    );
    check(
        bus.on("a.", |_: &Event| {}).unwrap_err(),
        ErrorKind::Invalid(nexus_events_model::ErrorKind::InvalidPattern),
        "empty segment",
    );
    check(
        Bus::builder().max_workers(0).build().unwrap_err(),
        ErrorKind::InvalidOption,
        "max_workers is 1",
    );
    check(
        bus.publish(event("a b")).await.unwrap_err(),
        ErrorKind::Invalid(nexus_events_model::ErrorKind::InvalidEventType),
        "`a b`",
    );
    assert_eq!(bus.stats().events.total_events, 0);
}

#[test]
fn handlers_without_a_name_are_named_after_their_function() {
    fn audit(_: &Event) {}
    let bus = Bus::new();
    assert_eq!(bus.on("a", audit).unwrap().name(), "audit");
    assert_eq!(bus.on("b", audit).unwrap().name(), "audit-2");
    assert_eq!(bus.on("b", audit).unwrap().name(), "audit-3");
}

#[tokio::test]
async fn redeliver_runs_one_handler_alone_and_never_waits_for_itself() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes("other").named("other")).unwrap();
    let seen = log.clone();
    let own = move |event: Event, context: nexus_events_dispatch::Context| {
        let seen = seen.clone();
        async move {
            let error = context.bus().redeliver("own", event).await.unwrap_err();
            seen.add(error.kind().as_str());
        }
    };
    bus.on("a", own.named("own")).unwrap();
    let event = bus.stamp(event("a")).unwrap();
    let report = bus.redeliver("own", event.clone()).await.unwrap();
    assert_eq!((report.outcomes.len(), log.take()), (1, vec!["would_wait".to_owned()]));
    bus.redeliver("other", event.clone()).await.unwrap();
    assert_eq!(log.take(), ["other"]);
    let error = bus.redeliver("nobody", event).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHandler);
    assert_eq!(bus.stats().events.total_events, 2);
}

#[test]
fn a_clock_that_is_ahead_is_that_of_its_bus_alone() {
    let ahead = ManualClock::new(datetime!(2100-01-01 00:00 UTC));
    let (ahead, other) = (
        Bus::builder().clock(ahead).build().unwrap(),
        ManualClock::new(datetime!(2026-01-01 00:00 UTC)),
    );
    let other = Bus::builder().clock(other).build().unwrap();
    let year = |bus: &Bus| {
        let id = bus.stamp(event("a")).unwrap().id().as_uuid().unwrap();
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        time::OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap().year()
    };
    assert_eq!(year(&ahead), 2100);
    assert_eq!(year(&other), 2026);
    assert!(year(&Bus::new()) < 2100);
    // As without it, ids of one bus sort as they were made.
    let ids: Vec<_> = (0..100).map(|_| ahead.stamp(event("a")).unwrap().id().clone()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
}
