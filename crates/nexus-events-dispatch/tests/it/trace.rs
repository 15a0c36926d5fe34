//! What `tracing` is told, and how a trace goes on from event to event.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use nexus_events_dispatch::{Bus, Context, HandlerError, HandlerExt, LastAttempt, Mode};
use nexus_events_model::{Event, EventId, Metadata, TraceContext};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Level, Subscriber};

use crate::event;

type Fields = HashMap<&'static str, String>;

#[derive(Debug, Clone)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: Fields,
    /// How often it was entered.
    entered: usize,
    handles: usize,
}

#[derive(Default)]
struct State {
    spans: Vec<Seen>,
    /// Level, fields, and the span it was told in.
    events: Vec<(Level, Fields, Option<u64>)>,
    stack: Vec<u64>,
}

/// Keeps all that is told, up to a level.
#[derive(Clone)]
struct Collector {
    level: Level,
    state: Arc<Mutex<State>>,
}

impl Collector {
    /// Collects what this thread tells while the guard is there.
    fn start(level: Level) -> (Self, DefaultGuard) {
        let collector = Self { level, state: Arc::default() };
        let guard = tracing::subscriber::set_default(collector.clone());
        (collector, guard)
    }

    fn spans(&self, name: &str) -> Vec<(u64, Seen)> {
        let spans = self.state.lock().spans.clone();
        let numbered = spans.into_iter().enumerate().map(|(at, span)| (at as u64 + 1, span));
        numbered.filter(|(_, span)| span.name == name).collect()
    }

    fn span_of(&self, handler: &str) -> (u64, Seen) {
        let spans = self.spans("nexus.process");
        spans.into_iter().find(|(_, span)| span.fields["handler"] == handler).unwrap()
    }

    fn events(&self, level: Level) -> Vec<Fields> {
        let state = self.state.lock();
        let of_level = state.events.iter().filter(|(its, _, _)| *its == level);
        of_level.map(|(_, fields, _)| fields.clone()).collect()
    }
}

struct Reading<'a>(&'a mut Fields);

impl Visit for Reading<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("nexus_events")
    }

    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut state = self.state.lock();
        let contextual = span.is_contextual().then(|| state.stack.last().copied()).flatten();
        let mut fields = Fields::new();
        span.record(&mut Reading(&mut fields));
        let name = span.metadata().name();
        let parent = span.parent().map(Id::into_u64).or(contextual);
        state.spans.push(Seen { name, parent, fields, entered: 0, handles: 1 });
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Reading(&mut self.state.lock().span(span).fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reading(&mut fields));
        let mut state = self.state.lock();
        let inside = state.stack.last().copied();
        state.events.push((*event.metadata().level(), fields, inside));
    }

    fn enter(&self, span: &Id) {
        let mut state = self.state.lock();
        state.span(span).entered += 1;
        state.stack.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.state.lock().stack.pop(), Some(span.into_u64()), "left in order");
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.state.lock().span(span).handles += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut state = self.state.lock();
        let handles = &mut state.span(&span).handles;
        *handles -= 1;
        *handles == 0
    }
}

impl State {
    fn span(&mut self, id: &Id) -> &mut Seen {
        &mut self.spans[id.into_u64() as usize - 1]
    }
}

#[tokio::test]
async fn each_publish_and_each_turn_is_a_span() {
    let (collector, _guard) = Collector::start(Level::DEBUG);
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).named("inline").priority(2)).unwrap();
    let twice = async |_: Event| {
        tokio::task::yield_now().await;
        tracing::debug!(target: "nexus_events_test", "inside");
        Err::<(), _>("no")
    };
    bus.on("a", twice.named("task")).unwrap();
    bus.publish_and_wait(event("a").id("evt-1")).await.unwrap();

    let published = collector.spans("nexus.publish");
    let [(publish, seen)] = &*published else { panic!("{published:?}") };
    assert_eq!((&*seen.fields["event_type"], &*seen.fields["event_id"]), ("a", "evt-1"));
    assert_eq!((seen.parent, seen.handles), (None, 0), "closed");

    let (_, inline) = collector.span_of("inline");
    assert_eq!((inline.parent, inline.entered, inline.handles), (Some(*publish), 1, 0));
    assert_eq!((&*inline.fields["attempt"], &*inline.fields["outcome"]), ("1", "success"));
    assert!(inline.fields.contains_key("subscription"));

    let (id, task) = collector.span_of("task");
    assert_eq!((task.parent, task.handles), (Some(*publish), 0));
    assert!(task.entered >= 3, "for the call and each poll: {}", task.entered);
    assert_eq!(task.fields["outcome"], "error");
    let state = collector.state.lock();
    let inside = state.events.iter().find(|(_, fields, _)| fields["message"] == "inside").unwrap();
    assert_eq!(inside.2, Some(id));
}

