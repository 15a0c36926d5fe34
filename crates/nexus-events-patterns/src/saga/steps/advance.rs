//! What comes next in a saga of steps: pure, but for the time and the ids of events.

use nexus_events_dispatch::{Schedule, Scheduled};
use nexus_events_model::{Event, Text};
use serde_json::{Value, json};

use super::super::context::SagaContext;
use super::super::instance::SagaStatus;
use super::super::timer::{Own, SagaTimer};
use super::ending;
use super::plan::{OnFailure, Plan};
use super::run::{Outcome, Ran};
use super::state::{StepState, StepStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_RESTARTS_MAX;

pub(super) struct Advance<'a, S> {
    pub(super) plan: &'a Plan<S>,
    /// Names this program.
    pub(super) run: u64,
}

impl<S> Advance<'_, S> {
    /// What follows from where the steps are.
    pub(super) fn on(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        if saga.instance.progress.back.is_some() { self.back(saga) } else { self.ahead(saga) }
    }

    fn ahead(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        if let Some(failed) = failed(saga, &[StepStatus::Failed, StepStatus::Unknown]) {
            return self.failed(saga, &failed);
        }
        if self.waits(saga, StepStatus::Started)? {
            return Ok(());
        }
        self.forward(saga)
    }

    /// A step has failed for good.
    fn failed(&self, saga: &mut SagaContext<'_>, failed: &StepState) -> Result<()> {
        let (stage, _) = self.plan.step(&failed.name, &saga.instance)?;
        let is_pivot = self.plan.stages.get(stage).is_some_and(|stage| stage.is_pivot);
        let is_sure = failed.status == StepStatus::Failed;
        if self.plan.is_behind_pivot(stage) || (is_pivot && !is_sure) {
            // Others of its stage may wait for their next attempt, and have it after a resume.
            self.park(saga, said(failed));
            return Ok(());
        }
        let reason = said(failed);
        saga.instance.progress.back = Some(reason.clone());
        saga.instance.status = SagaStatus::Compensating { reason };
        self.back(saga)
    }

    /// The next stage, or the end.
    pub(super) fn forward(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        let next = self.plan.stage_of(&saga.instance)?.map_or(0, |stage| stage + 1);
        let begun = self.plan.begun(next, &saga.instance);
        if begun.is_empty() {
            ending::completed(saga);
            return Ok(());
        }
        saga.instance.steps.extend(begun);
        self.drive(saga);
        Ok(())
    }

    fn back(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        saga.instance.steps.iter_mut().for_each(StepState::settle);
        if self.waits(saga, StepStatus::Compensating)? {
            return Ok(());
        }
        if self.plan.on_failure == OnFailure::Halt
            && let Some(failed) = failed(saga, &[StepStatus::CompensationFailed])
        {
            ending::halted(saga, said(&failed));
            return Ok(());
        }
        let next = self.plan.next_back(&saga.instance)?;
        if next.is_empty() {
            ending::compensated(saga);
            return Ok(());
        }
        for at in next {
            if let Some(state) = saga.instance.steps.get_mut(at) {
                state.begins(StepStatus::Compensating);
            }
        }
        self.drive(saga);
        Ok(())
    }

    /// Comes back when the first of those that wait is due; `false` when none waits.
    fn waits(&self, saga: &mut SagaContext<'_>, status: StepStatus) -> Result<bool> {
        let waiting = saga.instance.steps.iter().filter(|state| state.status == status);
        let Some(due) = waiting.filter_map(|state| state.due).min() else { return Ok(false) };
        let event = self.next_turn(saga)?;
        let id = event.id().clone();
        let scheduled = Scheduled::of(event, Schedule::at(due), saga.now())?;
        saga.instance.progress.wake =
            Some(SagaTimer { id, name: "step".into(), due: scheduled.due, payload: Value::Null });
        saga.schedule.push(scheduled);
        Ok(true)
    }

    /// Goes on at once.
    fn drive(&self, saga: &mut SagaContext<'_>) {
        match self.next_turn(saga) {
            Ok(event) => saga.events.push(event),
            Err(error) => saga.fails(error),
        }
    }

    /// The event that drives the saga from now on, and no other.
    fn next_turn(&self, saga: &mut SagaContext<'_>) -> Result<Event> {
        saga.take_back_wake();
        let address = saga.address();
        let progress = &mut saga.instance.progress;
        progress.turn += 1;
        progress.run = self.run;
        let mut payload = json!(address);
        payload["turn"] = json!(progress.turn);
        let event = Event::builder(Own::Step.event_type(&address.saga));
        saga.own(event.source(address.saga).payload(payload))
    }

    pub(super) fn cancel(&self, saga: &mut SagaContext<'_>, reason: &str) -> Result<()> {
        let reason = Text::from(reason);
        saga.instance.status = SagaStatus::Compensating { reason: reason.clone() };
        saga.instance.progress.back = Some(reason);
        saga.instance.progress.cancelled = true;
        self.drive(saga);
        Ok(())
    }

    /// The program has ended too often while a step ran.
    pub(super) fn park_restarted(&self, saga: &mut SagaContext<'_>) {
        let restarted = saga
            .instance
            .steps
            .iter()
            .find(|state| state.is_open() && state.restarts > SAGA_RESTARTS_MAX);
        let step = restarted.map(|state| state.name.clone()).unwrap_or_default();
        let reason = format!(
            "the program ended {SAGA_RESTARTS_MAX} times while the step `{step}` or its compensation ran; find out why before it is resumed"
        );
        self.park(saga, reason.into());
    }

    fn park(&self, saga: &mut SagaContext<'_>, reason: Text) {
        saga.take_back_wake();
        // What drove it must not drive it any more.
        saga.instance.progress.turn += 1;
        ending::parked(saga, reason);
    }

    /// Goes on where it was parked.
    pub(super) fn resume(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        let reason = saga.instance.progress.back.clone();
        for state in &mut saga.instance.steps {
            match state.status {
                StepStatus::Compensating => state.begins(StepStatus::Compensating),
                StepStatus::Started | StepStatus::Failed | StepStatus::Unknown
                    if reason.is_none() =>
                {
                    state.begins(StepStatus::Started);
                }
                _ => {}
            }
        }
        saga.instance.status = match reason {
            Some(reason) => SagaStatus::Compensating { reason },
            None => SagaStatus::Running,
        };
        self.drive(saga);
        Ok(())
    }

    /// Tries again to take back what could not be.
    pub(super) fn resume_back(&self, saga: &mut SagaContext<'_>) -> Result<()> {
        let failed = saga.instance.steps.iter_mut();
        let failed = failed.filter(|state| state.status == StepStatus::CompensationFailed);
        let mut has_failed = false;
        for state in failed {
            has_failed = true;
            state.status = if state.unsure { StepStatus::Unknown } else { StepStatus::Completed };
        }
        let reason = saga.instance.progress.back.clone().filter(|_| has_failed);
        let Some(reason) = reason else {
            let instance = &saga.instance;
            let message = format!(
                "the saga `{}` {} has no compensation that failed, so there is nothing to try again",
                instance.saga, instance.id
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        saga.instance.status = SagaStatus::Compensating { reason };
        self.drive(saga);
        Ok(())
    }

    /// What has been done goes into the history, and what has failed on the bus.
    pub(super) fn note(&self, saga: &mut SagaContext<'_>, ran: &[Ran]) {
        let (now, cause) = (saga.now(), saga.cause().id().clone());
        for ran in ran {
            let Some(state) = saga.instance.steps.iter().find(|state| state.name == ran.step)
            else {
                continue;
            };
            let state = state.clone();
            let what = match (&ran.outcome, state.status) {
                (Outcome::Overtaken, _) => continue,
                (Outcome::Later { .. }, _) => format!("step {} waits", state.name),
                (_, status) => format!("step {} {}", state.name, status.as_str()),
            };
            saga.instance.note(now, what, Some(&cause));
            if state.status == StepStatus::CompensationFailed {
                ending::compensation_failed(saga, &state);
            }
        }
    }
}

/// The first step in one of these.
fn failed(saga: &SagaContext<'_>, statuses: &[StepStatus]) -> Option<StepState> {
    saga.instance.steps.iter().find(|state| statuses.contains(&state.status)).cloned()
}

/// Why the saga does not go on.
fn said(state: &StepState) -> Text {
    let what = match state.status {
        StepStatus::CompensationFailed => "the compensation of the step",
        _ => "the step",
    };
    let error = state.error.as_deref().unwrap_or("nobody knows what it has done");
    format!("{what} `{}` has failed: {error}", state.name).into()
}
