//! The bounds of the streamer, each a named constant with its unit. Those that end in `DEFAULT`
//! are changed by [`StreamOptions`](crate::StreamOptions).
//!
//! ```
//! use nexus_events_stream::limits;
//! assert_eq!(limits::QUEUE_MESSAGES_DEFAULT, 4_096);
//! ```

use std::time::Duration;

use nexus_events_model::limits::EVENT_BYTES_MAX;

/// Clients that are connected at the same time.
pub const CONNECTIONS_DEFAULT: usize = 10_000;

/// Subscriptions of one client.
pub const SUBSCRIPTIONS_DEFAULT: usize = 128;

/// Entries in the `event_types` of one subscription.
pub const PATTERNS_DEFAULT: usize = 64;

/// Messages that wait for one client.
pub const QUEUE_MESSAGES_DEFAULT: usize = 4_096;

/// Bytes of messages that wait for one client (1 MiB). One message always fits.
pub const QUEUE_BYTES_DEFAULT: usize = 1024 * 1024;

/// Bytes of replies that wait for one client beside its events (64 KiB); its next message is read
/// when there are fewer.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Longest message from a client, in bytes (64 KiB).
pub const INBOUND_BYTES_DEFAULT: usize = 64 * 1024;

/// Messages from one client in a second, on average.
pub const INBOUND_PER_SECOND_DEFAULT: u32 = 50;

/// Messages from one client at once.
pub const INBOUND_BURST_DEFAULT: u32 = 100;

/// Error replies to one client in a minute; the next one closes the connection.
pub const ERRORS_PER_MINUTE_DEFAULT: u32 = 20;

/// Headers of the request that opens a connection, in bytes (16 KiB).
pub const HANDSHAKE_BYTES_DEFAULT: usize = 16 * 1024;

/// Time between two pings, give or take [`PING_JITTER_PERCENT`].
pub const PING_DEFAULT: Duration = Duration::from_secs(25);

/// How long a client may take to answer a ping. Anything it sends is an answer.
pub const PONG_DEFAULT: Duration = Duration::from_secs(10);

/// How long a client may take to read what was written, and to answer a close.
pub const WRITE_STALL_DEFAULT: Duration = Duration::from_secs(10);

/// Least time between two writes to a client, while there are many of them in all.
pub const WRITE_PAUSE_DEFAULT: Duration = Duration::from_millis(1);

/// How many that is: writes to all clients in a second, with 5 µs each a quarter of a processor.
pub const WRITE_PAUSE_ABOVE_DEFAULT: u32 = 50_000;

/// The time over which they are counted.
pub(crate) const WRITE_RATE_WINDOW: Duration = Duration::from_millis(10);

/// Longest least time between two writes to a client.
pub const WRITE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How far a ping may be off, so that clients that came together are not pinged together.
pub const PING_JITTER_PERCENT: u32 = 10;

/// Largest message to a client, in bytes: the largest event and what is around it.
pub const MESSAGE_BYTES_MAX: usize = EVENT_BYTES_MAX + 1024;

/// Event types listed by name in the statistics.
pub const STATS_TYPES_MAX: usize = 1_000;

/// Origins on the allow-list.
pub const ORIGINS_MAX: usize = 64;

/// Messages that are written before there is a look at what the client says.
pub(crate) const BATCH_MESSAGES_MAX: usize = 256;

/// Read buffer of one connection, in bytes. The usual 128 KiB would be most of its memory.
pub(crate) const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Write buffer of one connection, in bytes.
pub(crate) const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// How long a connection that cannot be read any more stays open after its close, for the client
/// to read why.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

const _: () = assert!(QUEUE_BYTES_DEFAULT >= EVENT_BYTES_MAX);
const _: () = assert!(INBOUND_BYTES_DEFAULT <= QUEUE_BYTES_DEFAULT);
const _: () = assert!(BATCH_MESSAGES_MAX <= QUEUE_MESSAGES_DEFAULT);
const _: () = assert!(PONG_DEFAULT.as_secs() < PING_DEFAULT.as_secs());
