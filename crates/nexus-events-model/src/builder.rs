//! Building events.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Inner, Stamp};
use crate::event_type::EventType;
use crate::ids::{CausationId, CorrelationId, EventId, SessionId, UserId, check_length};
use crate::metadata::Metadata;
use crate::payload::Payload;
use crate::priority::Priority;
use crate::text::Text;
use crate::timestamp;

/// The retries an event allows when it does not say: 3, which is 4 attempts.
const MAX_RETRIES_DEFAULT: u32 = 3;

/// An event under construction. The first mistake is kept and reported by the build.
///
/// ```
/// use nexus_events_model::{ErrorKind, Event};
/// let error = Event::builder("not a type").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidEventType);
/// ```
#[derive(Debug)]
#[must_use = "an event under construction does nothing until it is built or published"]
pub struct EventBuilder {
    id: Option<EventId>,
    timestamp: Option<OffsetDateTime>,
    event_type: EventType,
    source: Text,
    target: Option<Text>,
    payload: Payload,
    metadata: Metadata,
    priority: Priority,
    correlation_id: Option<CorrelationId>,
    session_id: Option<SessionId>,
    user_id: Option<UserId>,
    channel: Option<Text>,
    retryable: bool,
    max_retries: u32,
    retry_count: u32,
    error: Option<Error>,
}

impl EventBuilder {
    pub(crate) fn new(event_type: impl TryInto<EventType, Error: Into<Error>>) -> Self {
        let mut builder = Self {
            id: None,
            timestamp: None,
            event_type: EventType::default(),
            source: Text::default(),
            target: None,
            payload: Payload::empty(),
            metadata: Metadata::new(),
            priority: Priority::default(),
            correlation_id: None,
            session_id: None,
            user_id: None,
            channel: None,
            retryable: true,
            max_retries: MAX_RETRIES_DEFAULT,
            retry_count: 0,
            error: None,
        };
        if let Some(event_type) = builder.keep(event_type) {
            builder.event_type = event_type;
        }
        builder
    }

    pub(crate) fn of(event: &Event) -> Self {
        let inner = &*event.0;
        Self {
            id: Some(inner.id.clone()),
            timestamp: Some(inner.timestamp),
            event_type: inner.event_type.clone(),
            source: inner.source.clone(),
            target: inner.target.clone(),
            payload: inner.payload.clone(),
            metadata: inner.metadata.clone(),
            priority: inner.priority,
            correlation_id: inner.correlation_id.clone(),
            session_id: inner.session_id.clone(),
            user_id: inner.user_id.clone(),
            channel: inner.channel.clone(),
            retryable: inner.retryable,
            max_retries: inner.max_retries,
            retry_count: inner.retry_count,
            error: None,
        }
    }

    /// The converted value, or `None` with the first error remembered.
    fn keep<T>(&mut self, value: impl TryInto<T, Error: Into<Error>>) -> Option<T> {
        match value.try_into() {
            Ok(value) => Some(value),
            Err(error) => self.fail(error.into()),
        }
    }

    fn fail<T>(&mut self, error: Error) -> Option<T> {
        self.error.get_or_insert(error);
        None
    }

    fn short(&mut self, field: &str, text: Text) -> Option<Text> {
        match check_length(field, &text) {
            Ok(()) => Some(text),
            Err(error) => self.fail(error),
        }
    }

    /// Another type than the one it was started with.
    pub fn event_type(mut self, event_type: impl TryInto<EventType, Error: Into<Error>>) -> Self {
        if let Some(event_type) = self.keep(event_type) {
            self.event_type = event_type;
        }
        self
    }

    /// The id, instead of one made when the event is published.
    pub fn id(mut self, id: impl TryInto<EventId, Error: Into<Error>>) -> Self {
        self.id = self.keep(id);
        self
    }

    /// The time it happened, instead of the time it is published. Kept to the microsecond.
    pub fn timestamp(mut self, timestamp: OffsetDateTime) -> Self {
        self.timestamp = Some(timestamp::to_microseconds(timestamp));
        self
    }

    /// The time it happened, as ISO 8601 text; without an offset it is UTC.
    pub fn timestamp_text(mut self, text: &str) -> Self {
        match timestamp::parse(text) {
            Ok(timestamp) => self.timestamp = Some(timestamp),
            Err(error) => {
                let _: Option<()> = self.fail(error);
            }
        }
        self
    }

    /// Who it is from. Default: empty.
    pub fn source(mut self, source: impl Into<Text>) -> Self {
        if let Some(source) = self.short("source", source.into()) {
            self.source = source;
        }
        self
    }

    /// Whom it is meant for.
    pub fn target(mut self, target: impl Into<Text>) -> Self {
        self.target = self.short("target", target.into());
        self
    }

