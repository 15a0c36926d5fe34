//! What one handler has done.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_events_model::IsoFormat;
use serde::{Serialize, Serializer};
use serde_json::json;
use time::OffsetDateTime;

use super::histogram::{Latency, micros};
use crate::entry::Entry;
use crate::limits::SHARED_LANE_EVENTS;
use crate::sync::{Arc, Ordering};

/// What one handler has done.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt};
/// use nexus_events_model::Event;
/// let bus = Bus::new();
/// bus.on("order.*", (|_: &Event| Err::<(), _>("broken")).named("billing"))?;
/// bus.try_publish(Event::builder("order.created"))?;
/// let stats = bus.stats();
/// let billing = stats.handler("billing").unwrap();
/// assert_eq!((billing.execution_count, billing.error_count, billing.success_rate()), (1, 1, 0.0));
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Its name.
    pub handler_id: String,
    /// Its pattern.
    pub pattern: String,
    /// Its handler priority; a word for the reserved ones.
    pub priority: String,
    /// How often it ran.
    pub execution_count: u64,
    /// How often it failed, panicked or was given up.
    pub error_count: u64,
    /// How often it panicked.
    pub panic_count: u64,
    /// Events its filter refused; those of its group, as the next one.
    pub filtered_count: u64,
    /// Events that a higher handler cancelled.
    pub cancelled_count: u64,
    /// Further attempts after failures.
    pub retry_count: u64,
    /// Events lost because its queue was full, or its group's.
    pub rejected_count: u64,
    /// Those of them that its [`Overload`](crate::Overload) dropped, by reason: `oldest`,
    /// `newest`, `outranked`, `sampled`, `too_big`; and `stuck`, because it does not return from an
    /// earlier one. Reasons that never occurred are left out.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Its consumer group.
    pub group: Option<String>,
    /// When its last run began.
    pub last_execution: Option<OffsetDateTime>,
    /// How many of its runs were timed: all with a queue of its own; of the others, those of one
    /// event in [`TIMED_PASSES`](crate::limits::TIMED_PASSES), and of its handlers one in
    /// [`TIMED_HANDLERS`](crate::limits::TIMED_HANDLERS) in turn. The same as `duration.count`.
    pub timed_count: u64,
    /// How long its timed runs took. Of a handler that was tried again, the first attempt counts.
    pub duration: Latency,
    /// How long events waited in its queue before it began; none for an inline handler.
    pub wait: Latency,
    /// How often it held up its task for longer than
    /// [`SLOW_HANDLER`](crate::limits::SLOW_HANDLER), as a synchronous handler that is queued does.
    pub slow_count: u64,
    /// Calls that have held up their task for more than
    /// [`OVERDUE_AFTER`](crate::limits::OVERDUE_AFTER) and still do, and those that were given up
    /// and have not returned.
    pub overdue: usize,
    /// How often a call did not return and was given up, as
    /// [`BusBuilder::stuck_after`](crate::BusBuilder::stuck_after) says. Each counts as an error.
    pub stuck_count: u64,
    /// Events that wait for it.
    pub queue: usize,
    /// About how many bytes they hold.
    pub queue_bytes: usize,
    /// How long the one that waits longest has waited.
    pub queue_wait: Option<Duration>,
    /// The most that may wait; `None` for an inline handler.
    pub queue_max: Option<usize>,
}

impl HandlerStats {
    pub(super) fn of(entry: &Arc<Entry>, passes: u64, last: i64) -> Self {
        let counters = &entry.counters;
        let (lane, shared) = (entry.lane.get().or(entry.own_lane.get()), entry.shared.get());
        // What does not reach a queue, or is dropped there, the whole group does not get.
        let losses = &entry.group.get().unwrap_or(entry).counters;
        let duration = counters.durations();
        Self {
            handler_id: entry.name.to_string(),
            pattern: entry.pattern.to_string(),
            priority: entry.priority.to_string(),
            execution_count: at_least_none(counters.executions.get().wrapping_add(passes)),
            error_count: counters.errors.get(),
            panic_count: counters.panics.get(),
            filtered_count: losses.filtered.get(),
            cancelled_count: losses.cancelled.get(),
            retry_count: counters.retries.get(),
            rejected_count: losses.rejected.get(),
            dropped: losses.dropped(),
            group: entry.group.get().map(|head| head.name.to_string()),
            last_execution: match counters.last.load(Ordering::Relaxed).max(last) {
                0 => None,
                micros => {
                    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
                }
            },
            timed_count: duration.count,
            duration,
            wait: counters.waits(),
            slow_count: counters.slow.get(),
            overdue: counters.overdue(),
            stuck_count: counters.stuck.get(),
            queue: lane.map_or(0, |lane| lane.waiting()) + shared.map_or(0, |lane| lane.waiting()),
            queue_bytes: lane.map_or(0, |lane| lane.waiting_bytes()),
            queue_wait: lane.and_then(|lane| lane.waits_since()),
            queue_max: lane
                .map(|lane| lane.options().bounds.events)
                .or(shared.map(|_| SHARED_LANE_EVENTS)),
        }
    }

    /// The share of runs that succeeded, 0 to 1; 0 before the first.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.execution_count == 0 {
            return 0.0;
        }
        (self.execution_count - self.error_count.min(self.execution_count)) as f64
            / self.execution_count as f64
    }

    /// How long a run takes on average, as far as runs were timed; zero before the first.
    #[must_use]
    pub fn mean_duration(&self) -> Duration {
        self.duration.mean()
    }
}

/// A sum whose parts are read one after another may be below zero for a moment.
fn at_least_none(count: u64) -> u64 {
    if count > i64::MAX as u64 { 0 } else { count }
}

impl Serialize for HandlerStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "handler_id": self.handler_id,
            "event_types": [self.pattern],
            "execution_count": self.execution_count,
            "error_count": self.error_count,
            "last_execution": self.last_execution.map(IsoFormat),
            "success_rate": self.success_rate(),
            "priority": self.priority,
            "panic_count": self.panic_count,
            "filtered_count": self.filtered_count,
            "cancelled_count": self.cancelled_count,
            "retry_count": self.retry_count,
            "rejected_count": self.rejected_count,
            "dropped": self.dropped,
            "group": self.group,
            "timed_count": self.timed_count,
            "timed_duration_us": micros(self.duration.total),
            "duration_us": self.duration,
            "wait_us": self.wait,
            "slow_count": self.slow_count,
            "overdue": self.overdue,
            "stuck_count": self.stuck_count,
            "queue": self.queue,
            "queue_bytes": self.queue_bytes,
            "queue_wait_us": self.queue_wait.map(micros),
            "queue_max": self.queue_max,
        });
        fields.serialize(serializer)
    }
}
