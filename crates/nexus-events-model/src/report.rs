//! What became of an event: one outcome per handler.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::ids::{EventId, SubscriptionId};
use crate::text::Text;
use crate::timestamp::IsoFormat;

/// How a handler's turn ended.
///
/// ```
/// use nexus_events_model::OutcomeStatus;
/// assert_eq!(OutcomeStatus::TimedOut.as_str(), "timed_out");
/// assert!(OutcomeStatus::Panicked.is_failure());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutcomeStatus {
    /// It ran and succeeded.
    Success,
    /// It ran and returned an error.
    Error,
    /// It ran and panicked.
    Panicked,
    /// It did not finish in time.
    TimedOut,
    /// It did not run, because a handler of a higher wave cancelled the event.
    Cancelled,
    /// It did not run: its filter refused the event, its queue was full, or it was unsubscribed.
    Skipped,
    /// It is going to run after the report was made.
    Scheduled,
}

impl OutcomeStatus {
    /// A stable word for JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Scheduled => "scheduled",
        }
    }

    /// Whether the handler ran and did not do its work.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Error | Self::Panicked | Self::TimedOut)
    }

    /// Whether the handler's code was called.
    #[must_use]
    pub fn has_run(self) -> bool {
        matches!(self, Self::Success | Self::Error | Self::Panicked | Self::TimedOut)
    }
}

/// How one handler fared with one event.
///
/// ```
/// use nexus_events_model::{HandlerOutcome, OutcomeStatus, SubscriptionId};
/// use time::macros::datetime;
/// let outcome = HandlerOutcome::new("audit", SubscriptionId::new(1), OutcomeStatus::Error, datetime!(2026-01-02 03:04:05 UTC))
///     .error("disk full");
/// assert_eq!(outcome.error.as_deref(), Some("disk full"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HandlerOutcome {
    /// The handler's name, unique on its bus.
    pub handler: Text,
    /// Its registration.
    pub subscription: SubscriptionId,
    /// How its turn ended.
    pub status: OutcomeStatus,
    /// What it returned; `null` when it returned nothing.
    pub value: Value,
    /// Why it failed or did not run.
    pub error: Option<Text>,
    /// When its turn began.
    pub started: OffsetDateTime,
    /// How long it ran.
    pub duration: Duration,
    /// Which attempt this was, from 1.
    pub attempt: u32,
}

impl HandlerOutcome {
    /// An outcome without value, error and duration, of the first attempt.
    pub fn new(
        handler: impl Into<Text>,
        subscription: SubscriptionId,
        status: OutcomeStatus,
        started: OffsetDateTime,
    ) -> Self {
        Self {
            handler: handler.into(),
            subscription,
            status,
            value: Value::Null,
            error: None,
            started,
            duration: Duration::ZERO,
            attempt: 1,
        }
    }

    /// With what the handler returned.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.value = value.into();
        self
    }

    /// With why it failed or did not run.
    #[must_use]
    pub fn error(mut self, error: impl Into<Text>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// With how long it ran.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// As one element of `results` in a report's JSON: `handler_id`, `event_id`, `status`,
    /// `result` or `error`, `timestamp`.
    #[must_use]
    pub fn to_json(&self, event_id: &EventId) -> Value {
        let (key, detail) = match &self.error {
            Some(error) => ("error", json!(error)),
            None => ("result", self.value.clone()),
        };
        json!({
            "handler_id": self.handler,
            "event_id": event_id,
            "status": self.status.as_str(),
            key: detail,
            "timestamp": IsoFormat(self.started).to_string(),
        })
    }
}

/// What became of one published event.
///
/// ```
/// use nexus_events_model::{EventId, PublishReport};
/// let report = PublishReport::new(EventId::new("evt-1")?, Vec::new());
/// assert_eq!(
///     serde_json::to_string(&report).unwrap(),
///     r#"{"event_id":"evt-1","handlers_notified":0,"results":[]}"#,
/// );
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PublishReport {
    /// The event.
    pub event_id: EventId,
    /// One outcome per matching handler, in the order of their turns.
    pub outcomes: Vec<HandlerOutcome>,
    /// The number of its offset in the log, when the bus has a store.
    pub offset: Option<u64>,
    /// Whether it had been published before; nothing was published again.
    pub duplicate: bool,
}

impl PublishReport {
    /// A report of these outcomes.
    #[must_use]
    pub fn new(event_id: EventId, outcomes: Vec<HandlerOutcome>) -> Self {
        Self { event_id, outcomes, offset: None, duplicate: false }
    }

    /// How many handlers were given the event: those that ran or are going to.
    ///
    /// ```
    /// # use nexus_events_model::{EventId, PublishReport};
    /// assert_eq!(PublishReport::new(EventId::new("1")?, Vec::new()).handlers_notified(), 0);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn handlers_notified(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| {
                outcome.status.has_run() || outcome.status == OutcomeStatus::Scheduled
            })
            .count()
    }

    /// The outcome of the handler with this name.
    ///
    /// ```
    /// # use nexus_events_model::{EventId, PublishReport};
    /// assert!(PublishReport::new(EventId::new("1")?, Vec::new()).outcome("audit").is_none());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn outcome(&self, handler: &str) -> Option<&HandlerOutcome> {
        self.outcomes.iter().find(|outcome| outcome.handler == handler)
    }

    /// Whether no handler failed.
    ///
    /// ```
    /// # use nexus_events_model::{EventId, PublishReport};
    /// assert!(PublishReport::new(EventId::new("1")?, Vec::new()).is_success());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.outcomes.iter().any(|outcome| outcome.status.is_failure())
    }
}

impl Serialize for PublishReport {
    /// `event_id`, `handlers_notified`, `results`; `offset` where there is one, `duplicate` where it
    /// is one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results: Vec<Value> =
            self.outcomes.iter().map(|outcome| outcome.to_json(&self.event_id)).collect();
        let more = usize::from(self.offset.is_some()) + usize::from(self.duplicate);
        let mut fields = serializer.serialize_struct("PublishReport", 3 + more)?;
        fields.serialize_field("event_id", &self.event_id)?;
        if let Some(offset) = self.offset {
            fields.serialize_field("offset", &offset)?;
        }
        if self.duplicate {
            fields.serialize_field("duplicate", &true)?;
        }
        fields.serialize_field("handlers_notified", &self.handlers_notified())?;
        fields.serialize_field("results", &results)?;
        fields.end()
    }
}
