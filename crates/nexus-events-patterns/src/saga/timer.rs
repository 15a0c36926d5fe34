//! Timeouts of a saga: data in its state, and events that are scheduled.

use nexus_events_dispatch::{Bus, Schedule, Scheduled};
use nexus_events_model::{Event, EventBuilder, EventId, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::error::Result;
use crate::iso;

/// A timeout that a saga has asked for and that has not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SagaTimer {
    /// Names it, for [`SagaContext::cancel_timeout`](super::SagaContext::cancel_timeout): the id of
    /// the event that is scheduled.
    pub id: EventId,
    /// Which handler of the saga it is for.
    pub name: Text,
    /// When it comes.
    #[serde(with = "iso")]
    pub due: OffsetDateTime,
    /// What the handler is given, or null.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
}

/// What an event of a saga's own type is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) saga: Text,
    pub(crate) key: Text,
    pub(crate) instance: EventId,
}

/// The types of events that a saga publishes for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Timeout,
    Retry,
    Step,
}

impl Own {
    const ALL: [Self; 3] = [Self::Timeout, Self::Retry, Self::Step];

    fn segment(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Retry => "retry",
            Self::Step => "step",
        }
    }

    /// `saga.timeout.order`
    pub(crate) fn event_type(self, saga: &str) -> String {
        format!("saga.{}.{saga}", self.segment())
    }

    pub(crate) fn of(saga: &str, event: &Event) -> Option<Self> {
        let rest = event.event_type().as_str().strip_prefix("saga.")?;
        let segment = rest.strip_suffix(saga)?.strip_suffix('.')?;
        Self::ALL.into_iter().find(|own| own.segment() == segment)
    }
}

impl SagaTimer {
    /// The event that comes when it is due.
    pub(crate) fn event(name: &str, address: &Address, payload: &Value) -> EventBuilder {
        let mut body = json!(address);
        body["name"] = json!(name);
        body["payload"] = payload.clone();
        Event::builder(Own::Timeout.event_type(&address.saga))
            .source(address.saga.clone())
            .payload(body)
    }

    /// As it is scheduled, good for taking it back.
    pub(crate) fn scheduled(&self, bus: &Bus) -> Result<Scheduled> {
        let event = bus.stamp(Event::builder("saga.timeout").id(self.id.clone()))?;
        Ok(Scheduled::of(event, Schedule::at(self.due), bus.now())?)
    }
}
