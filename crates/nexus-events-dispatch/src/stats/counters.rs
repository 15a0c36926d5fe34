//! What is counted while events are on their way, beside the stripes.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_events_model::{HandlerOutcome, OutcomeStatus};

use super::histogram::{Histogram, Latency};
use crate::delivery::End;
use crate::limits::{SLOW_HANDLER_WARNING_EVERY, TIMED_PASSES};
use crate::queue::Reason;
use crate::runtime::Skip;
use crate::sync::{AtomicI64, AtomicU64, AtomicUsize, Instant, Mutex, Ordering};

/// A number that only grows. Nobody orders other memory by it.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one handler: about 200 bytes, 760 more when one of its runs is timed, and as much
/// when it has a queue.
#[derive(Default)]
pub(crate) struct HandlerCounters {
    pub(super) executions: Count,
    pub(super) retries: Count,
    pub(super) errors: Count,
    pub(super) panics: Count,
    pub(super) filtered: Count,
    pub(super) cancelled: Count,
    pub(super) rejected: Count,
    /// By [`Reason`].
    dropped: [Count; Reason::ALL.len()],
    pub(super) slow: Count,
    /// Calls that do not return now.
    overdue: AtomicUsize,
    pub(super) stuck: Count,
    /// When that was warned about last.
    warned: Mutex<Option<Instant>>,
    durations: Histogram,
    waits: Histogram,
    /// Unix time in microseconds; 0 for never.
    pub(super) last: AtomicI64,
}

impl HandlerCounters {
    pub(crate) fn ran(&self, outcome: &HandlerOutcome) {
        self.executions.add(1);
        self.errors.add(outcome.status.is_failure().into());
        self.panics.add((outcome.status == OutcomeStatus::Panicked).into());
        self.timed(outcome.duration);
        let micros = outcome.started.unix_timestamp_nanos() / 1_000;
        self.last.fetch_max(i64::try_from(micros).unwrap_or(0), Ordering::Relaxed);
    }

    /// It ran in this many passes, the last of which began then.
    pub(crate) fn passed(&self, passes: u64, last: i64) {
        self.executions.add(passes);
        self.last.fetch_max(last, Ordering::Relaxed);
    }

    /// It did not run in a pass that is counted for all handlers of its route.
    pub(crate) fn passed_over(&self) {
        self.executions.add(u64::MAX);
    }

    /// It failed in a pass.
    pub(crate) fn failed(&self, status: OutcomeStatus) {
        self.errors.add(1);
        self.panics.add((status == OutcomeStatus::Panicked).into());
    }

    /// One run took this long.
    pub(crate) fn timed(&self, duration: Duration) {
        self.durations.record(duration);
    }

    /// An event waited this long in the queue before this handler began.
    pub(crate) fn waited(&self, duration: Duration) {
        self.waits.record(duration);
    }

    /// It held up its task for longer than it should. Whether that is worth a warning, which it
    /// is once in a while.
    #[cold]
    pub(crate) fn was_slow(&self, now: Instant) -> bool {
        self.slow.add(1);
        let mut warned = self.warned.lock();
        let is_due = warned
            .is_none_or(|last| now.saturating_duration_since(last) >= SLOW_HANDLER_WARNING_EVERY);
        if is_due {
            *warned = Some(now);
        }
        is_due
    }

    /// One of its calls takes too long, or does no more.
    pub(crate) fn is_overdue(&self, is: bool) {
        match is {
            true => self.overdue.fetch_add(1, Ordering::Relaxed),
            false => self.overdue.fetch_sub(1, Ordering::Relaxed),
        };
    }

    pub(super) fn overdue(&self) -> usize {
        self.overdue.load(Ordering::Relaxed)
    }

    /// One of its calls was given up.
    pub(crate) fn was_stuck(&self) {
        self.stuck.add(1);
    }

    /// The same for one on a shared lane, which is counted as run already.
    pub(crate) fn gave_up(&self, ran: Duration) {
        self.errors.add(1);
        self.timed(ran);
        self.was_stuck();
    }

