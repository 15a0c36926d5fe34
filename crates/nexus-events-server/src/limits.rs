//! The bounds of the server, each a named constant with its unit.
//!
//! ```
//! use nexus_events_server::limits;
//! assert_eq!(limits::JSON_BODY_BYTES_MAX, 1024 * 1024);
//! ```

use std::time::Duration;

use nexus_events_model::limits::EVENT_BYTES_MAX;

/// Largest `application/json` request, in bytes, whatever it holds (1 MiB).
pub const JSON_BODY_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Most lines in one `application/x-ndjson` request.
pub const NDJSON_LINES_MAX: usize = 100_000;

/// How much of a refused request is read and thrown away, in bytes (16 MiB), so that its client
/// gets to read the answer.
pub const REFUSED_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a request may pause before its next bytes.
pub const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// How long `POST /events` waits for the handlers of one event.
pub const REPORT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Events in one answer of `GET /events` unless it asks for another number.
pub const HISTORY_ANSWER_DEFAULT: usize = 100;

/// Connections that are open at the same time; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4_096;

/// How long connections and queues may drain when the server stops.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// How long the command line waits for an answer: longer than the server waits for handlers.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// Largest answer that the command line reads, in bytes (64 MiB).
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most lines that `nexus publish` puts into one request; as many more wait in memory.
pub const PUBLISH_BATCH_LINES: usize = 256;

/// Largest data file of the demo when unpacked, in bytes (256 MiB); it is held in memory.
pub const DATA_BYTES_MAX: u64 = 256 * 1024 * 1024;

const _: () = assert!(ANSWER_WAIT_MAX.as_secs() > REPORT_WAIT_MAX.as_secs());
const _: () = assert!(PUBLISH_BATCH_LINES <= NDJSON_LINES_MAX);
const _: () = assert!(JSON_BODY_BYTES_MAX < REFUSED_BODY_BYTES_MAX);
