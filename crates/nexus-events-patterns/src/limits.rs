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
