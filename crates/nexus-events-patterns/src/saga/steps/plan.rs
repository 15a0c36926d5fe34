//! What a definition of steps says, checked: pure, no I/O.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{BoxFuture, HandlerError};
use nexus_events_model::Text;
use serde_json::Value;

use super::super::instance::Instance;
use super::context::{StepContext, StepOutcome};
use super::retry::StepRetry;
use super::state::{StepState, StepStatus};
use crate::error::{Error, ErrorKind, Result};

/// Runs one attempt of a step.
pub(super) type RunStep<S> =
    Arc<dyn Fn(StepContext<S>) -> BoxFuture<'static, Returned> + Send + Sync>;
/// Runs one attempt of a compensation; the text is the step's own idempotency key.
pub(super) type RunBack<S> = Arc<
    dyn Fn(StepContext<S>, Text, StepOutcome<Value>) -> BoxFuture<'static, Returned> + Send + Sync,
>;

/// What a function of the program has returned.
pub(super) enum Returned {
    Well(Value),
    Badly(HandlerError),
    /// It has done what it does, and what it returned is no JSON.
    Unwritable(String),
}

/// How attempts are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) retry: StepRetry,
    pub(super) timeout: Option<Duration>,
    /// Whether there is no other attempt after one that took too long.
    pub(super) timeout_is_final: bool,
}

/// A step of the definition.
pub(super) struct Step<S> {
    pub(super) name: Text,
    pub(super) run: RunStep<S>,
    pub(super) policy: Policy,
    pub(super) back: Option<RunBack<S>>,
    pub(super) back_policy: Policy,
}

/// Steps that run at the same time.
pub(super) struct Stage<S> {
    /// For one of several steps.
    pub(super) name: Option<Text>,
    pub(super) steps: Vec<Step<S>>,
    pub(super) is_pivot: bool,
}

/// What becomes of the other compensations when one has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// They run; the saga ends as
    /// [`CompensatedWithFailures`](super::super::SagaStatus::CompensatedWithFailures).
    #[default]
    ContinueAndReport,
    /// They do not; the saga ends as [`Halted`](super::super::SagaStatus::Halted).
    Halt,
}

/// All of them.
pub(super) struct Plan<S> {
    pub(super) stages: Vec<Stage<S>>,
    pub(super) on_failure: OnFailure,
}

impl<S> Plan<S> {
    /// Which stage a step belongs to, and the step.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Step<S>)> {
        self.stages.iter().enumerate().find_map(|(at, stage)| {
            let step = stage.steps.iter().find(|step| step.name == *name)?;
            Some((at, step))
        })
    }

    /// The same, for a saga that has begun it.
    pub(super) fn step(&self, name: &str, instance: &Instance) -> Result<(usize, &Step<S>)> {
        self.find(name).ok_or_else(|| {
            let message = format!(
                "the saga `{}` {} has begun the step `{name}`, which its definition does not have any more; keep it until such sagas have ended, then replay this dead letter",
                instance.saga, instance.key
            );
            Error::new(ErrorKind::InvalidState, message)
        })
    }

    /// The stage that it is at: the last one of which it has begun a step.
    pub(super) fn stage_of(&self, instance: &Instance) -> Result<Option<usize>> {
        let stages = instance.steps.iter().map(|state| Ok(self.step(&state.name, instance)?.0));
        stages.collect::<Result<Vec<_>>>().map(|stages| stages.into_iter().max())
    }

    fn pivot(&self) -> Option<usize> {
        self.stages.iter().position(|stage| stage.is_pivot)
    }

    /// Whether this stage is only gone through forward.
    pub(super) fn is_behind_pivot(&self, stage: usize) -> bool {
        self.pivot().is_some_and(|pivot| stage > pivot)
    }

    /// Whether the pivot has begun, so that nobody knows whether there is a way back.
    pub(super) fn has_begun_pivot(&self, instance: &Instance) -> Result<bool> {
        let stage = self.stage_of(instance)?;
        Ok(stage.zip(self.pivot()).is_some_and(|(stage, pivot)| stage >= pivot))
    }

    /// The steps that are taken back next: those of the stage that was begun last of all that have
    /// something to take back.
    pub(super) fn next_back(&self, instance: &Instance) -> Result<Vec<usize>> {
        let mut next: Option<(usize, Vec<usize>)> = None;
        for (at, state) in instance.steps.iter().enumerate().rev() {
            if !matches!(state.status, StepStatus::Completed | StepStatus::Unknown) {
                continue;
            }
            let (stage, step) = self.step(&state.name, instance)?;
            if step.back.is_none() {
                continue;
            }
            match &mut next {
                None => next = Some((stage, vec![at])),
                Some((of, steps)) if *of == stage => steps.push(at),
                Some(_) => {}
            }
        }
        Ok(next.map(|(_, steps)| steps).unwrap_or_default())
    }

    /// The steps of a stage as they begin.
    pub(super) fn begun(&self, stage: usize, instance: &Instance) -> Vec<StepState> {
        let begun = |step: &Step<S>| {
            let key = format!("{}/{}/{}", instance.saga, instance.id, step.name);
            StepState::started(step.name.clone(), key.into())
        };
        self.stages
            .get(stage)
            .map(|stage| stage.steps.iter().map(begun).collect())
            .unwrap_or_default()
    }
}
