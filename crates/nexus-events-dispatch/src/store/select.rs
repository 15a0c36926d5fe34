//! Which events of a log are meant.

use nexus_events_model::{Event, EventType, Filter, Pattern, Priority, Text};
use time::OffsetDateTime;

use super::read::StoredEvent;

/// Which events of a log are meant; all that is set must hold, and nothing set means all.
///
/// ```
/// use nexus_events_dispatch::store::Select;
/// use nexus_events_model::{Filter, Pattern};
/// let large = Select::new()
///     .pattern(Pattern::new("order.*")?)
///     .source("shop")
///     .filter(Filter::parse("payload.amount > 100")?);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "it does nothing until something is read with it"]
#[non_exhaustive]
pub struct Select {
    /// Event types; any of them, where several are given.
    pub patterns: Vec<Pattern>,
    /// The key that events are ordered by.
    pub key: Option<Text>,
    /// The source.
    pub source: Option<Text>,
    /// The conversation.
    pub correlation_id: Option<Text>,
    /// The session.
    pub session_id: Option<Text>,
    /// The user.
    pub user_id: Option<Text>,
    /// At least this important.
    pub priority_min: Option<Priority>,
    /// Recorded at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Recorded before this time.
    pub before: Option<OffsetDateTime>,
    /// A filter that must hold.
    pub filter: Option<Filter>,
}

impl Select {
    /// All events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of event types that match; several patterns mean any of them.
    pub fn pattern(mut self, pattern: Pattern) -> Self {
        self.patterns.push(pattern);
        self
    }

    /// With this key.
    pub fn key(mut self, key: impl Into<Text>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// From this source.
    pub fn source(mut self, source: impl Into<Text>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Of this conversation.
    pub fn correlation_id(mut self, id: impl Into<Text>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Of this session.
    pub fn session_id(mut self, id: impl Into<Text>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Of this user.
    pub fn user_id(mut self, id: impl Into<Text>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// At least this important.
    pub fn priority_min(mut self, priority: Priority) -> Self {
        self.priority_min = Some(priority);
        self
    }

    /// Recorded at or after this time.
    pub fn since(mut self, time: OffsetDateTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Recorded before this time.
    pub fn before(mut self, time: OffsetDateTime) -> Self {
        self.before = Some(time);
        self
    }

    /// For which the filter holds.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the type is meant; the rest may still not hold.
    #[must_use]
    pub fn means(&self, event_type: &EventType) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|it| it.matches(event_type))
    }

    /// Whether this event is meant.
    #[must_use]
    pub fn matches(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.means(event.event_type())
            && is(self.key.as_ref(), stored.key.as_deref())
            && is(self.source.as_ref(), Some(event.source()))
            && self.is_of(event)
            && self.priority_min.is_none_or(|least| event.priority() >= least)
            && self.since.is_none_or(|since| stored.recorded >= since)
            && self.before.is_none_or(|before| stored.recorded < before)
            && self.filter.as_ref().is_none_or(|filter| filter.matches(event))
    }

    fn is_of(&self, event: &Event) -> bool {
        let is_id = |wanted: &Option<Text>, id: Option<String>| is(wanted.as_ref(), id.as_deref());
        (self.correlation_id.is_none()
            || is_id(&self.correlation_id, event.correlation_id().map(ToString::to_string)))
            && (self.session_id.is_none()
                || is_id(&self.session_id, event.session_id().map(ToString::to_string)))
            && (self.user_id.is_none()
                || is_id(&self.user_id, event.user_id().map(ToString::to_string)))
    }
}

fn is(wanted: Option<&Text>, there: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| there == Some(&**wanted))
}
