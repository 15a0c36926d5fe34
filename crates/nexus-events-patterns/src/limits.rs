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
