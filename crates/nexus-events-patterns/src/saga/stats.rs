//! Sagas in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::instance::SagaStatus;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) started: AtomicU64,
    pub(super) turns: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) compensated: AtomicU64,
    pub(super) compensated_with_failures: AtomicU64,
    pub(super) halted: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) not_found: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) outdated: AtomicU64,
}

/// What the sagas of a definition have done on this bus, from
/// [`SagaHandle::stats`](super::SagaHandle::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SagaStats {
    /// Sagas that began.
    pub started: u64,
    /// Events and timeouts that changed a saga.
    pub turns: u64,
    /// Sagas that ended well.
    pub completed: u64,
    /// Those whose steps were all taken back.
    pub compensated: u64,
    /// Those of which a compensation failed.
    pub compensated_with_failures: u64,
    /// Those that were halted.
    pub halted: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// How often two changes of one saga met and one was made again.
    pub conflicts: u64,
    /// Events whose saga was not there.
    pub not_found: u64,
    /// How often such an event was put off.
    pub redelivered: u64,
    /// Events that their saga had handled before.
    pub duplicates: u64,
    /// Timeouts and steps of sagas that had ended or had taken them back.
    pub outdated: u64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, status: &SagaStatus) {
        let counter = match status {
            SagaStatus::Running | SagaStatus::Compensating { .. } | SagaStatus::Parked { .. } => {
                return;
            }
            SagaStatus::Completed => &self.completed,
            SagaStatus::Compensated { .. } => &self.compensated,
            SagaStatus::CompensatedWithFailures { .. } => &self.compensated_with_failures,
            SagaStatus::Halted { .. } => &self.halted,
            SagaStatus::Cancelled { .. } => &self.cancelled,
        };
        Self::add(counter);
    }

    pub(super) fn read(&self) -> SagaStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SagaStats {
            started: read(&self.started),
            turns: read(&self.turns),
            completed: read(&self.completed),
            compensated: read(&self.compensated),
            compensated_with_failures: read(&self.compensated_with_failures),
            halted: read(&self.halted),
            cancelled: read(&self.cancelled),
            conflicts: read(&self.conflicts),
            not_found: read(&self.not_found),
            redelivered: read(&self.redelivered),
            duplicates: read(&self.duplicates),
            outdated: read(&self.outdated),
        }
    }
}
