//! How a saga of steps ends, and what it publishes then.
//!
//! | Event type | When |
//! |---|---|
//! | `saga.completed` | all steps have completed |
//! | `saga.compensated` | a step has failed and everything is taken back |
//! | `saga.cancelled` | it was cancelled and everything is taken back |
//! | `saga.failed` | compensations have failed, or it is halted |
//! | `saga.parked` | it waits for somebody to resume it |
//! | `saga.compensation_failed` | the compensation of a step has failed for good, one for each |

use nexus_events_model::{Event, Text};
use serde_json::{Value, json};

use super::super::context::SagaContext;
use super::super::instance::SagaStatus;
use super::state::{StepState, StepStatus};

pub(super) fn completed(saga: &mut SagaContext<'_>) {
    ends(saga, SagaStatus::Completed, "saga.completed");
}

pub(super) fn halted(saga: &mut SagaContext<'_>, reason: Text) {
    ends(saga, SagaStatus::Halted { reason }, "saga.failed");
}

pub(super) fn parked(saga: &mut SagaContext<'_>, reason: Text) {
    ends(saga, SagaStatus::Parked { reason }, "saga.parked");
}

/// Everything that could be taken back is.
pub(super) fn compensated(saga: &mut SagaContext<'_>) {
    let progress = &saga.instance.progress;
    let (reason, cancelled) = (progress.back.clone().unwrap_or_default(), progress.cancelled);
    let failed = saga.instance.steps.iter().rev();
    let failed = failed.filter(|state| state.status == StepStatus::CompensationFailed);
    let steps: Vec<Text> = failed.map(|state| state.name.clone()).collect();
    let (status, event_type) = match (steps.is_empty(), cancelled) {
        (false, _) => (SagaStatus::CompensatedWithFailures { reason, steps }, "saga.failed"),
        (true, true) => (SagaStatus::Cancelled { reason }, "saga.cancelled"),
        (true, false) => (SagaStatus::Compensated { reason }, "saga.compensated"),
    };
    ends(saga, status, event_type);
}

fn ends(saga: &mut SagaContext<'_>, status: SagaStatus, event_type: &str) {
    let mut payload = about(saga);
    payload["status"] = status.as_str().into();
    if let Some(reason) = status.reason() {
        payload["reason"] = json!(reason);
    }
    if let SagaStatus::CompensatedWithFailures { steps, .. } = &status {
        payload["steps"] = json!(steps);
    }
    saga.instance.status = status;
    publish(saga, event_type, payload);
}

pub(super) fn compensation_failed(saga: &mut SagaContext<'_>, state: &StepState) {
    let mut payload = about(saga);
    payload["step"] = json!(state.name);
    payload["error"] = json!(state.error);
    payload["attempts"] = state.attempts.into();
    publish(saga, "saga.compensation_failed", payload);
}

fn about(saga: &SagaContext<'_>) -> Value {
    json!(saga.address())
}

fn publish(saga: &mut SagaContext<'_>, event_type: &str, payload: Value) {
    let source = saga.instance.saga.clone();
    match saga.own(Event::builder(event_type).source(source).payload(payload)) {
        Ok(event) => saga.events.push(event),
        Err(error) => saga.fails(error),
    }
}
