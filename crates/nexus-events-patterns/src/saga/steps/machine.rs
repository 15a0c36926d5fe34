//! The style of steps: a saga drives itself with events of its own, one for each stage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use nexus_events_dispatch::{BoxFuture, Context, HandlerError};
use nexus_events_model::{Event, EventId, Pattern, Text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::context::SagaContext;
use super::super::instance::{Instance, SagaStatus};
use super::super::key::SagaKey;
use super::super::machine::{Input, Machine, Reaction, Told, Turn, Why};
use super::super::states::{Upcast, read_state};
use super::advance::Advance;
use super::context::About;
use super::join::join;
use super::ledger::Ledger;
use super::plan::Plan;
use super::run::{Due, Ran, Round};
use super::state::StepStatus;
use super::token::{Running, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_RESTARTS_MAX;

/// Makes the input of a saga out of an event.
pub(super) type Read<S> = Arc<dyn Fn(&Event) -> Result<S, HandlerError> + Send + Sync>;

/// Events that start a saga.
pub(super) struct Start<S> {
    pub(super) pattern: Pattern,
    pub(super) key: SagaKey,
    pub(super) read: Read<S>,
}

/// A saga of steps.
pub(super) struct Steps<S> {
    pub(super) name: Text,
    pub(super) version: u32,
    pub(super) upcasts: BTreeMap<u32, Upcast>,
    pub(super) starts: Vec<Start<S>>,
    pub(super) plan: Plan<S>,
    pub(super) running: Running,
    /// Names this program.
    pub(super) run: u64,
}

/// What the steps of a turn have come to.
enum Rounded {
    Ran(Instance, Vec<Ran>),
    Overtaken,
    Parked(Instance),
}

impl<S> Steps<S>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn advance(&self) -> Advance<'_, S> {
        Advance { plan: &self.plan, run: self.run }
    }

    fn start(
        &self,
        before: Option<&Instance>,
        input: &Input,
        context: &Context,
    ) -> Result<Turn, HandlerError> {
        let event = &input.event;
        if before.is_some() {
            return Ok(Turn::Nothing(Why::Duplicate));
        }
        let start = self.starts.iter().find(|start| start.pattern.matches(event.event_type()));
        let Some(start) = start else { return Ok(Turn::NotFound) };
        let data = (start.read)(event)?;
        let state =
            serde_json::to_string(&data).and_then(RawValue::from_string).map_err(|error| {
                let message =
                    format!("the input of the saga `{}` {} is no JSON", self.name, input.key);
                HandlerError::permanent(
                    Error::new(ErrorKind::InvalidState, message).caused_by(error),
                )
            })?;
        let now = context.bus().now();
        let instance =
            Instance::new(&self.name, input.key.clone(), event, self.version, state, now);
        let mut saga = SagaContext::new(context.bus(), event, instance, true);
        saga.instance.note(now, event.event_type().as_str(), Some(event.id()));
        self.advance().forward(&mut saga).map_err(HandlerError::permanent)?;
        reaction(saga)
    }

    async fn step(
        &self,
        before: Option<&Instance>,
        of: (&EventId, u64),
        input: &Input,
        context: &Context,
    ) -> Result<Turn, HandlerError> {
        let Some(before) = before.filter(|before| before.id == *of.0) else {
            return Ok(Turn::Nothing(Why::Outdated));
        };
        let kept = input.ran.lock().clone();
        let (row, ran) = match kept {
            // They have run, and the commit of that has met another change.
            Some(ran) => (before.clone(), ran),
            None if !before.is_driven_by(of.1) => return Ok(Turn::Nothing(Why::Outdated)),
            None => match self.round(before, input, context).await? {
                Rounded::Ran(row, ran) => {
                    *input.ran.lock() = Some(ran.clone());
                    (row, ran)
                }
                Rounded::Overtaken => return Ok(Turn::Nothing(Why::Outdated)),
                Rounded::Parked(row) => {
                    let mut saga = SagaContext::new(context.bus(), &input.event, row, false);
                    self.advance().park_restarted(&mut saga);
                    return reaction(saga);
                }
            },
        };
        let is_driving = row.is_driven_by(of.1);
        let mut saga = SagaContext::new(context.bus(), &input.event, row, false);
        for ran in &ran {
            ran.apply(&mut saga.instance);
            saga.events.extend_from_slice(ran.events());
        }
        self.advance().note(&mut saga, &ran);
        if is_driving {
            self.advance().on(&mut saga).map_err(HandlerError::permanent)?;
        }
        reaction(saga)
    }

    /// Runs what is due.
    async fn round(
        &self,
        before: &Instance,
        input: &Input,
        context: &Context,
    ) -> Result<Rounded, HandlerError> {
        let is_back = before.progress.back.is_some();
        let wanted = if is_back { StepStatus::Compensating } else { StepStatus::Started };
        let is_open = |saga: &Instance| saga.steps.iter().any(|state| state.status == wanted);
        if !is_open(before) {
            return Ok(Rounded::Ran(before.clone(), Vec::new()));
        }
        let data: S = read_state(&self.upcasts, before, self.version)?;
        let ledger = Ledger::new(context.bus(), before.clone());
        let is_again =
            before.progress.run != self.run || context.attempt() > 1 || context.is_replay();
        if is_again && !self.count_restart(&ledger, wanted).await? {
            return Ok(Rounded::Overtaken);
        }
        let told = self.running.begin(&before.id);
        // It may have been cancelled before it could be told.
        if !ledger.is_up_to_date().await? {
            return Ok(Rounded::Overtaken);
        }
        let row = ledger.row().await;
        let is_due = |state: &&super::StepState| state.status == wanted;
        if row.steps.iter().filter(is_due).any(|state| state.restarts > SAGA_RESTARTS_MAX) {
            return Ok(Rounded::Parked(ledger.into_row()));
        }
        let due: Vec<_> = row.steps.iter().filter(is_due).cloned().collect();
        let saga = Arc::new(row);
        let token = if is_back { Token::new() } else { told.token.clone() };
        let about = About { bus: context.bus(), cause: &input.event, saga: &saga, token: &token };
        let left = AtomicUsize::new(due.len());
        let round = Round { about, ledger: &ledger, data: &Arc::new(data), left };
        let mut futures: Vec<BoxFuture<'_, _>> = Vec::with_capacity(due.len());
        for state in due {
            let found = self.plan.step(&state.name, &saga).map_err(HandlerError::permanent)?;
            let stops_others = !is_back && !self.plan.is_behind_pivot(found.0);
            futures.push(Box::pin(round.run(Due { step: found.1, state, stops_others })));
        }
        let results = join(futures).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Rounded::Ran(ledger.into_row(), results.into_iter().flatten().collect()))
    }

    /// What runs now may have run before; `false` when something else drives the saga by now.
    async fn count_restart(
        &self,
        ledger: &Ledger<'_>,
        wanted: StepStatus,
    ) -> Result<bool, HandlerError> {
        let count = |saga: &mut Instance| {
            saga.progress.run = self.run;
            // One that waits for its next attempt does not run.
            let steps = saga.steps.iter_mut();
            for state in steps.filter(|state| state.status == wanted && state.due.is_none()) {
                state.restarts += 1;
                state.attempts += 1;
                state.unsure |= wanted == StepStatus::Started;
            }
        };
        ledger.change(count, Vec::new()).await
    }

    fn check(&self, input: &str) -> Result<()> {
        serde_json::from_str::<S>(input).map(drop).map_err(|error| {
            let message = format!("this is no input of the saga `{}`: {error}", self.name);
            Error::new(ErrorKind::InvalidState, message)
        })
    }
}

