//! Running the steps that are due, or their compensations: attempt after attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::HandlerError;
use nexus_events_model::{Event, Text};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::super::instance::Instance;
use super::attempt::{Ended, Failure, How, attempt};
use super::context::About;
use super::ledger::Ledger;
use super::plan::{Policy, Step};
use super::state::{StepState, StepStatus};
use crate::limits::SAGA_SHORT_WAIT;

/// What has become of a step, for the commit.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(super) step: Text,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Well {
        log: Value,
        events: Vec<Event>,
    },
    /// No other attempt follows.
    Badly(Failure),
    /// The next attempt comes later.
    Later {
        due: OffsetDateTime,
        failure: Option<Failure>,
    },
    /// Something else drives the saga before an attempt was made.
    Overtaken,
}

/// A step that is run in this turn.
pub(super) struct Due<'a, S> {
    pub(super) step: &'a Step<S>,
    pub(super) state: StepState,
    /// Whether others are to make no further attempts when it fails.
    pub(super) stops_others: bool,
}

/// What all of them share.
pub(super) struct Round<'a, S> {
    pub(super) about: About<'a>,
    pub(super) ledger: &'a Ledger<'a>,
    pub(super) data: &'a Arc<S>,
    /// How many of them still run.
    pub(super) left: AtomicUsize,
}

impl<S: Send + Sync + 'static> Round<'_, S> {
    /// Runs a step until it is done, or waits for long. What is left for the commit, unless it is
    /// written already.
    pub(super) async fn run(&self, due: Due<'_, S>) -> Result<Option<Ran>, HandlerError> {
        let stops_others = due.stops_others;
        let name = due.step.name.clone();
        let outcome = self.outcome(due).await?;
        if stops_others && matches!(outcome, Outcome::Badly(_)) {
            self.about.token.tell();
        }
        let ran = Ran { step: name, outcome };
        let is_last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if !is_last && let Outcome::Well { events, .. } = &ran.outcome {
            // So that a crash while others run does not run it again.
            let written = self.ledger.change(|saga| ran.apply(saga), events.clone()).await?;
            return Ok((!written).then_some(ran));
        }
        Ok(Some(ran))
    }

    async fn outcome(&self, due: Due<'_, S>) -> Result<Outcome, HandlerError> {
        let Due { step, mut state, .. } = due;
        let policy = match state.status {
            StepStatus::Compensating => step.back_policy,
            _ => step.policy,
        };
        // The first attempt is counted with the intent.
        let (mut wait, mut failure) = (self.until_due(&state), None);
        loop {
            if let Some(delay) = wait {
                if delay > SAGA_SHORT_WAIT {
                    let due = self.about.bus.now() + delay;
                    return Ok(Outcome::Later { due: state.due.unwrap_or(due), failure });
                }
                if self.is_stopped_while(delay).await {
                    return Ok(failure.map_or(Outcome::Overtaken, Outcome::Badly));
                }
                if !self.count(&mut state, failure.as_ref()).await? {
                    return Ok(failure.map_or(Outcome::Overtaken, Outcome::Badly));
                }
            }
            let failed = match attempt(step, &state, self.data, &self.about).await {
                Ended::Well { log, events } => return Ok(Outcome::Well { log, events }),
                Ended::Badly(failed) => failed,
            };
            wait = self.delay(&failed, &policy, &state);
            failed.mark(&mut state);
            if wait.is_none() {
                return Ok(Outcome::Badly(failed));
            }
            failure = Some(failed);
        }
    }

    /// How long until the next attempt of a step that waits, unless it does not.
    fn until_due(&self, state: &StepState) -> Option<Duration> {
        let due = state.due?;
        Some((due - self.about.bus.now()).try_into().unwrap_or_default())
    }

    fn delay(&self, failed: &Failure, policy: &Policy, state: &StepState) -> Option<Duration> {
        failed.delay(policy, state).filter(|_| !self.about.token.is_told())
    }

    async fn is_stopped_while(&self, delay: Duration) -> bool {
        if delay.is_zero() {
            return self.about.token.is_told();
        }
        timeout(delay, self.about.token.told()).await.is_ok()
    }

    /// Counts an attempt before it is made; `false` when none is to be made.
    async fn count(
        &self,
        state: &mut StepState,
        failure: Option<&Failure>,
    ) -> Result<bool, HandlerError> {
        state.attempts += 1;
        state.due = None;
        if let Some(failure) = failure {
            state.error = Some(failure.error.clone());
        }
        let counted = |saga: &mut Instance| saga.replace(state);
        self.ledger.change(counted, Vec::new()).await
    }
}

impl Failure {
    /// What is known of a step after it.
    fn mark(&self, state: &mut StepState) {
        if state.status == StepStatus::Started {
            state.unsure |= self.is_unsure();
        }
        state.panicked |= self.how == How::Panicked;
        state.error = Some(self.error.clone());
    }
}

impl Ran {
    /// The saga after it.
    pub(super) fn apply(&self, saga: &mut Instance) {
        let Some(state) = saga.steps.iter_mut().find(|state| state.name == self.step) else {
            return;
        };
        if !state.is_open() {
            return;
        }
        let is_back = state.status == StepStatus::Compensating;
        match &self.outcome {
            Outcome::Well { .. } if is_back => {
                (state.status, state.error, state.due) = (StepStatus::Compensated, None, None);
            }
            Outcome::Well { log, .. } => {
                (state.status, state.error, state.due) = (StepStatus::Completed, None, None);
                (state.log, state.unsure) = (log.clone(), false);
            }
            Outcome::Badly(failure) => {
                failure.mark(state);
                state.due = None;
                match is_back {
                    true => state.status = StepStatus::CompensationFailed,
                    false => state.ends(!state.unsure),
                }
            }
            Outcome::Later { due, failure } => {
                if let Some(failure) = failure {
                    failure.mark(state);
                }
                state.due = Some(*due);
            }
            Outcome::Overtaken => {}
        }
    }

    pub(super) fn events(&self) -> &[Event] {
        match &self.outcome {
            Outcome::Well { events, .. } => events,
            _ => &[],
        }
    }
}
