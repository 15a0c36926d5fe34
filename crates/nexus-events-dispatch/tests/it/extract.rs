//! Handlers as functions: what they take, what they return, and what they are told when it is not
//! there.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{
    Bus, Called, Context, ErrorKind, FromEvent, Handler, HandlerError, HandlerExt, Mode, Outcome,
    Payload, Receipt, Rejection, Result, State,
};
use nexus_events_model::{
    CausationId, CorrelationId, Event, EventBuilder, EventId, EventType, HandlerOutcome, Metadata,
    OutcomeStatus, Pattern, Priority, SessionId, TypedEvent, UserId,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::{Log, event};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    total: u64,
}

impl TypedEvent for Order {
    const TYPE: EventType = EventType::from_static("order.created");
}

/// A payload that must not be serialised.
struct Untouchable;

impl Serialize for Untouchable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        panic!("serialised")
    }
}

impl<'de> Deserialize<'de> for Untouchable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        panic!("deserialised")
    }
}

impl TypedEvent for Untouchable {
    const TYPE: EventType = EventType::from_static("untouchable");
}

/// What the only handler of this event came to.
async fn outcome(bus: &Bus, event: impl nexus_events_model::IntoEvent) -> HandlerOutcome {
    let mut report = bus.publish_and_wait(event).await.unwrap();
    assert_eq!(report.outcomes.len(), 1);
    report.outcomes.remove(0)
}

/// What a handler came to that got this event.
macro_rules! outcome_of {
    ($handler:expr, $event:expr) => {{
        let bus = Bus::builder().state("a state").build().unwrap();
        bus.on("**", $handler).unwrap();
        outcome(&bus, $event).await
    }};
}

fn full() -> EventBuilder {
    event("order.created")
        .id("evt-7")
        .priority(Priority::High)
        .metadata("tenant", "acme")
        .correlation_id("corr-1")
        .causation_id(&EventId::new("evt-6").unwrap())
        .session_id("session-1")
        .user_id("user-1")
        .payload(json!({"total": 120}))
}

/// As text, so that one row of a table can hold each of them.
trait Shown {
    fn shown(&self) -> Value;
}

macro_rules! shown {
    ($($type:ty: $show:expr;)*) => { $(
        impl Shown for $type {
            fn shown(&self) -> Value {
                let show: fn(&Self) -> Value = $show;
                show(self)
            }
        }
    )* };
}

shown! {
    Event: |event| json!(event.id().to_string());
    Context: |context| json!(context.handler());
    Payload<Order>: |order| json!(order.total);
    State<&'static str>: |state| json!(state.0);
    State<u8>: |state| json!(state.0);
    EventId: |id| json!(id.to_string());
    EventType: |event_type| json!(event_type.as_str());
    Priority: |priority| json!(priority);
    Metadata: |metadata| metadata.get("tenant").cloned().unwrap_or_default();
    CorrelationId: |id| json!(id.to_string());
    CausationId: |id| json!(id.to_string());
    SessionId: |id| json!(id.to_string());
    UserId: |id| json!(id.to_string());
    Rejection: |rejection| json!(format!("rejected: {rejection}"));
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, Shown::shown)
    }
}

impl<T: Shown> Shown for Result<T, Rejection> {
    fn shown(&self) -> Value {
        self.as_ref().map_or_else(Shown::shown, Shown::shown)
    }
}

/// An event handled by a synchronous and by an asynchronous handler that take a `T` give this.
async fn check<T: FromEvent + Shown + Send + 'static>(event: EventBuilder, expected: Value) {
    fn now<T: Shown>(taken: T) -> Value {
        taken.shown()
    }
    async fn later<T: Shown>(taken: T) -> Value {
        taken.shown()
    }
    let name = std::any::type_name::<T>();
    let bus = Bus::builder().state("a state").build().unwrap();
    bus.on("**", now::<T>.named("first")).unwrap();
    bus.on("**", later::<T>.named("second")).unwrap();
    let report = bus.publish_and_wait(event).await.unwrap();
    let [now, later] = &report.outcomes[..] else { panic!("two handlers") };
    let got = |outcome: &HandlerOutcome| {
        outcome
            .error
            .as_ref()
            .map_or(outcome.value.clone(), |error| json!(format!("error: {error}")))
    };
    assert_eq!(got(now), expected, "{name}");
    let expected = if expected == json!("first") { json!("second") } else { expected };
    assert_eq!(got(later), expected, "async {name}");
}