fn reaction(mut saga: SagaContext<'_>) -> Result<Turn, HandlerError> {
    saga.failure().map_err(HandlerError::permanent)?;
    Ok(Turn::React(Box::new(Reaction::from(saga))))
}

impl<S> Machine for Steps<S>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn turn<'a>(
        &'a self,
        before: Option<&'a Instance>,
        input: &'a Input,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Turn, HandlerError>> {
        match &input.told {
            Told::Event => Box::pin(std::future::ready(self.start(before, input, context))),
            Told::Step { instance, turn } => {
                Box::pin(self.step(before, (instance, *turn), input, context))
            }
            Told::Timeout { .. } => Box::pin(std::future::ready(Ok(Turn::Nothing(Why::Outdated)))),
        }
    }

    fn started(&self, input: &Value, saga: &mut SagaContext<'_>) -> Result<()> {
        let input = input.to_string();
        self.check(&input)?;
        saga.instance.state = RawValue::from_string(input).map_err(|error| {
            let message = format!("the input of the saga `{}` is no JSON", self.name);
            Error::new(ErrorKind::InvalidState, message).caused_by(error)
        })?;
        saga.instance.version = self.version;
        self.advance().forward(saga)
    }

    fn cancelled(
        &self,
        instance: &Instance,
        saga: &mut SagaContext<'_>,
        reason: &str,
    ) -> Result<()> {
        if instance.progress.back.is_some() {
            // What is taken back already is taken back to the end.
            return Ok(());
        }
        if self.plan.has_begun_pivot(instance)? {
            let message = format!(
                "the saga `{}` {} is behind its pivot and can only go forward; resume it if it is parked",
                instance.saga, instance.key
            );
            return Err(Error::new(ErrorKind::BehindPivot, message));
        }
        self.advance().cancel(saga, reason)
    }

    fn told_cancelled(&self, instance: &Instance) {
        self.running.tell(&instance.id);
    }

    fn resumed(&self, instance: &Instance, saga: &mut SagaContext<'_>) -> Result<()> {
        match instance.status {
            SagaStatus::Parked { .. } => self.advance().resume(saga),
            _ => self.advance().resume_back(saga),
        }
    }
}
