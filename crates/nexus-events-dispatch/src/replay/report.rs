//! What a replay came to.

use std::collections::BTreeMap;

use nexus_events_model::{HandlerOutcome, OutcomeStatus};

use crate::error::Error;
use crate::store::Offset;

/// What a replay came to, or has come to so far.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReplayedRange {
    /// How many events were read and given, those that nobody wanted included.
    pub events: u64,
    /// What handlers made of them, all together.
    pub total: ReplayCounts,
    /// The same for each handler.
    pub handlers: BTreeMap<String, ReplayCounts>,
    /// Everything up to here is done. A replay after it goes on where this one ended.
    pub last: Offset,
    /// Up to here it goes.
    pub until: Offset,
    /// Why it ended.
    pub end: ReplayEnd,
}

/// Events in numbers, each once for each handler.
///
/// ```
/// use nexus_events_dispatch::ReplayCounts;
/// assert_eq!(ReplayCounts::default().handled, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReplayCounts {
    /// Given and handled; in a dry run, those that would be given.
    pub handled: u64,
    /// Given, and failed at in all attempts.
    pub failed: u64,
    /// Not given, because a filter does not hold, the queue is full or the handler has ended.
    pub skipped: u64,
    /// Not given, because a handler of higher priority has cancelled it, now or when it was
    /// published.
    pub cancelled: u64,
}

/// Why a replay ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayEnd {
    /// It came to its end.
    Done,
    /// It was [stopped](super::ReplayStop).
    Stopped,
    /// The store failed, or the bus was shut down.
    Failed(Error),
}

impl ReplayedRange {
    pub(super) fn new(after: Offset, until: Offset) -> Self {
        Self {
            events: 0,
            total: ReplayCounts::default(),
            handlers: BTreeMap::new(),
            last: after,
            until,
            end: ReplayEnd::Done,
        }
    }

    /// Whether it came to its end, and no handler failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.end, ReplayEnd::Done) && self.total.failed == 0
    }

    pub(super) fn outcome(&mut self, outcome: &HandlerOutcome) {
        self.count(&outcome.handler, |counts| match outcome.status {
            OutcomeStatus::Success => counts.handled += 1,
            OutcomeStatus::Cancelled => counts.cancelled += 1,
            status if status.is_failure() => counts.failed += 1,
            _ => counts.skipped += 1,
        });
    }

    pub(super) fn count(&mut self, handler: &str, count: impl Fn(&mut ReplayCounts)) {
        count(&mut self.total);
        match self.handlers.get_mut(handler) {
            Some(counts) => count(counts),
            None => count(self.handlers.entry(handler.to_owned()).or_default()),
        }
    }
}