    /// The body. Default: `{}`.
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The body as a value of the program's own type.
    ///
    /// ```
    /// # use nexus_events_model::Event;
    /// #[derive(serde::Serialize)]
    /// struct Placed { order_id: u32 }
    /// let event = Event::builder("order.placed")
    ///     .id("1").timestamp_text("2026-01-02T03:04:05Z")
    ///     .typed(Placed { order_id: 7 })
    ///     .build()?;
    /// assert_eq!(event.payload().downcast_ref::<Placed>().unwrap().order_id, 7);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn typed<T: serde::Serialize + Send + Sync + 'static>(self, value: T) -> Self {
        self.payload(Payload::typed(value))
    }

    /// One entry of metadata.
    pub fn metadata(mut self, name: impl Into<Text>, value: impl Into<Value>) -> Self {
        if let Err(error) = self.metadata.insert(name, value) {
            let _: Option<()> = self.fail(error);
        }
        self
    }

    /// All metadata, instead of what was set before.
    pub fn all_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// How important it is. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The conversation it belongs to.
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        self.correlation_id = self.keep(id);
        self
    }

    /// The event that led to this one; kept in the metadata.
    pub fn causation_id(self, id: impl Into<CausationId>) -> Self {
        let id = id.into().to_string();
        self.metadata(Text::from_static(Metadata::CAUSATION_ID), id)
    }

    /// The session it belongs to.
    pub fn session_id(mut self, id: impl TryInto<SessionId, Error: Into<Error>>) -> Self {
        self.session_id = self.keep(id);
        self
    }

    /// The user it is about or from.
    pub fn user_id(mut self, id: impl TryInto<UserId, Error: Into<Error>>) -> Self {
        self.user_id = self.keep(id);
        self
    }

    /// The channel it came through, such as `web` or `cli`.
    pub fn channel(mut self, channel: impl Into<Text>) -> Self {
        self.channel = self.short("channel", channel.into());
        self
    }

    /// Whether a failed handler may be tried again. Default: yes.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// How often a failed handler may be tried again. Default: 3, which is 4 attempts.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// How often it was retried before.
    pub fn retry_count(mut self, retry_count: u32) -> Self {
        self.retry_count = retry_count;
        self
    }

    /// Fills in the conversation and the cause of an event published in answer to `cause`. What
    /// was set before stays.
    ///
    /// ```
    /// # use nexus_events_model::Event;
    /// let cause = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").correlation_id("c").build()?;
    /// let effect = Event::builder("b").id("2").timestamp_text("2026-01-02T03:04:06Z").caused_by(&cause).build()?;
    /// assert_eq!(effect.correlation_id().unwrap(), "c");
    /// assert_eq!(effect.causation_id().unwrap(), "1");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn caused_by(mut self, cause: &Event) -> Self {
        if self.correlation_id.is_none() {
            self.correlation_id = cause.correlation_id().cloned();
        }
        if self.metadata.get(Metadata::CAUSATION_ID).is_some() {
            return self;
        }
        self.causation_id(cause.id())
    }

    /// The builder itself, unless a mistake was made.
    pub(crate) fn into_checked(mut self) -> Result<Self> {
        self.error.take().map_or(Ok(self), Err)
    }

    /// The finished event, with a missing id or timestamp taken from the stamp.
    ///
    /// # Errors
    /// The first mistake made while building.
    pub fn build_with(mut self, stamp: impl FnOnce() -> Stamp) -> Result<Event> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let (id, timestamp) = match (self.id.take(), self.timestamp) {
            (Some(id), Some(timestamp)) => (id, timestamp),
            (id, timestamp) => {
                let stamp = stamp();
                (
                    id.unwrap_or(stamp.id),
                    timestamp.unwrap_or_else(|| timestamp::to_microseconds(stamp.timestamp)),
                )
            }
        };
        Ok(Event(Arc::new(Inner {
            id,
            timestamp,
            event_type: self.event_type,
            source: self.source,
            target: self.target,
            payload: self.payload,
            metadata: self.metadata,
            priority: self.priority,
            correlation_id: self.correlation_id,
            session_id: self.session_id,
            user_id: self.user_id,
            channel: self.channel,
            retryable: self.retryable,
            max_retries: self.max_retries,
            retry_count: self.retry_count,
            encoded: OnceLock::new(),
        })))
    }

    /// The finished event, when it has an id and a timestamp.
    ///
    /// # Errors
    /// The first mistake made while building, or [`ErrorKind::InvalidEvent`] when the id or the
    /// timestamp is missing.
    pub fn build(self) -> Result<Event> {
        let missing = match (&self.error, &self.id, self.timestamp) {
            (None, None, _) => "id",
            (None, _, None) => "timestamp",
            _ => return self.build_with(|| unreachable!("both are set")),
        };
        let message = format!(
            "event has no {missing}; publish it through a bus, which stamps it, or set it with .{missing}(..)"
        );
        Err(Error::new(ErrorKind::InvalidEvent, message))
    }
}
