//! The published fact: an immutable envelope around a payload.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;
use time::OffsetDateTime;
use triomphe::Arc;

use crate::builder::EventBuilder;
use crate::error::{Error, Result};
use crate::event_type::EventType;
use crate::ids::{CausationId, CorrelationId, EventId, SessionId, UserId};
use crate::json::Encoded;
use crate::metadata::Metadata;
use crate::payload::Payload;
use crate::priority::Priority;
use crate::text::Text;

/// A published fact: who, when, what about, and a [`Payload`]. Immutable and cheap to clone.
///
/// Every event has an id and a timestamp. This crate has no clock, so an event under
/// construction is an [`EventBuilder`]; a bus stamps what is missing when it is published, or you
/// give both yourself and call [`EventBuilder::build`].
///
/// ```
/// use nexus_events_model::{Event, EventType};
/// use serde_json::json;
///
/// let event = Event::builder(EventType::WORKFLOW_STARTED)
///     .id("evt-1")
///     .timestamp_text("2026-01-02T03:04:05Z")
///     .source("workflow_engine")
///     .payload(json!({"workflow_id": "wf_12345"}))
///     .session_id("session_456")
///     .correlation_id("corr_123")
///     .build()?;
/// assert_eq!(event.event_type(), &EventType::WORKFLOW_STARTED);
/// assert_eq!(event.payload().get("workflow_id").unwrap(), "wf_12345");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Clone)]
pub struct Event(pub(crate) Arc<Inner>);

#[derive(Debug, Clone)]
pub(crate) struct Inner {
    pub(crate) id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) source: Text,
    pub(crate) target: Option<Text>,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) priority: Priority,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) channel: Option<Text>,
    pub(crate) retryable: bool,
    pub(crate) max_retries: u32,
    pub(crate) retry_count: u32,
    /// Whether id and timestamp are set; always, once it is an event.
    pub(crate) has_id: bool,
    pub(crate) has_timestamp: bool,
    pub(crate) encoded: OnceLock<Encoded>,
}

/// The retries an event allows when it does not say: 3, which is 4 attempts.
const MAX_RETRIES_DEFAULT: u32 = 3;

impl Inner {
    /// The fields of an event that says nothing; its id and timestamp are nobody's. A constant, so
    /// that it is copied to where it is needed and not made on the stack first.
    #[allow(clippy::declare_interior_mutable_const, reason = "each use is to have its own")]
    pub(crate) const BLANK: Self = Self {
        id: EventId::NIL,
        event_type: EventType::CUSTOM_EVENT,
        source: Text::from_static(""),
        target: None,
        payload: Payload::EMPTY,
        metadata: Metadata::new(),
        timestamp: OffsetDateTime::UNIX_EPOCH,
        priority: Priority::Normal,
        correlation_id: None,
        session_id: None,
        user_id: None,
        channel: None,
        retryable: true,
        max_retries: MAX_RETRIES_DEFAULT,
        retry_count: 0,
        has_id: false,
        has_timestamp: false,
        encoded: OnceLock::new(),
    };
}

impl Event {
    /// Starts an event of this type. Every mistake, a bad type name too, is reported by the build.
    pub fn builder(event_type: impl TryInto<EventType, Error: Into<Error>>) -> EventBuilder {
        EventBuilder::new(event_type)
    }

