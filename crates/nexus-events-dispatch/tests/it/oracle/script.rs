//! Random scripts: what a program does with a bus, and what its handlers do.

use nexus_events_model::{Event, EventBuilder, EventType, Filter, Pattern};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a handler does each time.
#[derive(Debug, Clone)]
pub(super) enum Does {
    Nothing,
    Fail,
    Panic,
    Cancel,
    /// Publishes an event of this type as long as the event has fuel.
    FollowUp(EventType),
    /// Publishes the same type again, for ever.
    Chain,
    /// Subscribes another; then, perhaps, publishes the same type as long as the event has fuel.
    Subscribe(Box<Spec>, bool),
    EndItself,
    /// Ends the handler with this number.
    End(usize),
}

/// In which of its turns an asynchronous handler has to wait: every so manieth from this one on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    from: usize,
    every: usize,
}

impl Waits {
    pub(super) fn in_turn(self, turn: usize) -> bool {
        turn >= self.from && (turn - self.from).is_multiple_of(self.every)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) pattern: Pattern,
    pub(super) priority: i32,
    pub(super) inline: bool,
    /// On a task: whether it is asynchronous, and in which of its turns it has to wait.
    pub(super) later: Option<Waits>,
    pub(super) filter: Option<Filter>,
    pub(super) does: Does,
}

impl Spec {
    pub(super) fn accepts(&self, event: &Published) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(&event.build()))
    }
}

/// An event as scripts know it.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) event_type: EventType,
    /// The number of its publish, then for each follow-up its handler's name.
    pub(super) path: String,
    /// What filters look at.
    number: i64,
    fuel: i64,
}

impl Published {
    pub(super) fn new(event_type: EventType, path: String, number: i64) -> Self {
        Self { event_type, path, number, fuel: 2 }
    }

    pub(super) fn of(event: &Event) -> Self {
        let field = |name: &str| event.payload().get(name).cloned().unwrap_or(Value::Null);
        Self {
            event_type: event.event_type().clone(),
            path: field("path").as_str().unwrap().to_owned(),
            number: field("number").as_i64().unwrap(),
            fuel: field("fuel").as_i64().unwrap(),
        }
    }

    pub(super) fn builder(&self) -> EventBuilder {
        let payload = json!({"path": self.path, "number": self.number, "fuel": self.fuel});
        Event::builder(self.event_type.clone()).payload(payload)
    }

    fn build(&self) -> Event {
        self.builder().id("evt-1").timestamp_text("2026-01-02T03:04:05Z").build().unwrap()
    }

    /// What this handler publishes in answer to it.
    pub(super) fn follow_up(&self, does: &Does, handler: &str) -> Option<Self> {
        let (event_type, fuel) = match does {
            Does::FollowUp(event_type) if self.fuel > 0 => (event_type.clone(), self.fuel - 1),
            Does::Subscribe(_, true) if self.fuel > 0 => (self.event_type.clone(), self.fuel - 1),
            Does::Chain => (self.event_type.clone(), 0),
            _ => return None,
        };
        let path = format!("{}.{handler}", self.path);
        Some(Self { event_type, path, number: (self.number + 1) % 3, fuel })
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Subscribe(Spec),
    Unsubscribe(usize),
    Publish(EventType),
    PublishAndWait(EventType),
    TryPublish(EventType),
    Batch(Vec<EventType>),
}

/// Few names, so that patterns meet.
fn event_type() -> impl Strategy<Value = EventType> {
    prop::sample::select(vec!["a", "b", "a.b", "a.c", "b.c"])
        .prop_map(|name| EventType::new(name).unwrap())
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop::sample::select(vec!["a", "b", "a.b", "a.*", "*.c", "**", "*", "a.**"])
        .prop_map(|text| Pattern::new(text).unwrap())
}

fn filter() -> impl Strategy<Value = Option<Filter>> {
    let texts = vec!["payload.number > 0", "payload.number == 1", "payload.number < 0"];
    let filter = prop::sample::select(texts).prop_map(|text| Some(Filter::parse(text).unwrap()));
    prop_oneof![4 => Just(None), 1 => filter]
}

fn spec_of(inline: bool, does: impl Strategy<Value = Does>) -> impl Strategy<Value = Spec> {
    let mode = if inline { Just(true).boxed() } else { any::<bool>().boxed() };
    let waits = (0..6_usize, 1..4_usize).prop_map(|(from, every)| Waits { from, every });
    let later = if inline { Just(None).boxed() } else { prop::option::of(waits).boxed() };
    let all = (pattern(), 0..3, mode, later, filter(), does);
    all.prop_map(|(pattern, priority, inline, later, filter, does)| {
        let does = match does {
            // The order of tasks in a wave is open, and with it what this would change.
            Does::Subscribe(..) | Does::End(_) if !inline => Does::Nothing,
            does => does,
        };
        Spec { pattern, priority, inline, later, filter, does }
    })
}

/// What may be in a script. Where handlers run on tasks, the order of two events is open; so
/// there is but one event at a time when handlers change what the next one meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Inline,
    TasksAndFollowUps,
    TasksAndChanges,
}

fn does(kind: Kind) -> impl Strategy<Value = Does> {
    let follow_ups = u32::from(kind != Kind::TasksAndChanges);
    let changes = u32::from(kind != Kind::TasksAndFollowUps);
    let added = spec_of(kind == Kind::Inline, Just(Does::Nothing));
    prop_oneof![
        6 => Just(Does::Nothing),
        1 => Just(Does::Fail),
        1 => Just(Does::Panic),
        1 => Just(Does::Cancel),
        3 * follow_ups => event_type().prop_map(Does::FollowUp),
        changes => (added, Just(kind == Kind::Inline))
            .prop_map(|(spec, publishes)| Does::Subscribe(Box::new(spec), publishes)),
        changes => Just(Does::EndItself),
        changes => (0..8_usize).prop_map(Does::End),
    ]
}

fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let batch = if kind == Kind::TasksAndChanges { 1..2 } else { 0..4 };
    prop_oneof![
        4 => spec_of(kind == Kind::Inline, does(kind)).prop_map(Step::Subscribe),
        1 => (0..8_usize).prop_map(Step::Unsubscribe),
        2 => event_type().prop_map(Step::Publish),
        2 => event_type().prop_map(Step::PublishAndWait),
        1 => event_type().prop_map(Step::TryPublish),
        1 => prop::collection::vec(event_type(), batch).prop_map(Step::Batch),
    ]
}

/// A script in which at most one handler goes on for ever.
pub(super) fn script(kind: Kind) -> impl Strategy<Value = Vec<Step>> {
    let chain = prop::option::weighted(0.1, spec_of(kind == Kind::Inline, Just(Does::Chain)));
    (prop::collection::vec(step(kind), 4..24), chain).prop_map(move |(mut steps, chain)| {
        if let Some(chain) = chain
            && kind != Kind::TasksAndChanges
        {
            steps.insert(0, Step::Subscribe(chain));
        }
        steps
    })
}
