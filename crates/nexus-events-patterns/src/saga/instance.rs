//! A saga as the store has it.

use std::collections::VecDeque;

use nexus_events_dispatch::store::{StateEntry, Versioned};
use nexus_events_model::{CorrelationId, Event, EventId, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::steps::{Progress, StepState};
use super::timer::SagaTimer;
use crate::error::{Error, ErrorKind, Result};
use crate::iso;
use crate::limits::{SAGA_HANDLED_MAX, SAGA_HISTORY_MAX};

/// Where the sagas that have not ended are: name, a zero byte, key.
pub(crate) const ACTIVE: &str = "nexus.sagas";
/// Where those that have ended are: name, a zero byte, when, id.
pub(crate) const ENDED: &str = "nexus.sagas-ended";

/// What has become of a saga.
///
/// ```
/// use nexus_events_patterns::saga::SagaStatus;
/// assert!(SagaStatus::Completed.has_ended() && !SagaStatus::Running.has_ended());
/// assert_eq!(SagaStatus::Running.as_str(), "running");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SagaStatus {
    /// It goes forward.
    Running,
    /// It takes back what its steps have done.
    Compensating {
        /// Why.
        reason: Text,
    },
    /// It waits for somebody to [resume](super::SagaHandle::resume) it: a step behind the pivot
    /// has failed for good, or the program ended too often while it ran.
    Parked {
        /// Why.
        reason: Text,
    },
    /// It has ended well.
    Completed,
    /// It has ended, and everything its steps had done is taken back.
    Compensated {
        /// Why.
        reason: Text,
    },
    /// It has ended, and some of its compensations have failed.
    CompensatedWithFailures {
        /// Why it was compensated.
        reason: Text,
        /// The steps whose compensation has failed, in the order in which they were tried.
        steps: Vec<Text>,
    },
    /// It stands still: a compensation has failed and no further one was tried, or a handler has
    /// halted it.
    Halted {
        /// Why.
        reason: Text,
    },
    /// It was cancelled, and what its steps had done is taken back.
    Cancelled {
        /// Why.
        reason: Text,
    },
}

impl SagaStatus {
    /// A stable word for logs and machines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating { .. } => "compensating",
            Self::Parked { .. } => "parked",
            Self::Completed => "completed",
            Self::Compensated { .. } => "compensated",
            Self::CompensatedWithFailures { .. } => "compensated_with_failures",
            Self::Halted { .. } => "halted",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Why, where there is a reason.
    #[must_use]
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Running | Self::Completed => None,
            Self::Compensating { reason }
            | Self::Parked { reason }
            | Self::Compensated { reason }
            | Self::CompensatedWithFailures { reason, .. }
            | Self::Halted { reason }
            | Self::Cancelled { reason } => Some(reason),
        }
    }

    /// Whether nothing more happens by itself, and its key may start another.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !matches!(self, Self::Running | Self::Compensating { .. } | Self::Parked { .. })
    }
}

/// What a saga has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SagaEntry {
    /// When.
    #[serde(with = "iso")]
    pub at: OffsetDateTime,
    /// What, in a few words: `order.created`, `timeout late`, `step pay completed`.
    pub what: Text,
    /// The event that brought it about.
    pub event_id: Option<EventId>,
}

/// One saga: its state and what is known of it.
///
/// It serialises as JSON, as the store has it:
///
/// ```json
/// {"saga": "order", "key": "42", "id": "01992f…", "correlation_id": "01992f…", "version": 1, "status": {"name": "running"},
///  "state": {"paid": false}, "timers": [], "steps": [], "history": [], "handled": [],
///  "started": "2026-01-02T03:04:05+00:00", "changed": "2026-01-02T03:04:05+00:00"}
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// The name of its definition.
    pub saga: Text,
    /// What it is found by.
    pub key: Text,
    /// The id of the event that started it; the key may be used again, this is not.
    pub id: EventId,
    /// The conversation it belongs to: what it publishes is part of it.
    pub correlation_id: CorrelationId,
    /// The version of its state.
    pub version: u32,
    /// What has become of it.
    pub status: SagaStatus,
    pub(crate) state: Box<RawValue>,
    /// Its timeouts that have not come.
    #[serde(default)]
    pub timers: Vec<SagaTimer>,
    /// Its steps that have begun, in that order.
    #[serde(default)]
    pub steps: Vec<StepState>,
    #[serde(default)]
    pub(crate) progress: Progress,
    /// What it has done, the last 64.
    #[serde(default)]
    pub history: VecDeque<SagaEntry>,
    /// The last 64 events that it has handled.
    #[serde(default)]
    pub(crate) handled: VecDeque<EventId>,
    /// When it was started.
    #[serde(with = "iso")]
    pub started: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "iso")]
    pub changed: OffsetDateTime,
    /// The version of what is stored, 0 before it is.
    #[serde(skip)]
    pub(crate) stored: u64,
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        (&self.saga, &self.key, &self.id) == (&other.saga, &other.key, &other.id)
            && (self.version, &self.status) == (other.version, &other.status)
            && self.state.get() == other.state.get()
            && (&self.timers, &self.steps, &self.history)
                == (&other.timers, &other.steps, &other.history)
            && (self.started, self.changed) == (other.started, other.changed)
    }
}

