//! What an index of filters sees in an event.

use nexus_events_model::limits::TEXT_BYTES_MAX;
use nexus_events_model::{Event, EventType, IdBuffer, Metadata, Priority};
use serde_json::Value;
use time::OffsetDateTime;

/// A field of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    EventId,
    EventType,
    Source,
    Target,
    Payload,
    Metadata,
    Timestamp,
    Priority,
    CorrelationId,
    CausationId,
    SessionId,
    UserId,
    Channel,
    Retryable,
    MaxRetries,
    RetryCount,
}

impl Root {
    pub(super) const ALL: [Self; 16] = [
        Self::EventId,
        Self::EventType,
        Self::Source,
        Self::Target,
        Self::Payload,
        Self::Metadata,
        Self::Timestamp,
        Self::Priority,
        Self::CorrelationId,
        Self::CausationId,
        Self::SessionId,
        Self::UserId,
        Self::Channel,
        Self::Retryable,
        Self::MaxRetries,
        Self::RetryCount,
    ];

    /// The field that a path starts with; `None` where no event has one.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "event_id" => Self::EventId,
            "event_type" => Self::EventType,
            "source" => Self::Source,
            "target" => Self::Target,
            "payload" | "data" => Self::Payload,
            "metadata" => Self::Metadata,
            "timestamp" => Self::Timestamp,
            "priority" => Self::Priority,
            "correlation_id" => Self::CorrelationId,
            "causation_id" => Self::CausationId,
            "session_id" => Self::SessionId,
            "user_id" => Self::UserId,
            "channel" => Self::Channel,
            "retryable" => Self::Retryable,
            "max_retries" => Self::MaxRetries,
            "retry_count" => Self::RetryCount,
            _ => return None,
        })
    }

    /// Whether some events do not have it.
    pub(super) fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Target
                | Self::CorrelationId
                | Self::CausationId
                | Self::SessionId
                | Self::UserId
                | Self::Channel
        )
    }

    /// The field's value; none where the payload is not JSON.
    pub(super) fn read<'e>(self, event: &'e Event, buffer: &'e mut IdBuffer) -> Option<Found<'e>> {
        Some(match self {
            Self::EventId => Found::Text(event.id().as_text(buffer)),
            Self::EventType => Found::Type(event.event_type()),
            Self::Source => Found::Text(event.source()),
            Self::Target => optional(event.target()),
            Self::Payload => Found::Json(event.payload().value().ok()?),
            Self::Metadata => Found::Metadata(event.metadata()),
            Self::Timestamp => Found::Time(event.timestamp()),
            Self::Priority => Found::Priority(event.priority()),
            Self::CorrelationId => optional(event.correlation_id().map(|id| id.as_text(buffer))),
            Self::CausationId => optional(causation_id(event)),
            Self::SessionId => optional(event.session_id().map(|id| id.as_text(buffer))),
            Self::UserId => optional(event.user_id().map(|id| id.as_text(buffer))),
            Self::Channel => optional(event.channel()),
            Self::Retryable => Found::Bool(event.retryable()),
            Self::MaxRetries => Found::Count(event.max_retries()),
            Self::RetryCount => Found::Count(event.retry_count()),
        })
    }
}

/// A place in an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'e> {
    /// A field of the envelope that is not set: equal to null, and missing otherwise.
    Unset,
    Metadata(&'e Metadata),
    Json(&'e Value),
    Text(&'e str),
    Type(&'e EventType),
    Time(OffsetDateTime),
    Priority(Priority),
    Bool(bool),
    Count(u32),
}

fn optional(text: Option<&str>) -> Found<'_> {
    text.map_or(Found::Unset, Found::Text)
}

/// As [`Event::causation_id`], without making an id of it.
fn causation_id(event: &Event) -> Option<&str> {
    let text = event.metadata().get(Metadata::CAUSATION_ID)?.as_str()?;
    (1..=TEXT_BYTES_MAX).contains(&text.len()).then_some(text)
}