#[tokio::test]
async fn what_a_handler_publishes_is_inside_of_its_span() {
    let (collector, _guard) = Collector::start(Level::DEBUG);
    let bus = Bus::new();
    let first = |_: &Event, context: &Context| context.publish(event("b")).map(drop);
    bus.on("a", first.named("first")).unwrap();
    bus.on("b", (|_: &Event| {}).named("second").mode(Mode::Blocking)).unwrap();
    bus.publish(event("a")).await.unwrap();
    bus.idle().await;
    let (first, _) = collector.span_of("first");
    let published = collector.spans("nexus.publish");
    assert_eq!(published[1].1.parent, Some(first));
    assert_eq!(collector.span_of("second").1.parent, Some(published[1].0));
}

#[test]
fn without_spans_asked_for_failures_are_told_all_the_same() {
    let (collector, _guard) = Collector::start(Level::WARN);
    let bus = Bus::new();
    bus.on("a", (|_: &Event| Err::<(), _>("no room")).named("fails")).unwrap();
    bus.on(
        "a",
        (|_: &Event| {
            if true {
                panic!("on purpose")
            }
        })
        .named("panics"),
    )
    .unwrap();
    bus.try_publish(event("a").id("evt-1")).unwrap();
    assert!(collector.state.lock().spans.is_empty());
    let warnings = collector.events(Level::WARN);
    assert_eq!(warnings.len(), 2);
    assert_eq!((&*warnings[0]["handler"], &*warnings[0]["error"]), ("fails", "no room"));
    assert_eq!((&*warnings[0]["event_id"], &*warnings[0]["outcome"]), ("evt-1", "error"));
    assert_eq!(warnings[1]["error"], "panicked: on purpose");
    assert_eq!(warnings[1]["outcome"], "panicked");
}

