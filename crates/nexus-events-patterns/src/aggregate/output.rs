//! What is published when a window is over.

use nexus_events_model::{CorrelationId, Event, EventId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::iso;
use crate::window::{CloseReason, Fold, KeyedWindow, Moment};

/// What a closed window comes to: the payload of the event that an aggregator publishes, unless it
/// [shapes](super::AggregatorBuilder::shape) another one.
///
/// ```
/// use nexus_events_patterns::Aggregate;
/// let json = r#"{"key":"u1","window_start":"2026-01-02T03:00:00Z","window_end":"2026-01-02T03:15:00Z",
///     "first":"2026-01-02T03:01:00Z","last":"2026-01-02T03:09:00Z","count":7,"reason":"time","value":3}"#;
/// let aggregate: Aggregate<String, u32> = serde_json::from_str(json)?;
/// assert_eq!((aggregate.count, aggregate.value), (7, 3));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Aggregate<K, A> {
    /// What its events have in common.
    pub key: K,
    /// When the window began.
    #[serde(with = "iso")]
    pub window_start: OffsetDateTime,
    /// When it was over; of a window without an end, its last event.
    #[serde(with = "iso")]
    pub window_end: OffsetDateTime,
    /// Its earliest event.
    #[serde(with = "iso")]
    pub first: OffsetDateTime,
    /// Its latest event.
    #[serde(with = "iso")]
    pub last: OffsetDateTime,
    /// How many events it had.
    pub count: u64,
    /// Why it was closed.
    pub reason: CloseReason,
    /// What they come to.
    pub value: A,
}

/// An aggregate, and where it comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Held<A> {
    pub(super) value: A,
    /// The last event that came.
    pub(super) cause: Option<EventId>,
    pub(super) conversation: Conversation,
}

/// What the events of a window say about the conversation they belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Conversation {
    /// There was no event yet.
    Unknown,
    /// All of them to this one.
    One(CorrelationId),
    /// Not all of them to the same.
    Several,
}

impl Conversation {
    fn and(&mut self, id: Option<&CorrelationId>) {
        match (&*self, id) {
            (Self::Unknown, Some(id)) => *self = Self::One(id.clone()),
            (Self::One(one), Some(id)) if one == id => {}
            _ => *self = Self::Several,
        }
    }

    fn merge(&mut self, other: Self) {
        match other {
            Self::One(id) => self.and(Some(&id)),
            Self::Several => *self = Self::Several,
            Self::Unknown => {}
        }
    }
}

impl<A> Held<A> {
    /// The aggregate of a window that is over.
    pub(super) fn output<K>(closed: KeyedWindow<K, Self>) -> (Aggregate<K, A>, Origin) {
        let KeyedWindow { key, window } = closed;
        let time = |moment: Moment| moment.time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let end = if window.span.end == Moment::MAX { window.last } else { window.span.end };
        let Held { value, cause, conversation } = window.value;
        let aggregate = Aggregate {
            key,
            window_start: time(window.span.start),
            window_end: time(end),
            first: time(window.first),
            last: time(window.last),
            count: window.count,
            reason: window.reason,
            value,
        };
        (aggregate, Origin { cause, conversation })
    }
}

/// What led to an event that is published.
pub(super) struct Origin {
    pub(super) cause: Option<EventId>,
    pub(super) conversation: Conversation,
}

/// An event, and what is aggregated of it.
pub(super) struct Given<'a, I: ?Sized> {
    pub(super) event: &'a Event,
    pub(super) item: &'a I,
}

type Start<A> = Box<dyn Fn() -> A + Send + Sync>;
type Add<I, A> = Box<dyn Fn(&mut A, &I) + Send + Sync>;
type Merge<A> = Box<dyn Fn(&mut A, A) + Send + Sync>;

/// How the program aggregates.
pub(super) struct Folds<I, A> {
    pub(super) start: Start<A>,
    pub(super) add: Add<I, A>,
    pub(super) merge: Option<Merge<A>>,
}

impl<I, A> Fold<Given<'_, I>> for Folds<I, A> {
    type Value = Held<A>;

    fn start(&self) -> Held<A> {
        Held { value: (self.start)(), cause: None, conversation: Conversation::Unknown }
    }

    fn add(&self, held: &mut Held<A>, given: &Given<'_, I>) {
        held.cause = Some(given.event.id().clone());
        held.conversation.and(given.event.correlation_id());
        (self.add)(&mut held.value, given.item);
    }

    fn can_merge(&self) -> bool {
        self.merge.is_some()
    }

    fn merge(&self, earlier: &mut Held<A>, later: Held<A>) {
        earlier.cause = later.cause.or(earlier.cause.take());
        earlier.conversation.merge(later.conversation);
        if let Some(merge) = &self.merge {
            merge(&mut earlier.value, later.value);
        }
    }
}
