//! The bounds of the dispatch core, each a named constant with its unit.
//!
//! ```
//! use nexus_events_dispatch::limits;
//! assert_eq!(limits::HISTORY_EVENTS_DEFAULT, 10_000);
//! ```

use std::time::Duration;

/// Events kept in the history unless the builder says otherwise.
pub const HISTORY_EVENTS_DEFAULT: usize = 10_000;

/// About how many bytes of events the history keeps unless the builder says otherwise (16 MiB);
/// whichever bound is met first.
pub const HISTORY_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// Blocking handlers that run at the same time unless the builder says otherwise.
pub const WORKERS_DEFAULT: usize = 10;

/// Events that wait in one subscription's queue unless its options say otherwise.
pub const QUEUE_EVENTS_DEFAULT: usize = 1_024;

/// Bytes of events that wait in one subscription's queue unless its options say otherwise (8 MiB);
/// whichever bound is met first.
pub const QUEUE_BYTES_DEFAULT: usize = 8 * 1024 * 1024;

/// Turns of low, normal, high and critical events in one round, when all of them wait in one queue.
pub const QUEUE_TURNS: [u8; 4] = [1, 2, 4, 8];

/// For each such time an event has waited in a queue, it counts one priority higher there.
pub const QUEUE_AGEING_STEP: Duration = Duration::from_secs(1);

/// Keys whose events one handler handles at the same time unless its options say otherwise.
pub const KEYED_CONCURRENCY_DEFAULT: usize = 64;

/// How long a publisher waits for room in a full queue before that handler is skipped.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Longest chain of events published by handlers of events published by handlers, and so on.
pub const PUBLISH_DEPTH_MAX: u32 = 64;

/// Follow-up events that wait at the same time on one bus.
pub const FOLLOW_UPS_MAX: usize = 65_536;

/// Events from other handlers' tasks that stand in line before one full queue; they wait as long
/// as a publisher would.
pub const QUEUE_LINE_EVENTS_MAX: usize = 1_024;

/// How long a handler that publishes an event waits for its report.
pub const NESTED_WAIT_MAX: Duration = Duration::from_secs(30);

/// Event types whose matching subscriptions are remembered; others are looked up anew.
pub const ROUTES_CACHED_MAX: usize = 4_096;

/// One in this many events is timed from its publish to the end of its last handler. Of those
/// that pass on a publisher's stack or to shared lanes these are also the ones whose handlers are
/// timed; handlers with a queue of their own, and those whose report is asked for, are timed each
/// time.
pub const TIMED_PASSES: u64 = 64;

/// Of the handlers of such an event one in so many is timed, the next one each time: looking at
/// the clock takes longer than many a handler.
pub const TIMED_HANDLERS: usize = 16;

/// How long a synchronous handler that is queued may hold up its task; one that takes longer is
/// counted and warned about.
pub const SLOW_HANDLER: Duration = Duration::from_millis(100);

/// How often one slow handler is warned about at most.
pub const SLOW_HANDLER_WARNING_EVERY: Duration = Duration::from_secs(60);

/// A call that holds up its thread for longer than this is warned about while it still runs.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(1);

/// A call that holds up its thread for longer than this is given up unless the builder says
/// otherwise: its thread is left to it, and others go on elsewhere.
pub const STUCK_AFTER_DEFAULT: Duration = Duration::from_secs(30);

/// Threads of one bus that are left to calls that do not return. Beyond those, a call that does not
/// return holds up whatever waits for its thread.
pub const STUCK_THREADS_MAX: usize = 8;

/// Handlers that have series of their own in [`BusStats::to_prometheus`]; those of the others are
/// summed up.
///
/// [`BusStats::to_prometheus`]: crate::BusStats::to_prometheus
pub const METRIC_HANDLERS_MAX: usize = 200;

/// Event types for which a [`PatternTable`](crate::PatternTable) remembers what matches.
pub const MATCHES_CACHED_MAX: usize = 4_096;

/// Places at which one filter of a [`FilterIndex`](crate::FilterIndex) is filed at most; a filter
/// that needs more is asked about every event.
pub const FILTER_SPOTS_MAX: usize = 1_024;

/// Steps into a payload that a [`FilterIndex`](crate::FilterIndex) follows at most; a condition
/// that lies deeper is judged by the filter itself.
pub const FILTER_STEPS_MAX: usize = 32;

/// Lanes that queued handlers share, at most; as many as the runtime has workers.
pub const SHARED_LANES_MAX: usize = 8;

/// Events that wait in one of those lanes.
pub const SHARED_LANE_EVENTS: usize = 1_024;

/// About how many bytes of events wait in one of them (8 MiB).
pub const SHARED_LANE_BYTES: usize = 8 * 1024 * 1024;

/// A handler that takes longer than this on a shared lane, several times in turn, gets a lane of
/// its own.
pub const SLOW_TURN: Duration = Duration::from_micros(200);

/// How many times in turn that is.
pub const SLOW_TURNS: usize = 3;

/// Handlers on one shared lane before the next lane gets any. An event for few handlers is queued
/// once then.
pub const SHARED_LANE_HANDLERS: usize = 16;

/// Longest name of a handler, in bytes.
pub const HANDLER_NAME_BYTES_MAX: usize = 255;

/// Attempts of a handler at one event, the first included.
pub const RETRY_ATTEMPTS_MAX: u32 = 20;

/// The delay before the second attempt unless the layer says otherwise.
pub const RETRY_BASE_DEFAULT: Duration = Duration::from_millis(100);

