//! A snapshot as text that Prometheus reads, format 0.0.4.
//!
//! Written from the snapshot, without a registry: what is counted is counted elsewhere, for the
//! JSON too, and nothing here is on an event's way.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{Display, Write};
use std::time::Duration;

use super::bus::BusStats;
use super::handler::HandlerStats;
use super::histogram::Latency;
use crate::durable::ConsumerStats;
use crate::limits::METRIC_HANDLERS_MAX;

/// Where the handlers beyond the bound are summed up.
const OTHER: &str = "other";

impl BusStats {
    /// The snapshot in Prometheus' text format, version 0.0.4. All names begin with
    /// `nexus_events_`, times are in seconds.
    ///
    /// The first 200 handlers have series of their own, by the label `handler`; the rest are
    /// summed up as `other`. What a consumer group shares, its queue and what that lost, is told
    /// of its first handler alone.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// bus.on("order.*", (|_: &Event| {}).named("billing"))?;
    /// bus.try_publish(Event::builder("order.created"))?;
    /// let text = bus.stats().to_prometheus();
    /// assert!(text.contains("# TYPE nexus_events_published_total counter\nnexus_events_published_total 1\n"));
    /// assert!(text.contains("nexus_events_handler_runs_total{handler=\"billing\"} 1\n"));
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut text = Text::default();
        self.write_counters(&mut text);
        self.write_gauges(&mut text);
        text.family("publish_seconds", "histogram", PUBLISH_HELP);
        text.histogram("publish_seconds", None, &[&self.publish]);
        let rows = Row::of(&self.handlers);
        write_handler_counters(&rows, &mut text);
        write_queues(&rows, &mut text);
        write_latencies(&rows, &mut text);
        self.write_store(&mut text);
        self.write_consumers(&mut text);
        text.0
    }

    fn write_counters(&self, text: &mut Text) {
        let events = &self.events;
        text.counter(
            "published_total",
            "Published events, follow-ups included.",
            events.total_events,
        );
        text.family(
            "concluded_total",
            "counter",
            "Events that are through, by what became of them.",
        );
        let ends = [
            ("handled", events.handled_events),
            ("cancelled", events.cancelled_events),
            ("filtered", events.filtered_events),
            ("unmatched", events.unmatched_events),
            ("skipped", events.skipped_events),
            ("lost", events.lost_events),
        ];
        for (end, count) in ends {
            text.sample("concluded_total", &[("end", end)], count);
        }
        text.family("runs_total", "counter", "Runs of handlers, ended ones included.");
        text.sample("runs_total", &[("outcome", "success")], events.processed_events);
        text.sample("runs_total", &[("outcome", "failure")], events.failed_events);
        let help = "Handlers that lost an event because their queue was full.";
        text.counter("rejected_total", help, events.rejected);
        let help = "Events of handlers that a layer refused after it had waited.";
        text.counter("refused_total", help, events.refused);
        let help = "Handlers that ended while an event waited for them.";
        text.counter("unsubscribed_total", help, events.unsubscribed);
    }

    fn write_store(&self, text: &mut Text) {
        let Some(store) = &self.store else { return };
        let counters = [
            ("appends", "Appends that were committed.", store.appends),
            ("duplicates", "Appends that had happened before.", store.duplicates),
            ("appends_refused", "Appends that were refused.", store.refused),
            ("commits", "Commits, each with one append or more.", store.commits),
            ("syncs", "How often the disk was waited for.", store.syncs),
        ];
        for (name, help, count) in counters {
            text.counter(&format!("store_{name}_total"), help, count);
        }
        let gauges = [
            ("events", "Events that are kept.", store.events),
            ("bytes", "About how many bytes they hold.", store.bytes),
            ("disk_bytes", "The size of the store on the disk.", store.disk_bytes),
            ("appends_waiting", "Appends that wait for their commit.", store.waiting),
            ("poisoned", "Whether it has failed: 1 if so.", store.poisoned.into()),
        ];
        for (name, help, value) in gauges {
            let name = format!("store_{name}");
            text.family(&name, "gauge", help);
            text.sample(&name, &[], value);
        }
    }

    fn write_consumers(&self, text: &mut Text) {
        type Count = fn(&ConsumerStats) -> u64;
        let families: [(&str, &str, &str, Count); 7] = [
            ("lag", "gauge", "Offsets of the log that it has not passed.", |it| it.lag),
            ("pending", "gauge", "Events taken from the log and not handled.", |it| {
                it.pending as u64
            }),
            ("handled_total", "counter", "Events it has handled.", |it| it.handled),
            ("parked_total", "counter", "Events it gave up.", |it| it.parked),
            ("trimmed_total", "counter", "Events removed before it came to them.", |it| it.trimmed),
            ("redelivered_total", "counter", "Events it was given again.", |it| it.redelivered),
            ("failing", "gauge", "Whether it does not get on: 1 if so.", |it| {
                it.failing.is_some().into()
            }),
        ];
        for (name, kind, help, of) in families.into_iter().filter(|_| !self.consumers.is_empty()) {
            let name = format!("consumer_{name}");
            text.family(&name, kind, help);
            for consumer in self.consumers.iter().take(METRIC_HANDLERS_MAX) {
                text.sample(&name, &[("consumer", &consumer.name)], of(consumer));
            }
        }
    }

    fn write_gauges(&self, text: &mut Text) {
        let events = &self.events;
        text.gauge("in_flight", "Events on their way now.", events.in_flight);
        let help = "Events published by handlers that are on their way now.";
        text.gauge("follow_ups_waiting", help, events.follow_ups_waiting);
        text.gauge("handlers", "Handlers that are registered.", self.handlers.len());
        let help = "Threads that handlers do not give back.";
        text.gauge("stuck_threads", help, self.stuck_threads);
        text.gauge("history_events", "Events in the history.", self.history_size);
    }
}