#[tokio::test]
async fn each_argument_is_taken_from_the_event() {
    check::<Event>(full(), json!("evt-7")).await;
    check::<Context>(full(), json!("first")).await;
    check::<Payload<Order>>(full(), json!(120)).await;
    check::<State<&'static str>>(full(), json!("a state")).await;
    check::<EventId>(full(), json!("evt-7")).await;
    check::<EventType>(full(), json!("order.created")).await;
    check::<Priority>(full(), json!("high")).await;
    check::<Metadata>(full(), json!("acme")).await;
    check::<CorrelationId>(full(), json!("corr-1")).await;
    check::<CausationId>(full(), json!("evt-6")).await;
    check::<SessionId>(full(), json!("session-1")).await;
    check::<UserId>(full(), json!("user-1")).await;
    check::<Option<UserId>>(full(), json!("user-1")).await;
    check::<Result<UserId, Rejection>>(full(), json!("user-1")).await;
}

#[tokio::test]
async fn what_an_event_does_not_have_is_an_error_a_none_or_a_rejection() {
    let missing = |name| format!("the event has no {name}; take `Option<{name}>` if that may be");
    let bare = || event("order.created");
    check::<CorrelationId>(bare(), json!(format!("error: {}", missing("CorrelationId")))).await;
    check::<CausationId>(bare(), json!(format!("error: {}", missing("CausationId")))).await;
    check::<SessionId>(bare(), json!(format!("error: {}", missing("SessionId")))).await;
    check::<UserId>(bare(), json!(format!("error: {}", missing("UserId")))).await;
    check::<Option<UserId>>(bare(), Value::Null).await;
    check::<Result<UserId, Rejection>>(bare(), json!(format!("rejected: {}", missing("UserId"))))
        .await;
    check::<Option<Payload<Order>>>(bare(), Value::Null).await;
    check::<Option<State<u8>>>(bare(), Value::Null).await;
}

#[tokio::test]
async fn a_payload_that_does_not_decode_names_type_and_field_and_is_counted() {
    let bus = Bus::new();
    let log = Log::default();
    let ran = log.clone();
    bus.on("order.*", (move |_: Payload<Order>| ran.add("ran")).named("price")).unwrap();
    let outcome = outcome(&bus, event("order.created").payload(json!({"totl": 1}))).await;
    assert_eq!(outcome.status, OutcomeStatus::Error);
    let error = outcome.error.unwrap();
    assert!(error.contains("Order: missing field `total`"), "{error}");
    assert_eq!(error.matches("missing field").count(), 1, "the cause is told once: {error}");
    let stats = bus.stats();
    assert_eq!((stats.handlers[0].execution_count, stats.handlers[0].error_count), (1, 1));
    assert!(log.take().is_empty());
}

#[test]
fn a_rejection_is_permanent() {
    let error = HandlerError::from(Rejection::from("no tenant"));
    assert_eq!(error.status(), nexus_events_dispatch::Status::Permanent);
    assert_eq!(error.to_string(), "no tenant");
}

#[tokio::test]
async fn a_typed_payload_is_the_very_same_value_without_serialisation() {
    let bus = Bus::new();
    let value = Arc::new(Untouchable);
    let same = {
        let value = value.clone();
        move |payload: &Untouchable| json!(std::ptr::eq(payload, &*value))
    };
    let same_shared = {
        let value = value.clone();
        move |Payload(payload): Payload<Untouchable>| json!(Arc::ptr_eq(&payload, &value))
    };
    bus.on(Untouchable::TYPE, same.named("borrowed")).unwrap();
    bus.on(Untouchable::TYPE, same_shared.clone().named("shared")).unwrap();
    let later = move |payload: Payload<Untouchable>| std::future::ready(same_shared(payload));
    bus.on(Untouchable::TYPE, later.named("later")).unwrap();
    let payload = nexus_events_model::Payload::shared(value);
    let report =
        bus.publish_and_wait(Event::builder(Untouchable::TYPE).payload(payload)).await.unwrap();
    for outcome in &report.outcomes {
        assert_eq!(outcome.value, json!(true), "{}: {:?}", outcome.handler, outcome.error);
    }
    assert_eq!(report.outcomes.len(), 3);
}

#[tokio::test]
async fn a_typed_event_is_published_as_it_is_and_taken_by_reference() {
    let bus = Bus::new();
    bus.on(Order::TYPE, |order: &Order, id: EventId, event: &Event| {
        json!([order.total, id == *event.id()])
    })
    .unwrap();
    assert_eq!(outcome(&bus, Order { total: 7 }).await.value, json!([7, true]));
    let from_json = event("order.created").payload(json!({"total": 8}));
    assert_eq!(outcome(&bus, from_json).await.value, json!([8, true]));
    let wrong = outcome(&bus, event("order.created")).await.error.unwrap();
    assert!(wrong.contains("Order") && wrong.contains("total"), "{wrong}");
}

