//! What became of the events of a bus, and everything it counts.

use std::collections::HashMap;
use std::time::Duration;

use nexus_events_model::SubscriptionId;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::handler::HandlerStats;
use super::histogram::{Latency, micros};
use crate::bus::Bus;
use crate::durable::ConsumerStats;
use crate::entry::Entry;
use crate::limits::FOLLOW_UPS_MAX;
use crate::store::StoreStats;
use crate::sync::{Arc, Ordering};

impl Bus {
    pub(crate) fn event_stats(&self) -> EventStats {
        let (counters, stripes) = (self.counters(), &self.0.stripes);
        let failed = stripes.sum(|counts| &counts.failed);
        EventStats {
            total_events: self.published(),
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

    /// Events published so far.
    pub(crate) fn published(&self) -> u64 {
        self.counters().published.get() + self.0.stripes.sum(|counts| &counts.published)
    }

    pub(crate) fn publish_latency(&self) -> Latency {
        self.counters().passages()
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
    /// Handler runs that failed or panicked, or were given up because they did not return.
    pub failed_events: u64,
    /// Events that at least one handler was called with.
    pub handled_events: u64,
    /// Events that a handler cancelled before their last wave.
    pub cancelled_events: u64,
    /// Events that matched patterns, but no filter.
    pub filtered_events: u64,
    /// Events that matched no pattern.
    pub unmatched_events: u64,
    /// Events that matched handlers of which none could take it: queues full, unsubscribed, or
    /// stuck in an earlier event.
    pub skipped_events: u64,
    /// Events that a shutdown cut off.
    pub lost_events: u64,
    /// Handlers that lost an event because their queue was full, or because they do not return
    /// from an earlier one (`stuck`).
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

impl EventStats {
    /// Events of which it is known what became of them.
    pub(crate) fn ended(&self) -> u64 {
        self.handled_events
            + self.cancelled_events
            + self.filtered_events
            + self.unmatched_events
            + self.skipped_events
            + self.lost_events
    }
}

/// Everything a bus counts, at one moment.
///
/// Its JSON has `event_stats`, `publish_us`, `handlers` by name, `subscribers` (names by pattern),
/// `history_size` and `limits`; with a store also `store` and `consumers` by name.
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
    /// How long events took from their publish to the end of their last handler. One in
    /// [`TIMED_PASSES`](crate::limits::TIMED_PASSES) is timed.
    pub publish: Latency,
    /// Its handlers in the order of registration.
    pub handlers: Vec<HandlerStats>,
    /// Its durable handlers, those of a group as one.
    pub consumers: Vec<ConsumerStats>,
    /// Its store, if it has one.
    pub store: Option<StoreStats>,
    /// Events in the history.
    pub history_size: usize,
    /// The most events the history keeps.
    pub history_max: usize,
    /// About the most bytes the history keeps.
    pub history_bytes_max: usize,
    /// The most blocking handlers that run at the same time.
    pub max_workers: usize,
    /// Threads that handlers do not give back, at most
    /// [`STUCK_THREADS_MAX`](crate::limits::STUCK_THREADS_MAX).
    pub stuck_threads: usize,
    /// When a call that holds up its thread is given up.
    pub stuck_after: Duration,
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
        let mut fields = serializer.serialize_map(None)?;
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
        fields.serialize_entry("publish_us", &self.publish)?;
        let handlers: serde_json::Map<String, Value> = self
            .handlers
            .iter()
            .map(|handler| (handler.handler_id.clone(), json!(handler)))
            .collect();
        fields.serialize_entry("handlers", &handlers)?;
        if let Some(store) = &self.store {
            fields.serialize_entry("store", store)?;
            let consumers: serde_json::Map<String, Value> =
                self.consumers.iter().map(|it| (it.name.to_string(), json!(it))).collect();
            fields.serialize_entry("consumers", &consumers)?;
        }
        fields.serialize_entry("subscribers", &self.subscribers())?;
        fields.serialize_entry("history_size", &self.history_size)?;
        fields.serialize_entry("stuck_threads", &self.stuck_threads)?;
        fields.serialize_entry(
            "limits",
            &json!({"history_events": self.history_max, "history_bytes": self.history_bytes_max, "max_workers": self.max_workers, "follow_ups": FOLLOW_UPS_MAX, "stuck_after_us": micros(self.stuck_after)}),
        )?;
        fields.end()
    }
}
