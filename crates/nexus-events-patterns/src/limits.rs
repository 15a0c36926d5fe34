//! The bounds of the patterns, each a named constant with its unit. Those that end in `DEFAULT`
//! are changed by an option.
//!
//! ```
//! use nexus_events_patterns::limits;
//! assert_eq!(limits::REQUEST_TIMEOUT_DEFAULT.as_secs(), 30);
//! ```

use std::time::Duration;

/// How long a request waits for its answer.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The longest that a request can wait (a day).
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Requests of one bus that wait for their answer at the same time.
pub const PENDING_REQUESTS_MAX: usize = 1_048_576;

/// Replies to one request that its requester has not taken yet.
pub const REPLIES_WAITING_MAX: usize = 1_024;

/// Replies that a request for many takes.
pub const REPLIES_TAKEN_MAX: usize = 65_536;

/// Event types that answers of one bus come in as events.
pub const REPLY_EVENT_TYPES_MAX: usize = 256;

/// How long a key is gathered for.
pub const GATHER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// The longest that a key can be gathered for (a day).
pub const GATHER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that one gatherer gathers for at the same time.
pub const GATHER_KEYS_DEFAULT: usize = 10_000;

/// Events that are gathered for one key.
pub const GATHER_EVENTS_DEFAULT: usize = 1_000;

/// Bytes of events that one gatherer holds (64 MiB).
pub const GATHER_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// Keys that are over, of which a gatherer knows that what comes for them is late.
pub const GATHER_KEYS_OVER_MAX: usize = 65_536;

/// Events in one causation tree.
pub const TREE_EVENTS_MAX: usize = 10_000;

/// Events of a log that are looked through, from its end, for one of which only the id is known.
pub const TREE_SCANNED_MAX: usize = 1_000_000;

/// How many sagas of one definition are worked on at the same time.
pub const SAGA_CONCURRENCY_DEFAULT: usize = 256;

/// The most that can be asked for.
pub const SAGA_CONCURRENCY_MAX: usize = 4_096;

/// Bytes of a saga's name.
pub const SAGA_NAME_BYTES_MAX: usize = 64;

/// Bytes of a saga's key.
pub const SAGA_KEY_BYTES_MAX: usize = 255;

/// Events that a saga publishes in one go.
pub const SAGA_EVENTS_MAX: usize = 1_024;

/// Timeouts of one saga that have not come.
pub const SAGA_TIMERS_MAX: usize = 1_024;

/// What a saga remembers of what it has done.
pub const SAGA_HISTORY_MAX: usize = 64;

/// The events that a saga knows it has handled.
pub const SAGA_HANDLED_MAX: usize = 64;

/// How often an event is looked for a saga again.
pub const SAGA_REDELIVERIES_MAX: u32 = 100;

/// How often a change of a saga is made again because another was faster.
pub const SAGA_CONFLICTS_MAX: u32 = 10;

/// The shortest wait before that.
pub const SAGA_CONFLICT_PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest.
pub const SAGA_CONFLICT_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Sagas of one definition that have ended and are kept.
pub const SAGA_ENDED_DEFAULT: usize = 10_000;

/// The longest time between two looks for a saga (a year).
pub const SAGA_REDELIVERY_PAUSE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Sagas that are listed at a time.
pub const SAGA_PAGE: usize = 256;

/// Steps of a saga.
pub const SAGA_STEPS_MAX: usize = 256;

/// Steps of a saga that run at the same time.
pub const SAGA_PARALLEL_MAX: usize = 64;

/// Bytes of a step's name.
pub const SAGA_STEP_NAME_BYTES_MAX: usize = 64;

/// Attempts of a step, the first included, unless it says otherwise.
pub const SAGA_STEP_ATTEMPTS_DEFAULT: u32 = 4;

/// Attempts of a compensation unless it says otherwise.
pub const SAGA_COMPENSATION_ATTEMPTS_DEFAULT: u32 = 10;

/// The most that can be asked for, of both.
pub const SAGA_ATTEMPTS_MAX: u32 = 1_000;

/// How often a program may end while a step runs before the saga is parked.
pub const SAGA_RESTARTS_MAX: u32 = 100;

/// A step that waits no longer than this before its next attempt waits in memory, one that waits
/// longer in the store.
pub const SAGA_SHORT_WAIT: Duration = Duration::from_secs(1);

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

/// How far ahead of the clock of the bus an event of an aggregator in event time may be and still
/// close windows.
pub const WINDOW_AHEAD_DEFAULT: Duration = Duration::from_secs(10 * 60);

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
