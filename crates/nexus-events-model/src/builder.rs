//! Building events.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;
use time::OffsetDateTime;
use triomphe::UniqueArc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Inner, Stamp};
use crate::event_type::EventType;
use crate::ids::{CausationId, CorrelationId, EventId, SessionId, UserId, check_length};
use crate::metadata::Metadata;
use crate::payload::Payload;
use crate::priority::Priority;
use crate::text::Text;
use crate::timestamp;
use crate::trace_context::TraceContext;

/// An event under construction. The first mistake is kept and reported by the build.
///
/// ```
/// use nexus_events_model::{ErrorKind, Event};
/// let error = Event::builder("not a type").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidEventType);
/// ```
#[must_use = "an event under construction does nothing until it is built or published"]
pub struct EventBuilder {
    /// Made where the event is going to be: a builder is handed on at each step, and the whole
    /// event would be copied as often.
    // Two words, so that it travels in registers from one setter to the next.
    draft: UniqueArc<Inner>,
    error: Option<Error>,
}

impl EventBuilder {
    #[inline]
    pub(crate) fn new(event_type: impl TryInto<EventType, Error: Into<Error>>) -> Self {
        let draft = UniqueArc::new(Inner::BLANK);
        Self { draft, error: None }.event_type(event_type)
    }

    pub(crate) fn of(event: &Event) -> Self {
        let draft = Inner { encoded: OnceLock::new(), ..Inner::clone(&event.0) };
        Self { draft: UniqueArc::new(draft), error: None }
    }

    #[inline]
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

    #[inline]
    fn short(&mut self, field: &str, text: Text) -> Option<Text> {
        match check_length(field, &text) {
            Ok(()) => Some(text),
            Err(error) => self.fail(error),
        }
    }

    /// Another type than the one it was started with.
    #[inline]
    pub fn event_type(mut self, event_type: impl TryInto<EventType, Error: Into<Error>>) -> Self {
        if let Some(event_type) = self.keep(event_type) {
            self.draft.event_type = event_type;
        }
        self
    }

    /// The id, instead of one made when the event is published.
    pub fn id(mut self, id: impl TryInto<EventId, Error: Into<Error>>) -> Self {
        if let Some(id) = self.keep(id) {
            self.draft.id = id;
            self.draft.has_id = true;
        }
        self
    }

    /// The time it happened, instead of the time it is published. Kept to the microsecond.
    pub fn timestamp(mut self, timestamp: OffsetDateTime) -> Self {
        self.draft.timestamp = timestamp::to_microseconds(timestamp);
        self.draft.has_timestamp = true;
        self
    }

    /// The time it happened, as ISO 8601 text; without an offset it is UTC.
    pub fn timestamp_text(mut self, text: &str) -> Self {
        match timestamp::parse(text) {
            Ok(timestamp) => self.timestamp(timestamp),
            Err(error) => {
                let _: Option<()> = self.fail(error);
                self
            }
        }
    }

    /// Who it is from. Default: empty.
    #[inline]
    pub fn source(mut self, source: impl Into<Text>) -> Self {
        if let Some(source) = self.short("source", source.into()) {
            self.draft.source = source;
        }
        self
    }

    /// Whom it is meant for.
    pub fn target(mut self, target: impl Into<Text>) -> Self {
        let target = self.short("target", target.into());
        self.draft.target = target;
        self
    }

