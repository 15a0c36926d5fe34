//! The bounds of the server, each a named constant with its unit.
//!
//! ```
//! use nexus_events_server::limits;
//! assert_eq!(limits::JSON_BODY_BYTES_MAX, 1024 * 1024);
//! ```

use std::time::Duration;

use nexus_events_model::limits::EVENT_BYTES_MAX;
use nexus_events_stream::limits::CONNECTIONS_DEFAULT;

/// Largest `application/json` request, in bytes, whatever it holds (1 MiB).
pub const JSON_BODY_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Most lines in one `application/x-ndjson` request.
pub const NDJSON_LINES_MAX: usize = 100_000;

/// How much of a refused request is read and thrown away, in bytes (16 MiB), so that its client
/// gets to read the answer.
pub const REFUSED_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long the headers of a request may take, counted from the answer before it.
pub const HEADERS_WAIT_MAX: Duration = Duration::from_secs(10);

/// Largest headers of a request, in bytes (64 KiB).
pub const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// How long the bytes of an `application/json` request may take in total.
pub const JSON_BODY_WAIT_MAX: Duration = Duration::from_secs(60);

/// How long the bytes of an `application/x-ndjson` request may take in total (10 min).
pub const NDJSON_BODY_WAIT_MAX: Duration = Duration::from_secs(600);

/// How long a request may pause before its next bytes.
pub const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// How long `POST /events` waits for the handlers of one event.
pub const REPORT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Events in one answer of `GET /events` unless it asks for another number.
pub const HISTORY_ANSWER_DEFAULT: usize = 100;

/// Largest answer of `GET /events`, in bytes of events (16 MiB); one event always fits.
pub const HISTORY_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Events of one request that are published before others get a turn, so that the clients that
/// watch are written to in between.
pub const EVENTS_PER_TURN: usize = 64;

/// Connections that are open at the same time: those of the streamer and 2,048 others. Further
/// ones are answered with 503.
pub const CONNECTIONS_MAX: usize = CONNECTIONS_DEFAULT + 2_048;

/// Connections beyond [`CONNECTIONS_MAX`] that are being answered; further ones are closed
/// without an answer.
pub const REFUSALS_MAX: usize = 64;

/// Most blocking handlers that `nexus serve --workers` lets run at the same time; each takes a
/// thread.
pub const WORKERS_MAX: usize = 1_024;

/// Most recent events that `nexus serve --history` keeps in memory.
pub const HISTORY_MAX: usize = 1_000_000;

/// Events, dead letters or scheduled events in one answer unless it asks for another number.
pub const LOG_ANSWER_DEFAULT: usize = 100;

/// Most of them in one answer; `next` in the answer leads on.
pub const LOG_ANSWER_MAX: usize = 10_000;

/// Largest answer of `GET /log`, in bytes of events (16 MiB); one event always fits.
pub const LOG_ANSWER_BYTES_MAX: usize = HISTORY_ANSWER_BYTES_MAX;

/// Pages of the store that one answer of `GET /log` looks through for events that are selected.
pub const LOG_ANSWER_PAGES_MAX: usize = 64;

/// Longest name of a backup that `POST /store/backup` writes, in bytes.
pub const BACKUP_NAME_BYTES_MAX: usize = 64;

/// Events of one request that are stored together, so that they share what they wait for.
pub const STORED_TOGETHER_MAX: usize = 256;

/// How long connections and queues may drain in total when the server stops.
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
const _: () = assert!(EVENT_BYTES_MAX <= HISTORY_ANSWER_BYTES_MAX);
const _: () = assert!(JSON_BODY_BYTES_MAX < REFUSED_BODY_BYTES_MAX);
