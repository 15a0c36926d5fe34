//! One attempt, and what follows from how it ended.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{BoxFuture, HandlerError, Status};
use nexus_events_model::{Event, Text};
use serde_json::Value;
use tokio::time::timeout;

use super::context::{About, StepContext, StepOutcome};
use super::join::contain;
use super::plan::{Policy, Returned, Step};
use super::state::{StepState, StepStatus};

/// How an attempt ended.
pub(super) enum Ended {
    Well { log: Value, events: Vec<Event> },
    Badly(Failure),
}

/// Why an attempt has failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: Text,
    pub(super) how: How,
    /// What the error itself asks for.
    pub(super) retry_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Another attempt may succeed.
    Temporary,
    /// None will.
    Permanent,
    /// It was stopped, and may have done something.
    TimedOut,
    /// It panicked, and may have done something.
    Panicked,
    /// It has done something, and what it returns or publishes cannot be stored.
    Unwritable,
}

impl Failure {
    /// Whether nobody knows what the attempt has done.
    pub(super) fn is_unsure(&self) -> bool {
        matches!(self.how, How::TimedOut | How::Panicked | How::Unwritable)
    }

    fn of(error: &HandlerError) -> Self {
        let how = match error.status() {
            Status::Permanent => How::Permanent,
            _ => How::Temporary,
        };
        let retry_after = error.retry_delay().unwrap_or_default();
        Self { error: error.to_string().into(), how, retry_after }
    }

    /// How long until the next attempt, unless there is none.
    pub(super) fn delay(&self, policy: &Policy, state: &StepState) -> Option<Duration> {
        let is_final = match self.how {
            How::Temporary => false,
            How::Permanent | How::Unwritable => true,
            How::TimedOut => policy.timeout_is_final,
            // It counts as temporary once.
            How::Panicked => state.panicked,
        };
        if is_final || !policy.retry.has_left(state.used()) {
            return None;
        }
        Some(policy.retry.delay(state.used(), &state.idempotency_key).max(self.retry_after))
    }
}

/// Runs an attempt of a step, or of its compensation.
pub(super) async fn attempt<S: Send + Sync + 'static>(
    step: &Step<S>,
    state: &StepState,
    data: &Arc<S>,
    about: &About<'_>,
) -> Ended {
    let (context, call, policy) = begin(step, state, data, about);
    let call = contain(call);
    let ended = match policy.timeout {
        None => Ok(call.await),
        Some(limit) => timeout(limit, call).await.map_err(|_| limit),
    };
    let (error, how) = match ended {
        Ok(Ok(Returned::Well(log))) => match context.published() {
            Ok(events) => return Ended::Well { log, events },
            Err(error) => (error.to_string(), How::Unwritable),
        },
        Ok(Ok(Returned::Badly(error))) => return Ended::Badly(Failure::of(&error)),
        Ok(Ok(Returned::Unwritable(error))) => (error, How::Unwritable),
        Ok(Err(panic)) => (panic, How::Panicked),
        Err(limit) => (format!("timed out after {limit:?}"), How::TimedOut),
    };
    Ended::Badly(Failure { error: error.into(), how, retry_after: Duration::ZERO })
}

type Call = BoxFuture<'static, Returned>;

fn begin<'a, S: Send + Sync + 'static>(
    step: &'a Step<S>,
    state: &StepState,
    data: &Arc<S>,
    about: &About<'_>,
) -> (StepContext<S>, Call, &'a Policy) {
    let step_key = state.idempotency_key.clone();
    match (&step.back, state.status) {
        (Some(back), StepStatus::Compensating) => {
            let key = Text::from(format!("{step_key}/compensation"));
            let context = StepContext::new(data, about, state, key);
            let outcome = match state.unsure {
                true => StepOutcome::Unknown,
                false => StepOutcome::Completed(state.log.clone()),
            };
            let (back, given) = (back.clone(), context.clone());
            // Inside of the future, so that a panic before the first await is contained too.
            let call: Call = Box::pin(async move { back(given, step_key, outcome).await });
            (context, call, &step.back_policy)
        }
        _ => {
            let context = StepContext::new(data, about, state, step_key);
            let (run, given) = (step.run.clone(), context.clone());
            let call: Call = Box::pin(async move { run(given).await });
            (context, call, &step.policy)
        }
    }
}