    pub(crate) fn skipped(&self, reason: Skip) {
        match reason {
            Skip::Filtered => self.filtered.add(1),
            Skip::Stopped | Skip::QueueFull | Skip::WaitsItself => self.rejected.add(1),
            Skip::Dropped(reason) => {
                self.rejected.add(1);
                self.dropped[reason as usize].add(1);
            }
            Skip::Unsubscribed => {}
        }
    }

    /// A further attempt has begun.
    pub(crate) fn retried(&self) {
        self.executions.add(1);
        self.retries.add(1);
    }

    /// The last of several attempts is over.
    pub(crate) fn ended(&self, outcome: &HandlerOutcome) {
        self.errors.add(outcome.status.is_failure().into());
    }

    pub(super) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let counts = Reason::ALL.map(|reason| (reason.word(), self.dropped[reason as usize].get()));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn durations(&self) -> Latency {
        self.durations.latency()
    }

    pub(super) fn waits(&self) -> Latency {
        self.waits.latency()
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.add(1);
    }
}

/// Counters of a bus.
#[derive(Default)]
pub(crate) struct BusCounters {
    pub(super) published: Count,
    pub(super) processed: Count,
    pub(super) failed: Count,
    pub(super) rejected: Count,
    pub(super) refused: Count,
    pub(super) unsubscribed: Count,
    pub(super) handled: Count,
    pub(super) cancelled: Count,
    pub(super) filtered: Count,
    pub(super) unmatched: Count,
    pub(super) skipped: Count,
    pub(super) lost: Count,
    passages: Histogram,
}

impl BusCounters {
    /// An event goes on its way now; when that is, if it is one of those that are timed.
    pub(crate) fn published(&self) -> Option<Instant> {
        let before = self.published.0.fetch_add(1, Ordering::Relaxed);
        before.is_multiple_of(TIMED_PASSES).then(Instant::now)
    }

    /// An event took this long from its publish to the end of its last handler.
    pub(crate) fn timed(&self, duration: Duration) {
        self.passages.record(duration);
    }

    pub(super) fn passages(&self) -> Latency {
        self.passages.latency()
    }

    /// A layer refused an event whose publisher had gone on.
    pub(crate) fn refused(&self) {
        self.refused.add(1);
    }

    /// A run failed that nobody else counts.
    pub(crate) fn run_failed(&self) {
        self.failed.add(1);
    }

    pub(crate) fn ran(&self, outcome: &HandlerOutcome) {
        if outcome.status.is_failure() { self.failed.add(1) } else { self.processed.add(1) }
    }

    pub(crate) fn skipped(&self, reason: Skip) {
        if reason.is_rejection() {
            self.rejected.add(1);
        } else if reason == Skip::Unsubscribed {
            self.unsubscribed.add(1);
        }
    }

    /// Events counted as handled were cut off before their last handlers ran.
    pub(crate) fn handled_but_lost(&self, events: u64) {
        self.handled.add(events.wrapping_neg());
        self.lost.add(events);
    }

    pub(crate) fn concluded(&self, end: End) {
        let count = match end {
            End::Handled => &self.handled,
            End::Cancelled => &self.cancelled,
            End::Filtered => &self.filtered,
            End::Unmatched => &self.unmatched,
            End::Skipped => &self.skipped,
            End::Lost => &self.lost,
        };
        count.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_handler_is_warned_about_once_a_minute_and_counted_each_time() {
        let (counters, start) = (HandlerCounters::default(), Instant::now());
        let seconds = [0, 1, 59, 60, 61, 119, 120];
        let warned = seconds.map(|second| counters.was_slow(start + Duration::from_secs(second)));
        assert_eq!(warned, [true, false, false, true, false, false, true]);
        assert_eq!(counters.slow.get(), 7);
    }

    #[test]
    fn one_event_in_so_many_is_timed_and_the_first_is_one_of_them() {
        let counters = BusCounters::default();
        let timed: Vec<bool> =
            (0..2 * TIMED_PASSES).map(|_| counters.published().is_some()).collect();
        assert!(timed[0] && timed[usize::try_from(TIMED_PASSES).unwrap()]);
        assert_eq!(timed.iter().filter(|timed| **timed).count(), 2);
    }
}
