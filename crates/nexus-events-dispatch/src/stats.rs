//! What the bus and its handlers have done, as numbers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use nexus_events_model::{HandlerOutcome, IsoFormat, OutcomeStatus, SubscriptionId};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::bus::Bus;
use crate::delivery::End;
use crate::entry::Entry;
use crate::limits::{FOLLOW_UPS_MAX, SHARED_LANE_EVENTS};
use crate::queue::Reason;
use crate::runtime::Skip;
use crate::sync::{Arc, AtomicI64, AtomicU64, Ordering};

/// A number that only grows. Nobody orders other memory by it.
#[derive(Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one handler.
#[derive(Default)]
pub(crate) struct HandlerCounters {
    executions: Count,
    retries: Count,
    errors: Count,
    panics: Count,
    filtered: Count,
    cancelled: Count,
    rejected: Count,
    /// By [`Reason`].
    dropped: [Count; Reason::ALL.len()],
    timed: Count,
    nanos: Count,
    /// Unix time in microseconds; 0 for never.
    last: AtomicI64,
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
        self.timed.add(1);
        self.nanos.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
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

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let counts = Reason::ALL.map(|reason| (reason.word(), self.dropped[reason as usize].get()));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.add(1);
    }
}

/// Counters of a bus.
#[derive(Default)]
pub(crate) struct BusCounters {
    published: Count,
    processed: Count,
    failed: Count,
    rejected: Count,
    refused: Count,
    unsubscribed: Count,
    handled: Count,
    cancelled: Count,
    filtered: Count,
    unmatched: Count,
    skipped: Count,
    lost: Count,
}

impl BusCounters {
    pub(crate) fn published(&self) {
        self.published.add(1);
    }

    /// A layer refused an event whose publisher had gone on.
    pub(crate) fn refused(&self) {
        self.refused.add(1);
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

    /// An event counted as handled was cancelled in its last wave.
    pub(crate) fn handled_but_cancelled(&self) {
        self.handled.add(u64::MAX);
        self.cancelled.add(1);
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

impl Bus {
    pub(crate) fn event_stats(&self) -> EventStats {
        let (counters, stripes) = (self.counters(), &self.0.stripes);
        let failed = stripes.sum(|counts| &counts.failed);
        EventStats {
            total_events: counters.published.get() + stripes.sum(|counts| &counts.published),
            processed_events: (counters.processed.get() + stripes.sum(|counts| &counts.runs))
                .saturating_sub(failed),
            failed_events: counters.failed.get() + failed,
            handled_events: counters
                .handled
                .get()
                .wrapping_add(stripes.sum(|counts| &counts.handled)),
            cancelled_events: counters.cancelled.get(),
            filtered_events: counters.filtered.get() + stripes.sum(|counts| &counts.filtered),
            unmatched_events: counters.unmatched.get() + stripes.sum(|counts| &counts.unmatched),
            skipped_events: counters.skipped.get() + stripes.sum(|counts| &counts.skipped),
            lost_events: counters.lost.get(),
            rejected: counters.rejected.get(),
            refused: counters.refused.get(),
            unsubscribed: counters.unsubscribed.get() + stripes.sum(|counts| &counts.unsubscribed),
            in_flight: self.in_flight(),
            follow_ups_waiting: self.follow_ups().waiting(),
        }
    }

    pub(crate) fn handler_stats(&self) -> Vec<HandlerStats> {
        // What passes have counted and not yet told the handlers.
        let mut passes: HashMap<SubscriptionId, (u64, i64)> = HashMap::new();
        for stripe in self.0.stripes.all() {
            stripe.for_each_route(|route| {
                let last = route.last.load(Ordering::Relaxed);
                for entry in route.route.iter() {
                    let sum = passes.entry(entry.id).or_default();
                    *sum = (sum.0 + route.passes.get(), sum.1.max(last));
                }
            });
        }
        let entries = self.0.registry.entries();
        let stats_of = |entry: &Arc<Entry>| {
            let (passes, last) = passes.get(&entry.id).copied().unwrap_or_default();
            HandlerStats::of(entry, passes, last)
        };
        entries.iter().map(stats_of).collect()
    }
}

/// What became of all events of a bus. Every published event ends in exactly one of `handled`,
/// `cancelled`, `filtered`, `unmatched`, `skipped` and `lost`; until then it is in flight. The sum
/// is exact when nothing is in flight; while events pass, the numbers are read one after another.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// let bus = Bus::new();
/// bus.try_publish(Event::builder("nobody.cares"))?;
/// assert_eq!(bus.stats().events.unmatched_events, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStats {
    /// Published events, follow-ups included.
    pub total_events: u64,
    /// Handler runs that succeeded.
    pub processed_events: u64,
    /// Handler runs that failed or panicked.
    pub failed_events: u64,
    /// Events that at least one handler was called with.
    pub handled_events: u64,
    /// Events that a handler cancelled.
    pub cancelled_events: u64,
    /// Events that matched patterns, but no filter.
    pub filtered_events: u64,
    /// Events that matched no pattern.
    pub unmatched_events: u64,
    /// Events that matched handlers of which none could take it: queues full, or unsubscribed.
    pub skipped_events: u64,
    /// Events that a shutdown cut off.
    pub lost_events: u64,
    /// Handlers that lost an event because their queue was full.
    pub rejected: u64,
    /// Events of handlers that a layer refused after it had waited.
    pub refused: u64,
    /// Handlers that ended while an event waited for them.
    pub unsubscribed: u64,
    /// Events on their way now.
    pub in_flight: usize,
    /// Events published by handlers that are on their way now.
    pub follow_ups_waiting: usize,
}

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
    /// How often it failed or panicked.
    pub error_count: u64,
    /// How often it panicked.
    pub panic_count: u64,
    /// Events its filter refused; those of its group, as the next three.
    pub filtered_count: u64,
    /// Events that a higher handler cancelled.
    pub cancelled_count: u64,
    /// Further attempts after failures.
    pub retry_count: u64,
    /// Events lost because its queue was full, or its group's.
    pub rejected_count: u64,
    /// Those of them that its [`Overload`](crate::Overload) dropped, by reason: `oldest`,
    /// `newest`, `outranked`, `sampled`, `too_big`. Reasons that never occurred are left out.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Its consumer group.
    pub group: Option<String>,
    /// When its last run began.
    pub last_execution: Option<OffsetDateTime>,
    /// How long all its runs took together.
    pub total_duration: Duration,
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
    fn of(entry: &Arc<Entry>, passes: u64, last: i64) -> Self {
        let counters = &entry.counters;
        let (lane, shared) = (entry.lane.get().or(entry.own_lane.get()), entry.shared.get());
        // What does not reach a queue, or is dropped there, the whole group does not get.
        let losses = &entry.group.get().unwrap_or(entry).counters;
        Self {
            handler_id: entry.name.to_string(),
            pattern: entry.pattern.to_string(),
            priority: entry.priority.to_string(),
            execution_count: counters.executions.get().wrapping_add(passes),
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
            total_duration: Duration::from_nanos(counters.nanos.get()),
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
            "total_duration_us": u64::try_from(self.total_duration.as_micros()).unwrap_or(u64::MAX),
            "queue": self.queue,
            "queue_bytes": self.queue_bytes,
            "queue_wait_us": self.queue_wait.map(|wait| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
            "queue_max": self.queue_max,
        });
        fields.serialize(serializer)
    }
}

/// Everything a bus counts, at one moment.
///
/// Its JSON has `event_stats`, `handlers` by name, `subscribers` (names by pattern),
/// `history_size` and `limits`.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// let stats = serde_json::to_value(Bus::new().stats()).unwrap();
/// assert_eq!(stats["event_stats"]["total_events"], 0);
/// assert_eq!(stats["limits"]["history_events"], 10_000);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BusStats {
    /// What became of its events.
    pub events: EventStats,
    /// Its handlers in the order of registration.
    pub handlers: Vec<HandlerStats>,
    /// Events in the history.
    pub history_size: usize,
    /// The most events the history keeps.
    pub history_max: usize,
    /// About the most bytes the history keeps.
    pub history_bytes_max: usize,
    /// The most blocking handlers that run at the same time.
    pub max_workers: usize,
}

