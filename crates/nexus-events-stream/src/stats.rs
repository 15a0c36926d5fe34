//! What a streamer has done, as numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value;

use crate::close_code::CloseReason;
use crate::queue::Load;

const REASONS: usize = CloseReason::ALL.len();

/// A refusal before a connection is open.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Origin,
    Handshake,
    Full,
    Closing,
}

const REFUSALS: [(Refusal, &str); 4] = [
    (Refusal::Origin, "origin"),
    (Refusal::Handshake, "handshake"),
    (Refusal::Full, "full"),
    (Refusal::Closing, "closing"),
];

/// Numbers that only grow, and two that follow the queues. Nobody orders other memory by them.
#[derive(Default)]
pub(crate) struct Counters {
    delivered: AtomicU64,
    dropped: [AtomicU64; REASONS],
    oversized: AtomicU64,
    disconnected: [AtomicU64; REASONS],
    refused: [AtomicU64; REFUSALS.len()],
    errors: AtomicU64,
    // Signed, because what is written may be subtracted before it is added.
    queued_messages: AtomicI64,
    queued_bytes: AtomicI64,
}

impl Counters {
    pub(crate) fn queued(&self, load: Load) {
        self.shift(load, 1);
    }

    pub(crate) fn delivered(&self, load: Load) {
        self.delivered.fetch_add(load.messages as u64, Ordering::Relaxed);
        self.shift(load, -1);
    }

    /// A client is gone, and with it what waited for it.
    pub(crate) fn disconnected(&self, reason: CloseReason, load: Load) {
        self.disconnected[reason.place()].fetch_add(1, Ordering::Relaxed);
        self.dropped[reason.place()].fetch_add(load.messages as u64, Ordering::Relaxed);
        self.shift(load, -1);
    }

    /// There was no room for a message.
    pub(crate) fn dropped(&self, messages: u64) {
        self.dropped[CloseReason::SlowClient.place()].fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn oversized(&self, messages: u64) {
        self.oversized.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    fn shift(&self, load: Load, sign: i64) {
        if load != Load::default() {
            self.queued_messages.fetch_add(sign * load.messages as i64, Ordering::Relaxed);
            self.queued_bytes.fetch_add(sign * load.bytes as i64, Ordering::Relaxed);
        }
    }

    pub(crate) fn delivered_total(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn errors_total(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(crate) fn queued_now(&self) -> Load {
        let now = |number: &AtomicI64| number.load(Ordering::Relaxed).max(0) as usize;
        Load { messages: now(&self.queued_messages), bytes: now(&self.queued_bytes) }
    }

    pub(crate) fn dropped_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut dropped = by_reason(&self.dropped);
        let oversized = self.oversized.load(Ordering::Relaxed);
        if oversized > 0 {
            *dropped.entry("too_large").or_default() += oversized;
        }
        dropped
    }

    pub(crate) fn disconnected_by_reason(&self) -> BTreeMap<&'static str, u64> {
        by_reason(&self.disconnected)
    }

    pub(crate) fn refused_by_reason(&self) -> BTreeMap<&'static str, u64> {
        nonzero(REFUSALS.iter().map(|(refusal, word)| (*word, &self.refused[*refusal as usize])))
    }
}

fn by_reason(counts: &[AtomicU64; REASONS]) -> BTreeMap<&'static str, u64> {
    nonzero(CloseReason::ALL.iter().map(|reason| (reason.as_str(), &counts[reason.place()])))
}

fn nonzero<'a>(
    counts: impl Iterator<Item = (&'static str, &'a AtomicU64)>,
) -> BTreeMap<&'static str, u64> {
    counts
        .map(|(word, count)| (word, count.load(Ordering::Relaxed)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// What a streamer has done, and what it is doing now. As JSON, the first four fields are those
/// of the seed protocol.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_stream::{StreamOptions, Streamer};
/// let stats = Streamer::new(&Bus::new(), StreamOptions::new())?.stats();
/// let json = serde_json::to_string(&stats).unwrap();
/// assert!(json.starts_with(r#"{"active_streams":0,"total_subscriptions":0,"connected_clients":0,"subscriptions_by_type":{}"#));
/// # Ok::<(), nexus_events_stream::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StreamStats {
    /// Clients that are connected; the seed protocol says it twice.
    pub active_streams: usize,
    /// Subscriptions of all clients.
    pub total_subscriptions: usize,
    /// Clients that are connected.
    pub connected_clients: usize,
    /// How many subscriptions name an event type or pattern.
    pub subscriptions_by_type: BTreeMap<String, usize>,
    /// Event types and patterns left out above, because there are more than 1,000.
    pub subscriptions_by_type_omitted: usize,
    /// Events and broadcasts written, once for each subscription or client.
    pub delivered: u64,
    /// Events and broadcasts that wait for clients.
    pub queued_messages: usize,
    /// How long those are together; an event that waits for several clients is in memory once.
    pub queued_bytes: usize,
    /// Events and broadcasts that were not written, by the reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Connections that ended, by the [reason](CloseReason).
    pub disconnected: BTreeMap<&'static str, u64>,
    /// Connections that were refused: by their `origin`, because of too long a `handshake`,
    /// because the streamer was `full` or `closing`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Error replies.
    pub errors: u64,
    /// The limits in force.
    pub limits: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_place() {
        for (place, (refusal, _)) in REFUSALS.iter().enumerate() {
            assert_eq!(*refusal as usize, place);
        }
    }

    #[test]
    fn what_was_queued_is_delivered_or_dropped() {
        let counters = Counters::default();
        let load = |messages| Load { messages, bytes: messages * 10 };
        counters.queued(load(5));
        counters.delivered(load(2));
        assert_eq!(counters.queued_now(), load(3));
        counters.disconnected(CloseReason::NoPong, load(3));
        counters.dropped(1);
        counters.oversized(4);
        assert_eq!(counters.queued_now(), load(0));
        assert_eq!(counters.delivered_total(), 2);
        let dropped = [("no_pong", 3), ("slow_client", 1), ("too_large", 4)];
        assert_eq!(counters.dropped_by_reason(), BTreeMap::from(dropped));
        assert_eq!(counters.disconnected_by_reason(), BTreeMap::from([("no_pong", 1)]));
    }
}
