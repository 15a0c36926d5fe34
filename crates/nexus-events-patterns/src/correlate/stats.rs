//! What is counted of a gatherer.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::keys::GatherReason;

/// A snapshot of one gatherer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GatherStats {
    /// Keys that are gathered for right now.
    pub open: usize,
    /// Bytes of their events.
    pub bytes: usize,
    /// Events that were taken in.
    pub events: u64,
    /// Gatherings that were complete.
    pub complete: u64,
    /// Gatherings that were not complete in time.
    pub timed_out: u64,
    /// Gatherings that ended early because a bound was met.
    pub full: u64,
    /// Gatherings that were cut short by the end of the gatherer.
    pub shutdown: u64,
    /// Events that came when the gathering of their key was over.
    pub late: u64,
    /// Events without a key.
    pub without_key: u64,
    /// Results whose event the bus did not take.
    pub unpublished: u64,
    /// Calls of [`Gather::each`](crate::Gather::each) or [`Gather::publish`](crate::Gather::publish)
    /// that panicked; the gathering has ended all the same.
    pub panicked: u64,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) events: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) without_key: AtomicU64,
    pub(crate) unpublished: AtomicU64,
    pub(crate) panicked: AtomicU64,
    complete: AtomicU64,
    timed_out: AtomicU64,
    full: AtomicU64,
    shutdown: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    pub(crate) fn closed(&self, reason: GatherReason) {
        add(match reason {
            GatherReason::Complete => &self.complete,
            GatherReason::TimedOut => &self.timed_out,
            GatherReason::Full => &self.full,
            GatherReason::Shutdown => &self.shutdown,
        });
    }

    pub(crate) fn stats(&self, open: usize, bytes: usize) -> GatherStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GatherStats {
            open,
            bytes,
            events: get(&self.events),
            complete: get(&self.complete),
            timed_out: get(&self.timed_out),
            full: get(&self.full),
            shutdown: get(&self.shutdown),
            late: get(&self.late),
            without_key: get(&self.without_key),
            unpublished: get(&self.unpublished),
            panicked: get(&self.panicked),
        }
    }
}