impl Instance {
    /// One that begins now.
    pub(crate) fn new(
        saga: &Text,
        key: Text,
        event: &Event,
        version: u32,
        state: Box<RawValue>,
        now: OffsetDateTime,
    ) -> Self {
        let correlation_id = event.correlation_id().cloned();
        Self {
            saga: saga.clone(),
            key,
            id: event.id().clone(),
            correlation_id: correlation_id.unwrap_or_else(|| event.id().into()),
            version,
            status: SagaStatus::Running,
            state,
            timers: Vec::new(),
            steps: Vec::new(),
            progress: Progress::default(),
            history: VecDeque::new(),
            handled: VecDeque::new(),
            started: now,
            changed: now,
            stored: 0,
        }
    }

    /// Its state as JSON, in the form of [`version`](Self::version).
    #[must_use]
    pub fn state(&self) -> Value {
        serde_json::from_str(self.state.get()).unwrap_or_default()
    }

    /// Where it is in a list of sagas, for [`SagaFilter::after_place`](super::SagaFilter).
    #[must_use]
    pub fn place(&self) -> String {
        self.own_row().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn own_row(&self) -> Vec<u8> {
        if self.status.has_ended() { self.ended_row() } else { self.row() }
    }

    /// Whether an event of this turn of its steps is meant.
    pub(crate) fn is_driven_by(&self, turn: u64) -> bool {
        let goes_on = matches!(self.status, SagaStatus::Running | SagaStatus::Compensating { .. });
        goes_on && self.progress.turn == turn
    }

    /// Whether it is the same saga, driven by the same event.
    pub(crate) fn is_at_turn_of(&self, other: &Self) -> bool {
        self.id == other.id && self.is_driven_by(other.progress.turn)
    }

    /// What is known of a step now.
    pub(crate) fn replace(&mut self, state: &StepState) {
        if let Some(known) = self.steps.iter_mut().find(|known| known.name == state.name) {
            known.clone_from(state);
        }
    }

    /// Whether it has handled this event.
    pub(crate) fn has_handled(&self, id: &EventId) -> bool {
        self.handled.contains(id)
    }

    /// It has handled this event.
    pub(crate) fn handled(&mut self, id: &EventId) {
        self.handled.push_back(id.clone());
        if self.handled.len() > SAGA_HANDLED_MAX {
            self.handled.pop_front();
        }
    }

    /// It has done this.
    pub(crate) fn note(
        &mut self,
        at: OffsetDateTime,
        what: impl Into<Text>,
        event: Option<&EventId>,
    ) {
        self.changed = at;
        self.history.push_back(SagaEntry { at, what: what.into(), event_id: event.cloned() });
        if self.history.len() > SAGA_HISTORY_MAX {
            self.history.pop_front();
        }
    }

    /// Where it is while it has not ended.
    pub(crate) fn row(&self) -> Vec<u8> {
        row(&self.saga, &self.key)
    }

    /// Where it is once it has ended, in the order of time.
    pub(crate) fn ended_row(&self) -> Vec<u8> {
        let mut row = prefix(&self.saga);
        row.extend(micros(self.changed));
        row.extend(self.id.to_string().into_bytes());
        row
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            let message = format!("the saga `{}` {} cannot be written", self.saga, self.key);
            Error::new(ErrorKind::Corrupt, message).caused_by(error)
        })
    }

    /// Reads what is stored for this saga and key.
    pub(crate) fn read(saga: &str, key: &str, stored: &Versioned) -> Result<Self> {
        let read: serde_json::Result<Self> = serde_json::from_slice(&stored.value);
        let read = read.map(|instance| Self { stored: stored.version, ..instance });
        read.map_err(|error| {
            let message = format!("what is stored of the saga `{saga}` {key} is no saga: {error}");
            Error::new(ErrorKind::Corrupt, message).caused_by(error)
        })
    }

    pub(crate) fn read_entry(saga: &str, entry: &StateEntry) -> Result<Self> {
        let key = entry.key.get(saga.len() + 1..).unwrap_or_default();
        Self::read(saga, &String::from_utf8_lossy(key), &entry.state)
    }
}

/// What the rows of all sagas of this name begin with.
pub(crate) fn prefix(saga: &str) -> Vec<u8> {
    let mut prefix = saga.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

pub(crate) fn row(saga: &str, key: &str) -> Vec<u8> {
    let mut row = prefix(saga);
    row.extend(key.as_bytes());
    row
}

/// Such that times are in the order of their bytes.
pub(crate) fn micros(time: OffsetDateTime) -> [u8; 8] {
    let micros = time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond());
    (micros.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}