#[test]
fn a_handler_of_one_event_type_wants_a_pattern_of_that_type_alone() {
    let bus = Bus::new();
    for pattern in ["order.*", "order.deleted", "**"] {
        let error = bus.on(pattern, |_: &Order| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OtherType);
        let text = error.to_string();
        for part in ["Order", "`order.created`", pattern, "Order::TYPE", "Payload<"] {
            assert!(text.contains(part), "{text}");
        }
    }
    bus.on("order.created", |_: &Order| {}).unwrap();
    bus.on("order.*", |_: Payload<Order>| {}).unwrap();
}

#[tokio::test]
async fn arguments_stand_in_any_order() {
    fn mixed(
        State(state): State<&'static str>,
        event: &Event,
        id: EventId,
        context: &Context,
    ) -> Value {
        json!([state, event.id() == &id, context.handler()])
    }
    assert_eq!(outcome_of!(mixed, event("a")).value, json!(["a state", true, "mixed"]));
    #[allow(clippy::too_many_arguments, reason = "the most there can be")]
    fn eight(
        a: &Event,
        b: EventId,
        c: Event,
        d: &Context,
        e: Option<UserId>,
        f: Priority,
        g: EventType,
        h: &Event,
    ) -> Value {
        json!([a == h, b == *c.id(), d.attempt(), e.is_none(), f, g])
    }
    let value = outcome_of!(eight, event("a")).value;
    assert_eq!(value, json!([true, true, 1, true, "normal", "a"]));
    assert_eq!(outcome_of!(|| json!("none"), event("a")).value, json!("none"));
    assert_eq!(outcome_of!(async || json!("none"), event("a")).value, json!("none"));
}

/// Registering this handler fails for want of a state, and names it.
macro_rules! check_missing {
    ($bus:expr, $handler:expr, $($part:expr),*) => {{
        let error = $bus.on("a", $handler).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingState);
        let text = error.to_string();
        $(assert!(text.contains($part), "{text}");)*
    }};
}

#[tokio::test]
async fn missing_state_is_an_error_of_on_that_names_the_fix() {
    struct Connection;
    impl FromEvent for Connection {
        fn from_event(_: &Event, _: &Context) -> Result<Self, Rejection> {
            Ok(Self)
        }
        fn check(bus: &Bus, pattern: &Pattern) -> Result<()> {
            State::<Arc<str>>::check(bus, pattern)
        }
    }
    let bus = Bus::builder().state(7_u8).build().unwrap();
    let fix = "`.state(..)` to `Bus::builder()`";
    check_missing!(bus, |_: State<u16>| {}, "State<u16>", fix, "`u8`");
    check_missing!(bus, |_: &Event, _: State<u16>| {}, "State<u16>", fix);
    check_missing!(bus, async |_: Event, _: State<u16>| {}, "State<u16>", fix);
    check_missing!(bus, (|_: State<u16>| {}).priority(1), "State<u16>");
    check_missing!(bus, |_: Connection| {}, "Arc<str>");
    check_missing!(Bus::new(), |_: State<u8>| {}, "there: none");
    assert!(bus.stats().handlers.is_empty());
    bus.on("a", |_: State<u8>, _: Option<State<u16>>, _: Result<State<u16>, Rejection>| {})
        .unwrap();
}

#[tokio::test]
async fn a_handler_type_is_asked_too() {
    struct Picky;
    impl Handler for Picky {
        fn call<'a>(&'a self, _: &'a Event, _: &'a Context) -> Called<'a> {
            Called::Ready(Ok(Value::Null))
        }
        fn check(&self, _: &Bus, pattern: &Pattern) -> Result<()> {
            let refused = || nexus_events_dispatch::Error::refused("not for all");
            if pattern.as_str() == "**" { Err(refused()) } else { Ok(()) }
        }
        fn mode(&self) -> Mode {
            Mode::Inline
        }
    }
    let bus = Bus::new();
    assert_eq!(bus.on("**", Picky).unwrap_err().kind(), ErrorKind::Refused);
    bus.on("a.*", Picky).unwrap();
}

