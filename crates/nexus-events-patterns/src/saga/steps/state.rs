//! A step as the store has it.

use nexus_events_model::Text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::iso;

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

impl StepStatus {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_patterns::saga::StepStatus;
    /// assert_eq!(StepStatus::CompensationFailed.as_str(), "compensation_failed");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation_failed",
        }
    }
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
    /// How many of them the end of the program has interrupted; those do not count as failed.
    #[serde(default)]
    pub restarts: u32,
    /// Whether an attempt of the step may have done something that nobody knows of: it took too
    /// long, it panicked, or the program ended meanwhile.
    #[serde(default)]
    pub unsure: bool,
    #[serde(default)]
    pub(crate) panicked: bool,
    /// What the step has returned, for later steps and for its compensation.
    #[serde(default)]
    pub log: Value,
    /// Why the last attempt has failed.
    #[serde(default)]
    pub error: Option<Text>,
    /// When the next attempt begins, while it waits for that.
    #[serde(default, with = "iso::option")]
    pub due: Option<OffsetDateTime>,
}

impl StepState {
    /// One that is about to run.
    pub(crate) fn started(name: Text, idempotency_key: Text) -> Self {
        Self {
            name,
            status: StepStatus::Started,
            idempotency_key,
            attempts: 1,
            restarts: 0,
            unsure: false,
            panicked: false,
            log: Value::Null,
            error: None,
            due: None,
        }
    }

    /// What is about to run is its compensation, or it itself once more.
    pub(crate) fn begins(&mut self, status: StepStatus) {
        (self.status, self.attempts, self.restarts) = (status, 1, 0);
        (self.panicked, self.due) = (false, None);
    }

    /// Whether it runs or waits, forward or back.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, StepStatus::Started | StepStatus::Compensating)
    }

    /// How many attempts have failed, the one that is running included.
    pub(crate) fn used(&self) -> u32 {
        self.attempts.saturating_sub(self.restarts)
    }

    /// Nobody knows what came of it: what is known by now decides.
    pub(crate) fn settle(&mut self) {
        if self.status == StepStatus::Started {
            let has_failed = self.due.take().is_some() && !self.unsure;
            self.ends(has_failed);
        }
    }

    /// It will not run again.
    pub(crate) fn ends(&mut self, has_failed: bool) {
        self.unsure = !has_failed;
        self.status = if has_failed { StepStatus::Failed } else { StepStatus::Unknown };
    }
}
