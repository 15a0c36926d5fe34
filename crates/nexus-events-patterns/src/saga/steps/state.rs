//! A step as the store has it.

use nexus_events_model::Text;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What has become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepStatus {
    /// It runs, or waits for its next attempt.
    Started,
    /// It has done what it does.
    Completed,
    /// It has failed for good and has done nothing.
    Failed,
    /// It has failed for good, and nobody knows what it has done.
    Unknown,
    /// Its compensation runs, or waits for its next attempt.
    Compensating,
    /// What it has done is taken back.
    Compensated,
    /// Its compensation has failed for good.
    CompensationFailed,
}

/// A step of a saga that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepState {
    /// Its name.
    pub name: Text,
    /// What has become of it.
    pub status: StepStatus,
    /// The same for every attempt of this step of this saga, so that what is called can tell that
    /// it was called before.
    pub idempotency_key: Text,
    /// How many attempts have begun, of the step or of its compensation.
    pub attempts: u32,
    /// What the step has returned, for its compensation.
    #[serde(default)]
    pub log: Value,
    /// Why the last attempt has failed.
    #[serde(default)]
    pub error: Option<Text>,
}
