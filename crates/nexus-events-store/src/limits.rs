//! The bounds of the store, each a named constant with its unit. Those that end in `DEFAULT` are
//! changed by [`StoreBuilder`](crate::StoreBuilder).
//!
//! ```
//! use nexus_events_store::limits;
//! assert_eq!(limits::BATCH_EVENTS_MAX, 4_096);
//! ```

use std::time::Duration;

/// Bytes of the file that are kept in memory (64 MiB).
pub const CACHE_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// Appends that wait to be committed.
pub const QUEUE_APPENDS_DEFAULT: usize = 65_536;

/// About how many bytes of appends wait to be committed (128 MiB). One append always fits.
pub const QUEUE_BYTES_DEFAULT: usize = 128 * 1024 * 1024;

/// About how many events a commit takes, beyond its first append.
pub const BATCH_EVENTS_MAX: usize = 4_096;

/// About how many bytes a commit takes, beyond its first append (4 MiB).
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Appends that a commit takes.
pub const BATCH_APPENDS_MAX: usize = 4_096;

/// About how many bytes of the newest events are kept in memory as they are (8 MiB).
pub const TAIL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Events after which their lookups are written down as a block.
pub const BLOCK_EVENTS: u64 = 8_192;

/// Keys whose versions have changed after which they are written down.
pub const KEYS_CHANGED_MAX: usize = 32_768;

/// Events with a key after which the versions of keys are written down.
pub const KEYED_EVENTS_MAX: u64 = 131_072;

/// Events that one page of a read looks at, in the search for those that are selected.
pub const LOOKED_AT_MAX: usize = 16_384;

/// Room that the largest commit leaves on the disk, so that a trim and a cursor still find some
/// (1 MiB).
pub const RESERVE_BYTES: u64 = 1024 * 1024;

/// Frames that one step of a trim removes.
pub const TRIM_FRAMES_MAX: usize = 4_096;

/// Commits after which the retention is enforced.
pub const RETENTION_COMMITS: u64 = 256;

/// The longest time after which it is, when there are fewer (1 minute). A shorter age that events
/// may have is the time instead.
pub const RETENTION_WAIT_MAX: Duration = Duration::from_secs(60);

/// The shortest such time (100 ms).
pub const RETENTION_WAIT_MIN: Duration = Duration::from_millis(100);

/// How long a commit may wait for more, while nobody in it waits for the disk (2 ms).
pub const LAG_DEFAULT: Duration = Duration::from_millis(2);

/// Appends of one commit, and so all that are recorded at one time, come within this (10 ms).
pub const COMMIT_SPREAD_MAX: Duration = Duration::from_millis(10);

/// How long a publisher that is answered takes to come again, when others do as well (2 µs).
pub const COMING: Duration = Duration::from_micros(2);

/// Appends that a commit waits for at a time; it takes those meanwhile that have come before.
pub const GATHERED_AT_ONCE: usize = 64;

/// Bytes that a copy of a store writes at a time (16 MiB).
pub const COPY_BYTES: usize = 16 * 1024 * 1024;

/// Rows of a damaged table that may stand before the one that was read before them; with more, the
/// table leads back to where it was read already.
pub const ROWS_ASTRAY_MAX: usize = 64;