const PUBLISH_HELP: &str = "From the publish of an event to the end of its last handler; one event in 64 is timed, the count is that of the timed ones.";

const RUNS_HELP: &str = "How long handlers take; inline runs and those of shared lanes are sampled and all others timed, the count is that of the timed ones.";

/// The handlers that share one value of the label.
struct Row<'a> {
    label: &'a str,
    handlers: Vec<&'a HandlerStats>,
    /// Those of them that have their queue to themselves or are the first of their group.
    queues: Vec<&'a HandlerStats>,
}

impl<'a> Row<'a> {
    fn of(handlers: &'a [HandlerStats]) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        let mut other = Self { label: OTHER, handlers: Vec::new(), queues: Vec::new() };
        let mut groups = HashSet::new();
        for handler in handlers {
            let label = handler.handler_id.as_str();
            let row = if rows.len() < METRIC_HANDLERS_MAX && label != OTHER {
                rows.push(Self { label, handlers: Vec::new(), queues: Vec::new() });
                rows.last_mut().unwrap_or(&mut other)
            } else {
                &mut other
            };
            row.handlers.push(handler);
            if handler.group.as_ref().is_none_or(|group| groups.insert(group)) {
                row.queues.push(handler);
            }
        }
        if !other.handlers.is_empty() {
            rows.push(other);
        }
        rows
    }
}

/// One number of a handler.
type Of<N> = fn(&HandlerStats) -> N;

type OfLatency = fn(&HandlerStats) -> &Latency;

