//! The bounds of the patterns, each a named constant with its unit. Those that end in `DEFAULT`
//! are changed by an option.

use std::time::Duration;

// Windows

/// Sliding windows that one event is in.
pub const SLIDING_OVERLAP_MAX: i64 = 128;

/// Events of one window; then it is closed.
pub const WINDOW_EVENTS_DEFAULT: u64 = 1_000_000;

/// Bytes of the events of one window (64 MiB); then it is closed.
pub const WINDOW_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Keys that have open windows; then those of the key used least recently are closed.
pub const WINDOW_KEYS_DEFAULT: usize = 50_000;

/// Most keys that may have open windows.
pub const WINDOW_KEYS_MAX: usize = 1 << 24;

/// Closed windows of one aggregator that wait to be published before it takes no more events.
pub const AGGREGATES_WAITING_MAX: usize = 1_024;

/// How long an aggregator waits before it publishes again what the bus could not take.
pub(crate) const AGGREGATE_PAUSE: Duration = Duration::from_secs(1);

// Batches

/// Most events of one batch.
pub const BATCH_EVENTS_DEFAULT: usize = 100;

/// Most bytes of one batch (4 MiB).
pub const BATCH_BYTES_DEFAULT: usize = 4 * 1024 * 1024;

/// How long the first event of a batch waits for others.
pub const BATCH_INTERVAL_DEFAULT: Duration = Duration::from_millis(250);

/// Failures of a whole batch before its events are tried one by one.
pub const BATCH_PROBE_DEFAULT: u32 = 3;

/// Events that are with one batch handler at the same time: size × concurrency.
pub const BATCH_WAITING_MAX: usize = 65_536;

/// Events that one batcher has room for.
pub const BATCHER_EVENTS_DEFAULT: usize = 10_000;

/// Bytes of events that one batcher has room for (64 MiB). One event always fits.
pub const BATCHER_BYTES_DEFAULT: usize = 64 * 1024 * 1024;