    /// Names this event for ever.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.0.id
    }

    /// The dotted name it is addressed by.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.0.event_type
    }

    /// Who it is from; empty when unknown.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whom it is meant for, if anyone in particular.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.0.target.as_deref()
    }

    /// Its body.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }

    /// What travels beside the payload.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// When it happened, to the microsecond, with the offset it came with.
    #[must_use]
    pub fn timestamp(&self) -> OffsetDateTime {
        self.0.timestamp
    }

    /// How important it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.priority
    }

    /// The conversation it belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.0.correlation_id.as_ref()
    }

    /// The event that led to it, kept in the metadata under [`Metadata::CAUSATION_ID`].
    ///
    /// ```
    /// # use nexus_events_model::{Event, EventId};
    /// let cause = EventId::new("evt-1")?;
    /// let event = Event::builder("b").id("evt-2").timestamp_text("2026-01-02T03:04:05Z").causation_id(&cause).build()?;
    /// assert_eq!(event.causation_id().unwrap(), "evt-1");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn causation_id(&self) -> Option<CausationId> {
        CausationId::new(self.0.metadata.get(Metadata::CAUSATION_ID)?.as_str()?).ok()
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session_id(&self) -> Option<&SessionId> {
        self.0.session_id.as_ref()
    }

    /// The user it is about or from.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.0.user_id.as_ref()
    }

    /// The channel it came through, such as `web` or `cli`.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }

    /// Whether a failed handler may be tried again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.0.retryable
    }

    /// How often a failed handler may be tried again; 3 means 4 attempts.
    #[must_use]
    pub fn max_retries(&self) -> u32 {
        self.0.max_retries
    }

    /// How often this event was retried before it came here.
    #[must_use]
    pub fn retry_count(&self) -> u32 {
        self.0.retry_count
    }

    /// About how many bytes the event holds, without encoding it.
    ///
    /// ```
    /// # use nexus_events_model::Event;
    /// let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
    /// assert!(event.size() >= size_of::<Event>());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        let metadata: usize =
            self.0.metadata.iter().map(|(name, _)| name.len() + size_of::<Value>()).sum();
        size_of::<Inner>() + self.0.payload.size() + metadata
    }

    /// Starts a new event with this one's fields, id and timestamp included.
    ///
    /// ```
    /// # use nexus_events_model::Event;
    /// let first = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
    /// let second = first.to_builder().source("copy").build()?;
    /// assert_eq!((second.id(), second.source()), (first.id(), "copy"));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn to_builder(&self) -> EventBuilder {
        EventBuilder::of(self)
    }

    /// Whether both are the very same event in memory.
    ///
    /// ```
    /// # use nexus_events_model::Event;
    /// let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
    /// assert!(Event::ptr_eq(&event, &event.clone()));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn ptr_eq(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    pub(crate) fn encoded_cell(&self) -> &OnceLock<Encoded> {
        &self.0.encoded
    }
}

impl PartialEq for Event {
    /// Equal in all fifteen fields.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (a.id == b.id
                && a.event_type == b.event_type
                && a.source == b.source
                && a.target == b.target
                && a.payload == b.payload
                && a.metadata == b.metadata
                && a.timestamp == b.timestamp
                && a.priority == b.priority
                && a.correlation_id == b.correlation_id
                && a.session_id == b.session_id
                && a.user_id == b.user_id
                && a.channel == b.channel
                && a.retryable == b.retryable
                && a.max_retries == b.max_retries
                && a.retry_count == b.retry_count)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.0.id)
            .field("event_type", &self.0.event_type)
            .field("source", &self.0.source)
            .field("payload", &self.0.payload)
            .finish_non_exhaustive()
    }
}

/// The id and time given to an event that has none.
///
/// ```
/// use nexus_events_model::{Event, EventId, Stamp};
/// use time::macros::datetime;
///
/// let stamp = || Stamp { id: EventId::new("evt-1").unwrap(), timestamp: datetime!(2026-01-02 03:04:05 UTC) };
/// let event = Event::builder("a").build_with(stamp)?;
/// assert_eq!(event.id(), &EventId::new("evt-1")?);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The id for an event without one.
    pub id: EventId,
    /// The timestamp for an event without one.
    pub timestamp: OffsetDateTime,
}

/// What can be published: an [`Event`], an [`EventBuilder`] that is stamped on the way, or a
/// [`TypedEvent`](crate::TypedEvent).
///
/// ```
/// use nexus_events_model::{Event, IntoEvent};
/// let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
/// let same = event.clone().into_event(|| unreachable!("it has both"))?;
/// assert!(Event::ptr_eq(&event, &same));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "publish an `Event::builder(\"order.created\").payload(json!({{..}}))`, or a value of your own with `.typed(value)` instead of `.payload(..)`",
    note = "a type that implements `TypedEvent` is an event itself"
)]
pub trait IntoEvent {
    /// The event, with what is missing taken from the stamp.
    ///
    /// # Errors
    /// The first mistake made while building.
    fn into_event(self, stamp: impl FnOnce() -> Stamp) -> Result<Event>;
}

impl IntoEvent for Event {
    fn into_event(self, _: impl FnOnce() -> Stamp) -> Result<Event> {
        Ok(self)
    }
}

impl IntoEvent for &Event {
    fn into_event(self, _: impl FnOnce() -> Stamp) -> Result<Event> {
        Ok(self.clone())
    }
}

impl IntoEvent for EventBuilder {
    fn into_event(self, stamp: impl FnOnce() -> Stamp) -> Result<Event> {
        self.build_with(stamp)
    }
}
