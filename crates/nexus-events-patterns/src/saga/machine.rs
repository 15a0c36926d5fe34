//! What a definition makes of an event: a new state and what follows from it. No I/O: the runner
//! reads what is there before and commits what comes of it.

use nexus_events_dispatch::{BoxFuture, Context, HandlerError, Scheduled};
use nexus_events_model::{Event, EventId, Text};
use parking_lot::Mutex;
use serde_json::Value;
use time::OffsetDateTime;

use super::context::SagaContext;
use super::instance::Instance;
use super::steps::{Ran, started_by_events};
use crate::error::Result;

/// What a saga is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    /// An event of the program.
    Event,
    /// A timeout of this instance.
    Timeout { instance: EventId, timer: EventId, name: Text },
    /// The next step of this instance is due.
    Step { instance: EventId, turn: u64 },
}

/// An event, and what it is for the saga that it is for.
#[derive(Debug)]
pub(crate) struct Input {
    /// The event itself; for a timeout the one that was scheduled.
    pub(crate) event: Event,
    pub(crate) key: Text,
    pub(crate) told: Told,
    /// How often it has been looked for the saga in vain.
    pub(crate) redeliveries: u32,
    /// When that was first.
    pub(crate) since: Option<OffsetDateTime>,
    /// What has run for it already, when its commit has met another change.
    pub(crate) ran: Mutex<Option<Vec<Ran>>>,
}

/// What is to be committed.
#[derive(Debug, Default)]
pub(crate) struct Reaction {
    /// The saga from now on.
    pub(crate) instance: Option<Instance>,
    pub(crate) events: Vec<Event>,
    pub(crate) schedule: Vec<Scheduled>,
    pub(crate) unschedule: Vec<Scheduled>,
}

/// What comes of an event.
#[derive(Debug)]
pub(crate) enum Turn {
    React(Box<Reaction>),
    /// It is not for this saga any more: handled before, of a timer taken back.
    Nothing(Why),
    /// There is no saga of its key, and it starts none.
    NotFound,
}

/// Why nothing comes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Duplicate,
    Outdated,
}

/// A definition at work: the two styles implement it.
pub(crate) trait Machine: Send + Sync + 'static {
    /// What it makes of an event; `before` is the saga as it is stored.
    fn turn<'a>(
        &'a self,
        before: Option<&'a Instance>,
        input: &'a Input,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Turn, HandlerError>>;

    /// What starts a saga of this definition with this input.
    fn started(&self, input: &Value, saga: &mut SagaContext<'_>) -> Result<()> {
        Err(started_by_events(&saga.instance.saga, input))
    }

    /// What cancels a saga of this definition.
    fn cancelled(
        &self,
        instance: &Instance,
        saga: &mut SagaContext<'_>,
        reason: &str,
    ) -> Result<()>;

    /// It is cancelled by now.
    fn told_cancelled(&self, _: &Instance) {}

    /// What lets a parked or halted saga of this definition go on.
    fn resumed(&self, instance: &Instance, saga: &mut SagaContext<'_>) -> Result<()>;
}

impl From<SagaContext<'_>> for Reaction {
    fn from(mut saga: SagaContext<'_>) -> Self {
        if saga.instance.status.has_ended() {
            saga.end_timers();
        }
        let SagaContext { instance, events, schedule, unschedule, .. } = saga;
        Self { instance: Some(instance), events, schedule, unschedule }
    }
}