/// The longest delay between two attempts unless the layer says otherwise.
pub const RETRY_CAP_DEFAULT: Duration = Duration::from_secs(30);

/// How long after the first attempt the last one may begin unless the layer says otherwise.
pub const RETRY_BUDGET_DEFAULT: Duration = Duration::from_secs(600);

/// How long a handler may take unless the layer says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Dead letters kept in memory unless said otherwise.
pub const DEAD_LETTERS_DEFAULT: usize = 10_000;

/// About how many bytes of dead letters are kept in memory unless said otherwise (64 MiB);
/// whichever bound is met first.
pub const DEAD_LETTER_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// Longest error text kept in a dead letter, in bytes; what is longer is cut.
pub const DEAD_LETTER_ERROR_BYTES_MAX: usize = 4_096;

/// How long another program waits for one that replays a dead letter of the same store and says
/// nothing any more. One that lives says so three times as often.
pub const DEAD_LETTER_CLAIM: Duration = Duration::from_secs(30);

/// Dead letters without a key that are replayed at the same time, and keys.
pub const DEAD_LETTER_REPLAYS: usize = 8;

/// How long it takes at most until a bus with a store discards dead letters that are too old.
pub const DEAD_LETTER_EXPIRY: Duration = Duration::from_secs(60);

/// Events that wait for their time.
pub const SCHEDULED_MAX: usize = 100_000;

/// Scheduled events that are read at a time to see whether they are due.
pub const SCHEDULED_PAGE: usize = 256;

/// How long it takes at most until a bus with a store notices that the time of day was changed, or
/// that another one has scheduled something.
pub const CLOCK_CHECK: Duration = Duration::from_secs(2);

/// How far the time of day may be from where it should be after that time.
pub const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// How long a key counts as seen unless the layer says otherwise.
pub const DEDUP_WINDOW_DEFAULT: Duration = Duration::from_secs(600);

/// Keys a dedup layer remembers unless it says otherwise.
pub const DEDUP_KEYS_DEFAULT: usize = 1_000_000;

/// Longest key of a dedup layer that is not an event id, in bytes.
pub const DEDUP_KEY_BYTES_MAX: usize = 255;

/// Failures in a row that open a circuit breaker unless it says otherwise.
pub const CIRCUIT_FAILURES_DEFAULT: u32 = 5;

/// How long a circuit breaker stays open unless it says otherwise.
pub const CIRCUIT_PAUSE_DEFAULT: Duration = Duration::from_secs(30);

/// Calls a circuit breaker can take its failure rate from.
pub const CIRCUIT_WINDOW_CALLS_MAX: usize = 10_000;

/// Events of a page of a store's log unless the read says otherwise.
pub const READ_EVENTS_DEFAULT: usize = 256;

/// About how many bytes such a page has (1 MiB), beyond its first event.
pub const READ_BYTES_DEFAULT: usize = 1024 * 1024;

/// Events that a store in memory looks at for one page of a read that selects some; the page ends
/// there, and says how to go on.
pub const READ_SCAN_EVENTS: usize = 4_096;

/// Events of one append.
pub const APPEND_EVENTS_MAX: usize = 16_384;

/// About how many bytes one append has (64 MiB).
pub const APPEND_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest idempotency key, and name of a space, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Longest key that events of a store are ordered by, in bytes.
pub const ORDER_KEY_BYTES_MAX: usize = 255;

/// Longest key of a state, in bytes.
pub const STATE_KEY_BYTES_MAX: usize = 1_024;

/// Idempotency keys that a store remembers.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1_000_000;

/// How long a store remembers an idempotency key.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(600);

/// Events that a store in memory keeps unless told otherwise.
pub const MEMORY_STORE_EVENTS_DEFAULT: u64 = 100_000;

/// About how many bytes of events a store in memory keeps unless told otherwise (64 MiB), and how
/// many bytes of state.
pub const MEMORY_STORE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Events of a batch that stand in the line of a store at the same time.
pub const BATCH_STORED_EVENTS: usize = 1_024;

/// Events of one durable handler that are taken from the log and not handled yet, unless its
/// concurrency asks for more.
pub const CONSUMER_WINDOW_EVENTS: usize = 256;

/// About how many bytes of events these are (8 MiB), beyond the first.
pub const CONSUMER_WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// How often a process may crash while it is at an event, before that is parked, unless its handler
/// says otherwise.
pub const CRASHES_DEFAULT: u32 = 3;

/// An event that has so many crashes left before it is parked is handled alone.
pub const CRASHES_ALONE: u32 = 2;

/// How long a durable handler that could not go on, because its store or its dead letters fail,
/// waits before it tries again.
pub const CONSUMER_PAUSE: Duration = Duration::from_secs(1);

/// Stored events of which it is known where they are, and whether they were cancelled, beside what
/// the store says.
pub const RECENT_EVENTS_MAX: usize = 65_536;

/// Events of one thread that may wait to be filed into the history before it files them; twice as
/// many if somebody else is at it.
pub(crate) const HISTORY_STAGED_EVENTS: usize = 64;

/// About how many bytes these have (16 KiB).
pub(crate) const HISTORY_STAGED_BYTES: usize = 16 * 1024;

/// One thread's are at most one in so many of all events, and bytes, that the history keeps.
pub(crate) const HISTORY_STAGED_PART: usize = 64;

const _: () = assert!(QUEUE_EVENTS_DEFAULT <= FOLLOW_UPS_MAX);