impl BusStats {
    /// The statistics of the handler with this name.
    #[must_use]
    pub fn handler(&self, name: &str) -> Option<&HandlerStats> {
        self.handlers.iter().find(|handler| handler.handler_id == name)
    }

    fn subscribers(&self) -> Value {
        let mut by_pattern = serde_json::Map::new();
        for handler in &self.handlers {
            let names = by_pattern.entry(handler.pattern.clone()).or_insert_with(|| json!([]));
            if let Value::Array(names) = names {
                names.push(handler.handler_id.clone().into());
            }
        }
        by_pattern.into()
    }
}

impl Serialize for BusStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let events = &self.events;
        let mut fields = serializer.serialize_map(Some(5))?;
        fields.serialize_entry(
            "event_stats",
            &json!({
                "total_events": events.total_events,
                "processed_events": events.processed_events,
                "failed_events": events.failed_events,
                "handlers_registered": self.handlers.len(),
                "handled_events": events.handled_events,
                "cancelled_events": events.cancelled_events,
                "filtered_events": events.filtered_events,
                "unmatched_events": events.unmatched_events,
                "skipped_events": events.skipped_events,
                "lost_events": events.lost_events,
                "rejected": events.rejected,
                "refused": events.refused,
                "unsubscribed": events.unsubscribed,
                "in_flight": events.in_flight,
                "follow_ups_waiting": events.follow_ups_waiting,
            }),
        )?;
        let handlers: serde_json::Map<String, Value> = self
            .handlers
            .iter()
            .map(|handler| (handler.handler_id.clone(), json!(handler)))
            .collect();
        fields.serialize_entry("handlers", &handlers)?;
        fields.serialize_entry("subscribers", &self.subscribers())?;
        fields.serialize_entry("history_size", &self.history_size)?;
        fields.serialize_entry(
            "limits",
            &json!({"history_events": self.history_max, "history_bytes": self.history_bytes_max, "max_workers": self.max_workers, "follow_ups": FOLLOW_UPS_MAX}),
        )?;
        fields.end()
    }
}