#[test]
fn the_last_state_of_a_type_counts() {
    let bus = Bus::builder().state(1_u8).state("text").state(2_u8).build().unwrap();
    assert_eq!((bus.state::<u8>(), bus.state::<&str>()), (Some(&2), Some(&"text")));
    assert_eq!(bus.state::<u16>(), None);
}

#[tokio::test]
async fn each_return_type_means_what_it_says() {
    let value = |outcome: HandlerOutcome| (outcome.status, outcome.value);
    let done = (OutcomeStatus::Success, Value::Null);
    let seven = (OutcomeStatus::Success, json!(7));
    assert_eq!(value(outcome_of!(|| {}, event("a"))), done);
    assert_eq!(value(outcome_of!(|| json!(7), event("a"))), seven);
    assert_eq!(value(outcome_of!(|| Some(json!(7)), event("a"))), seven);
    assert_eq!(value(outcome_of!(|| None::<Value>, event("a"))), done);
    assert_eq!(value(outcome_of!(|| Ok::<_, HandlerError>(json!(7)), event("a"))), seven);
    assert_eq!(value(outcome_of!(|| Ok::<_, HandlerError>(Some(json!(7))), event("a"))), seven);
    assert_eq!(value(outcome_of!(|| Outcome::Continue, event("a"))), done);
    assert_eq!(value(outcome_of!(|| Outcome::Value(json!(7)), event("a"))), seven);
    assert_eq!(value(outcome_of!(async || Ok::<_, HandlerError>(json!(7)), event("a"))), seven);

    let error = |outcome: HandlerOutcome| outcome.error.map(|error| error.to_string());
    assert_eq!(error(outcome_of!(|| Err::<(), _>("no"), event("a"))).as_deref(), Some("no"));
    assert_eq!(error(outcome_of!(|| Outcome::fail("no"), event("a"))).as_deref(), Some("no"));
    assert_eq!(error(outcome_of!(async || Outcome::fail("no"), event("a"))).as_deref(), Some("no"));
    let text = "the handler asks for another attempt after 5s";
    let retry = || Outcome::RetryAfter(Duration::from_secs(5));
    assert_eq!(error(outcome_of!(retry, event("a"))).as_deref(), Some(text));
    let panics = outcome_of!(|_: &Event| panic!("oops"), event("a"));
    assert_eq!(panics.status, OutcomeStatus::Panicked);
}

/// A layer sees what a returned outcome is as an error.
#[tokio::test]
async fn outcomes_tell_layers_whether_trying_again_helps() {
    struct Seen(Log);
    struct Watched(Log, Arc<dyn Handler>);
    impl nexus_events_dispatch::Layer for Seen {
        fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
            Arc::new(Watched(self.0.clone(), handler))
        }
    }
    impl Handler for Watched {
        fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
            let called = self.1.call(event, context);
            if let Called::Ready(Err(error)) = &called {
                self.0.add(format!("{:?} {:?}", error.status(), error.retry_delay()));
            }
            called
        }
        fn mode(&self) -> Mode {
            self.1.mode()
        }
    }
    let log = Log::default();
    let bus = Bus::builder().layer(Seen(log.clone())).build().unwrap();
    bus.on("again", || Outcome::RetryAfter(Duration::from_secs(5))).unwrap();
    bus.on("never", || Outcome::fail("no")).unwrap();
    bus.on("undecodable", |_: Payload<Order>| {}).unwrap();
    for name in ["again", "never", "undecodable"] {
        bus.publish_and_wait(event(name)).await.unwrap();
    }
    assert_eq!(log.take(), ["Temporary Some(5s)", "Permanent None", "Permanent None"]);
}

#[tokio::test]
async fn a_returned_cancel_stops_lower_handlers() {
    let bus = Bus::new();
    bus.on("a", (|| Outcome::cancel("no address")).named("validate").priority(1)).unwrap();
    bus.on("a", (|| {}).named("ship")).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("validate").unwrap().status, OutcomeStatus::Success);
    let ship = report.outcome("ship").unwrap();
    assert_eq!(ship.status, OutcomeStatus::Cancelled);
    assert_eq!(ship.error.as_deref(), Some("cancelled by validate: no address"));
}

/// Events returned by a handler of `start` are published, with `start` as their cause.
macro_rules! check_follow_ups {
    ($handler:expr, $expected:expr) => {{
        let (bus, log) = (Bus::new(), Log::default());
        let seen = log.clone();
        bus.on("next.*", move |event: &Event, cause: CausationId| {
            seen.add(format!("{} {cause}", event.event_type()));
        })
        .unwrap();
        bus.on("start", $handler).unwrap();
        bus.publish_and_wait(event("start").id("evt-1")).await.unwrap();
        bus.shutdown(Duration::from_secs(5)).await;
        assert_eq!(log.take(), $expected);
    }};
}