#[test]
fn an_error_whose_text_panics_is_told_too() {
    #[derive(Debug)]
    struct Mute;
    impl fmt::Display for Mute {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl std::error::Error for Mute {}
    let (collector, _guard) = Collector::start(Level::WARN);
    let bus = Bus::new();
    bus.on("a", (|_: &Event| Err::<(), _>(Mute)).named("mute")).unwrap();
    bus.try_publish(event("a")).unwrap();
    assert_eq!(collector.events(Level::WARN)[0]["error"], "its text panics");
    assert_eq!(bus.stats().handler("mute").unwrap().error_count, 1);
}

#[tokio::test]
async fn losses_refusals_and_further_attempts_are_told() {
    let (collector, _guard) = Collector::start(Level::DEBUG);
    let bus = Bus::new();
    let wait = async |_: Event| std::future::pending::<()>().await;
    bus.on("q", wait.named("stuck").with(|options| options.queue(1))).unwrap();
    bus.try_publish(event("q")).unwrap();
    bus.try_publish(event("q")).unwrap();
    assert!(bus.try_publish(event("no type")).is_err());
    let told = collector.events(Level::DEBUG);
    assert_eq!((&*told[0]["handler"], &*told[0]["reason"]), ("stuck", "the queue is full"));
    assert_eq!(
        (&*told[1]["message"], &*told[1]["kind"]),
        ("the event is refused", "invalid_event_type")
    );

    let again = |_: &Event| {
        let retries = async { LastAttempt { attempt: 3, result: Err("still no".into()) } };
        Err::<(), _>(HandlerError::from("no").with_retries(Box::pin(retries)))
    };
    bus.on("r", again.named("again")).unwrap();
    bus.publish_and_wait(event("r")).await.unwrap();
    let told = collector.events(Level::DEBUG);
    assert_eq!(told[2]["message"], "the handler failed and will try again");
    let warnings = collector.events(Level::WARN);
    assert_eq!((&*warnings[0]["attempt"], &*warnings[0]["error"]), ("3", "still no"));
    let spans = collector.spans("nexus.process");
    let again = spans.iter().filter(|(_, span)| span.fields["handler"] == "again");
    let attempts: Vec<&str> = again.map(|(_, span)| &*span.fields["attempt"]).collect();
    assert_eq!(attempts, ["1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_warned_about_once_a_minute() {
    let (collector, _guard) = Collector::start(Level::WARN);
    let bus = Bus::new();
    let hold = |_: &Event| {
        let advance = pin!(tokio::time::advance(Duration::from_secs(20)));
        let _ = advance.poll(&mut TaskContext::from_waker(Waker::noop()));
    };
    bus.on("a", hold.named("slow").mode(Mode::Queued)).unwrap();
    for _ in 0..7 {
        bus.publish_and_wait(event("a")).await.unwrap();
    }
    let warnings = collector.events(Level::WARN);
    // After 20, 80 and 140 s.
    assert_eq!(warnings.len(), 3);
    assert_eq!((&*warnings[0]["handler"], &*warnings[0]["took"]), ("slow", "20s"));
    assert_eq!(bus.stats().handler("slow").unwrap().slow_count, 7);
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Publishes an event with these entries of metadata; gives back what its follow-up has.
async fn follow_up(
    entries: &[(&str, &str)],
    own: Option<&'static str>,
) -> (Option<TraceContext>, Metadata) {
    let bus = Bus::new();
    let seen: Arc<Mutex<Option<Event>>> = Arc::default();
    let first = move |_: &Event, context: &Context| {
        // With a cause and a conversation already, nothing but the trace is missing.
        let next = event("b").causation_id(&EventId::new("cause").unwrap()).correlation_id("c");
        let next =
            own.into_iter().fold(next, |next, own| next.metadata(Metadata::TRACEPARENT, own));
        context.publish(next).map(drop)
    };
    bus.on("a", first).unwrap();
    let kept = seen.clone();
    bus.on("b", move |event: &Event| *kept.lock() = Some(event.clone())).unwrap();
    let with = |event: nexus_events_model::EventBuilder, (name, value): &(&str, &str)| {
        event.metadata(*name, *value)
    };
    bus.publish(entries.iter().fold(event("a"), with)).await.unwrap();
    let event = seen.lock().take().unwrap();
    (event.trace_context(), event.metadata().clone())
}

#[tokio::test]
async fn a_follow_up_inherits_the_trace_context() {
    let entries = [(Metadata::TRACEPARENT, TRACEPARENT), (Metadata::TRACESTATE, "a=1")];
    let (context, metadata) = follow_up(&entries, None).await;
    assert_eq!(context, TraceContext::parse(TRACEPARENT).map(|context| context.with_state("a=1")));
    assert_eq!(metadata.get("traceparent").unwrap(), TRACEPARENT);
    assert_eq!(metadata.get("tracestate").unwrap(), "a=1");
}

#[tokio::test]
async fn a_follow_up_keeps_its_own_trace_context() {
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let entries = [(Metadata::TRACEPARENT, TRACEPARENT), (Metadata::TRACESTATE, "a=1")];
    let (context, metadata) = follow_up(&entries, Some(own)).await;
    assert_eq!(context, TraceContext::parse(own));
    assert_eq!(metadata.get(Metadata::TRACESTATE), None);
}

#[tokio::test]
async fn no_context_is_invented_nor_a_malformed_one_handed_on() {
    assert_eq!(follow_up(&[], None).await.1.len(), 1);
    assert_eq!(follow_up(&[(Metadata::TRACEPARENT, "00-nonsense")], None).await.1.len(), 1);
}