    /// The body. Default: `{}`.
    #[inline]
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.draft.payload = payload.into();
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
        if let Err(error) = self.draft.metadata.insert(name, value) {
            let _: Option<()> = self.fail(error);
        }
        self
    }

    /// All metadata, instead of what was set before.
    pub fn all_metadata(mut self, metadata: Metadata) -> Self {
        self.draft.metadata = metadata;
        self
    }

    /// How important it is. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.draft.priority = priority;
        self
    }

    /// The conversation it belongs to.
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        let correlation_id = self.keep(id);
        self.draft.correlation_id = correlation_id;
        self
    }

    /// The event that led to this one; kept in the metadata.
    pub fn causation_id(self, id: impl Into<CausationId>) -> Self {
        let id = id.into().to_string();
        self.metadata(Text::from_static(Metadata::CAUSATION_ID), id)
    }

    /// The session it belongs to.
    pub fn session_id(mut self, id: impl TryInto<SessionId, Error: Into<Error>>) -> Self {
        let session_id = self.keep(id);
        self.draft.session_id = session_id;
        self
    }

    /// The user it is about or from.
    pub fn user_id(mut self, id: impl TryInto<UserId, Error: Into<Error>>) -> Self {
        let user_id = self.keep(id);
        self.draft.user_id = user_id;
        self
    }

    /// The channel it came through, such as `web` or `cli`.
    pub fn channel(mut self, channel: impl Into<Text>) -> Self {
        let channel = self.short("channel", channel.into());
        self.draft.channel = channel;
        self
    }

    /// Whether a failed handler may be tried again. Default: yes.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.draft.retryable = retryable;
        self
    }

    /// How often a failed handler may be tried again. Default: 3, which is 4 attempts.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.draft.max_retries = max_retries;
        self
    }

    /// How often it was retried before.
    pub fn retry_count(mut self, retry_count: u32) -> Self {
        self.draft.retry_count = retry_count;
        self
    }

    /// The trace it belongs to, kept in the metadata.
    ///
    /// ```
    /// # use nexus_events_model::{Event, Metadata, TraceContext};
    /// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let context = TraceContext::parse(text).unwrap();
    /// let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").trace_context(&context).build()?;
    /// assert_eq!(event.metadata().get(Metadata::TRACEPARENT).unwrap(), text);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn trace_context(self, context: &TraceContext) -> Self {
        let mut builder = self.metadata(Metadata::TRACEPARENT, context.to_string());
        builder.draft.metadata.remove(Metadata::TRACESTATE);
        match context.state() {
            Some(state) => builder.metadata(Metadata::TRACESTATE, state),
            None => builder,
        }
    }

    /// Fills in the conversation, the cause and the trace of an event published in answer to
    /// `cause`. What was set before stays.
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
        if self.draft.correlation_id.is_none() {
            self.draft.correlation_id = cause.correlation_id().cloned();
        }
        if self.draft.metadata.get(Metadata::CAUSATION_ID).is_none() {
            self = self.causation_id(cause.id());
        }
        self.inherit_trace(cause);
        self
    }

    /// Takes over the trace of its cause; without one of its own, and where there
    /// is room for it.
    fn inherit_trace(&mut self, cause: &Event) {
        if self.draft.metadata.get(Metadata::TRACEPARENT).is_some() {
            return;
        }
        let Some(context) = cause.trace_context() else { return };
        let metadata = &mut self.draft.metadata;
        metadata.remove(Metadata::TRACESTATE);
        let has_room = metadata.insert(Metadata::TRACEPARENT, context.to_string()).is_ok();
        if let Some(state) = context.state().filter(|_| has_room) {
            // An event is not refused for that.
            let _ = metadata.insert(Metadata::TRACESTATE, state);
        }
    }

    /// The builder itself, unless a mistake was made.
    pub(crate) fn into_checked(mut self) -> Result<Self> {
        self.error.take().map_or(Ok(self), Err)
    }

    /// The finished event, with a missing id or timestamp taken from the stamp.
    ///
    /// # Errors
    /// The first mistake made while building.
    #[inline]
    pub fn build_with(mut self, stamp: impl FnOnce() -> Stamp) -> Result<Event> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let draft = &mut *self.draft;
        if !(draft.has_id && draft.has_timestamp) {
            let stamp = stamp();
            if !draft.has_id {
                draft.id = stamp.id;
            }
            if !draft.has_timestamp {
                draft.timestamp = timestamp::to_microseconds(stamp.timestamp);
            }
            (draft.has_id, draft.has_timestamp) = (true, true);
        }
        Ok(Event(self.draft.shareable()))
    }

    /// The finished event, when it has an id and a timestamp.
    ///
    /// # Errors
    /// The first mistake made while building, or [`ErrorKind::InvalidEvent`] when the id or the
    /// timestamp is missing.
    pub fn build(self) -> Result<Event> {
        let missing = match (&self.error, self.draft.has_id, self.draft.has_timestamp) {
            (None, false, _) => "id",
            (None, true, false) => "timestamp",
            _ => return self.build_with(|| unreachable!("both are set")),
        };
        let message = format!(
            "event has no {missing}; publish it through a bus, which stamps it, or set it with .{missing}(..)"
        );
        Err(Error::new(ErrorKind::InvalidEvent, message))
    }
}

impl fmt::Debug for EventBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuilder")
            .field("draft", &*self.draft)
            .field("error", &self.error)
            .finish()
    }
}