fn write_handler_counters(rows: &[Row<'_>], text: &mut Text) {
    let counters: [(&str, &str, Of<u64>); 8] = [
        ("runs", "How often the handler ran.", |handler| handler.execution_count),
        ("errors", "How often it failed or panicked.", |handler| handler.error_count),
        ("panics", "How often it panicked.", |handler| handler.panic_count),
        ("retries", "Further attempts after failures.", |handler| handler.retry_count),
        ("filtered", "Events its filter refused.", |handler| handler.filtered_count),
        ("cancelled", "Events that a higher handler cancelled.", |handler| handler.cancelled_count),
        ("slow", "How often it held up its task for more than 100 ms.", |handler| {
            handler.slow_count
        }),
        ("stuck", "How often a call did not return and was given up.", |handler| {
            handler.stuck_count
        }),
    ];
    for (name, help, of) in counters {
        let name = format!("handler_{name}_total");
        text.family(&name, "counter", help);
        for row in rows {
            let sum: u64 = row.handlers.iter().map(|handler| of(handler)).sum();
            text.sample(&name, &[("handler", row.label)], sum);
        }
    }
}

fn write_queues(rows: &[Row<'_>], text: &mut Text) {
    let help = "Events lost because the queue was full, for whatever reason.";
    text.family("handler_rejected_total", "counter", help);
    for row in rows {
        let sum: u64 = row.queues.iter().map(|handler| handler.rejected_count).sum();
        text.sample("handler_rejected_total", &[("handler", row.label)], sum);
    }
    text.family(
        "handler_dropped_total",
        "counter",
        "Those of them that the queue dropped by its overload policy.",
    );
    for row in rows {
        let reasons: BTreeSet<&str> =
            row.queues.iter().flat_map(|handler| handler.dropped.keys().copied()).collect();
        for reason in reasons {
            let of = |handler: &&HandlerStats| handler.dropped.get(reason).copied().unwrap_or(0);
            let labels = [("handler", row.label), ("reason", reason)];
            text.sample("handler_dropped_total", &labels, row.queues.iter().map(of).sum::<u64>());
        }
    }
    let gauges: [(&str, &str, Of<usize>); 2] = [
        ("handler_queue_events", "Events that wait for the handler.", |handler| handler.queue),
        ("handler_queue_bytes", "About how many bytes they hold.", |handler| handler.queue_bytes),
    ];
    for (name, help, of) in gauges {
        text.family(name, "gauge", help);
        for row in rows.iter().filter(|row| row.has_queue()) {
            let sum: usize = row.queues.iter().map(|handler| of(handler)).sum();
            text.sample(name, &[("handler", row.label)], sum);
        }
    }
    let (name, help) =
        ("handler_queue_oldest_seconds", "How long the one has waited that waits longest.");
    text.family(name, "gauge", help);
    for row in rows.iter().filter(|row| row.has_queue()) {
        let longest = row.queues.iter().filter_map(|handler| handler.queue_wait).max();
        text.sample(name, &[("handler", row.label)], seconds(longest.unwrap_or_default()));
    }
}

impl Row<'_> {
    fn has_queue(&self) -> bool {
        self.queues.iter().any(|handler| handler.queue_max.is_some())
    }
}

fn write_latencies(rows: &[Row<'_>], text: &mut Text) {
    let latencies: [(&str, &str, OfLatency); 2] = [
        ("handler_seconds", RUNS_HELP, |handler| &handler.duration),
        (
            "handler_wait_seconds",
            "How long events waited in the queue before the handler began.",
            |handler| &handler.wait,
        ),
    ];
    for (name, help, of) in latencies {
        text.family(name, "histogram", help);
        for row in rows {
            let timed: Vec<&Latency> = row.handlers.iter().map(|handler| of(handler)).collect();
            // A handler that never ran, or has no queue, would only cost lines.
            if timed.iter().any(|latency| latency.count > 0) {
                text.histogram(name, Some(row.label), &timed);
            }
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// The lines that all samples of one name follow.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string never fails.
        let _ = writeln!(self.0, "# HELP nexus_events_{name} {help}");
        let _ = writeln!(self.0, "# TYPE nexus_events_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "nexus_events_{name}");
        for (at, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if at == 0 { '{' } else { ',' });
            self.escaped(value);
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn escaped(&mut self, value: &str) {
        for char in value.chars() {
            match char {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                char => self.0.push(char),
            }
        }
    }

    fn histogram(&mut self, name: &str, handler: Option<&str>, latencies: &[&Latency]) {
        let mut labels: Vec<(&str, &str)> =
            handler.iter().map(|handler| ("handler", *handler)).collect();
        let mut counts: Vec<(Duration, u64)> = Latency::default().up_to().collect();
        for latency in latencies {
            let more = latency.up_to().map(|(_, count)| count);
            counts.iter_mut().zip(more).for_each(|((_, sum), count)| *sum += count);
        }
        let count: u64 = latencies.iter().map(|latency| latency.count).sum();
        let total: Duration = latencies.iter().map(|latency| latency.total).sum();
        let bucket = format!("{name}_bucket");
        for (bound, count) in counts {
            let bound = seconds(bound).to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &labels, count);
        }
        labels.push(("le", "+Inf"));
        self.sample(&bucket, &labels, count);
        labels.pop();
        self.sample(&format!("{name}_sum"), &labels, seconds(total));
        self.sample(&format!("{name}_count"), &labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut text = Text::default();
        text.sample("a", &[("handler", "a\"b\\c\nd")], 1);
        assert_eq!(text.0, "nexus_events_a{handler=\"a\\\"b\\\\c\\nd\"} 1\n");
    }

    #[test]
    fn bounds_are_plain_decimals_of_seconds() {
        let mut text = Text::default();
        text.histogram("a", None, &[&Latency::default()]);
        let bounds: Vec<&str> = text.0.lines().filter_map(|line| line.split('"').nth(1)).collect();
        assert_eq!(bounds[..4], ["0.000001", "0.0000025", "0.000005", "0.00001"]);
        assert_eq!(bounds[bounds.len() - 4..], ["2.5", "5", "10", "+Inf"]);
    }
}