#[tokio::test]
async fn returned_events_are_follow_ups() {
    #[derive(Serialize, Deserialize)]
    struct Next;
    impl TypedEvent for Next {
        const TYPE: EventType = EventType::from_static("next.typed");
    }
    let none: [&str; 0] = [];
    let (one, two) = ("next.one evt-1", "next.two evt-1");
    check_follow_ups!(|| event("next.one"), [one]);
    check_follow_ups!(|context: &Context| context.bus().stamp(event("next.one")), [one]);
    check_follow_ups!(|| vec![event("next.one"), event("next.two")], [one, two]);
    check_follow_ups!(|| [event("next.one"), event("next.two")], [one, two]);
    check_follow_ups!(|| Some(event("next.one")), [one]);
    check_follow_ups!(|| None::<Event>, none);
    check_follow_ups!(|| [Next], ["next.typed evt-1"]);
    check_follow_ups!(async || vec![event("next.one")], [one]);
    check_follow_ups!(async || Ok::<_, HandlerError>([Next]), ["next.typed evt-1"]);
    check_follow_ups!(
        |context: &Context| -> Result<Receipt> { context.publish(event("next.one")) },
        [one]
    );
}

#[tokio::test]
async fn when_one_returned_event_is_malformed_none_is_published() {
    let bus = Bus::new();
    bus.on("next", || {}).unwrap();
    bus.on("start", || vec![event("next"), event("not a type")]).unwrap();
    let error = outcome(&bus, event("start")).await.error.unwrap();
    assert!(error.contains("`not a type`"), "{error}");
    assert_eq!(bus.stats().events.total_events, 1);
}

#[tokio::test]
async fn the_arguments_choose_neither_mode_nor_name() {
    fn price(_: Payload<Order>) {}
    async fn ship(_: Payload<Order>, _: Context) {}
    let bus = Bus::new();
    assert_eq!(bus.on("a", price).unwrap().name(), "price");
    assert_eq!(bus.on("a", ship).unwrap().name(), "ship");
    assert_eq!(bus.on("a", |_: Event| {}).unwrap().name(), "handler");
    let error = bus.on("a", ship.mode(Mode::Inline)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    bus.on("b", price.mode(Mode::Queued)).unwrap();
}

/// Arguments and returns mean the same where nobody asks for the report.
#[test]
fn without_a_report_handlers_take_and_return_the_same() {
    let bus = Bus::builder().state(7_u8).build().unwrap();
    let log = Log::default();
    let seen = log.clone();
    let all = move |order: &Order, State(state): State<u8>, id: EventId, _: &Context| {
        seen.add(format!("{} {state} {id}", order.total));
    };
    bus.on(Order::TYPE, all.named("all")).unwrap();
    bus.on("order.*", (|_: UserId| {}).named("user")).unwrap();
    bus.on("order.*", (|_: State<u8>| Some(Err::<(), _>("no"))).named("fails")).unwrap();
    bus.on("order.*", (|| Outcome::Value(json!(1))).named("value")).unwrap();
    let order = |id| event("order.created").id(id).payload(json!({"total": 1}));
    bus.try_publish(order("evt-1")).unwrap();
    bus.try_publish(order("evt-2").user_id("user-1")).unwrap();
    bus.try_publish(event("order.created")).unwrap();
    assert_eq!(log.take(), ["1 7 evt-1", "1 7 evt-2"]);
    let stats = bus.stats();
    let errors: Vec<_> = stats
        .handlers
        .iter()
        .map(|it| (&*it.handler_id, it.execution_count, it.error_count))
        .collect();
    assert_eq!(errors, [("all", 3, 1), ("user", 3, 2), ("fails", 3, 3), ("value", 3, 0)]);
}

#[test]
fn without_a_report_a_returned_cancel_and_follow_up_have_their_effect() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", (|| Outcome::cancel("no")).priority(1)).unwrap();
    bus.on("a", log.writes("lower")).unwrap();
    bus.on("b", || [event("c"), event("d")]).unwrap();
    bus.on("c", log.writes("first")).unwrap();
    bus.on("d", log.writes("second")).unwrap();
    bus.try_publish(event("a")).unwrap();
    assert!(log.take().is_empty());
    bus.try_publish(event("b")).unwrap();
    assert_eq!(log.take(), ["first", "second"]);
}
