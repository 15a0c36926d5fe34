//! Options of a store.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::limits::{IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_WINDOW};
use nexus_events_dispatch::store::Retention;
use nexus_events_dispatch::{Clock, Result};

use crate::limits::{
    CACHE_BYTES_DEFAULT, COMMIT_SPREAD_MAX, LAG_DEFAULT, QUEUE_APPENDS_DEFAULT, QUEUE_BYTES_DEFAULT,
};
use crate::medium::{FileMedium, Medium};
use crate::opening;
use crate::store::Store;

pub(crate) struct Options {
    pub(crate) retention: Retention,
    pub(crate) cache_bytes: usize,
    pub(crate) lag: Duration,
    pub(crate) queue_appends: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) dedup_window: Duration,
    pub(crate) dedup_keys: usize,
    pub(crate) clock: Box<dyn Clock>,
}

/// Options of a store; see [`Store::builder`].
#[must_use = "it does nothing until a store is opened"]
pub struct StoreBuilder(Options);

impl StoreBuilder {
    pub(crate) fn new() -> Self {
        Self(Options {
            retention: Retention::new(),
            cache_bytes: CACHE_BYTES_DEFAULT,
            lag: LAG_DEFAULT,
            queue_appends: QUEUE_APPENDS_DEFAULT,
            queue_bytes: QUEUE_BYTES_DEFAULT,
            dedup_window: IDEMPOTENCY_WINDOW,
            dedup_keys: IDEMPOTENCY_KEYS_MAX,
            clock: opening::clock(),
        })
    }

    /// How much of the log is kept. Default: everything.
    ///
    /// It is enforced every 256 commits, and at least once a minute or, where that is shorter, once
    /// in the age; what is beyond it may stay that much longer.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.0.retention = retention;
        self
    }

    /// How many bytes of the file are kept in memory. Default: 64 MiB.
    pub fn cache_bytes(mut self, most: usize) -> Self {
        self.0.cache_bytes = most;
        self
    }

    /// How long a commit may wait for more appends while nobody in it waits for the disk: as long as
    /// that, a publisher with [`Ack::Memory`](nexus_events_dispatch::store::Ack::Memory) is answered
    /// at once, and what it appends is shown to readers that much later. Default: 2 ms; at
    /// most 10 ms, as all of a commit is recorded at one time.
    pub fn lag(mut self, longest: Duration) -> Self {
        self.0.lag = longest.min(COMMIT_SPREAD_MAX);
        self
    }

    /// How many appends may wait to be committed, and about how many bytes of them; one always may.
    /// More are refused as [`Overloaded`](nexus_events_dispatch::ErrorKind::Overloaded).
    /// Default: 65,536 and 128 MiB.
    pub fn queue(mut self, appends: usize, bytes: usize) -> Self {
        self.0.queue_appends = appends.max(1);
        self.0.queue_bytes = bytes;
        self
    }

    /// How long an idempotency key is remembered, and how many of them at most. Default: 10 minutes
    /// and 1,000,000.
    pub fn dedup(mut self, window: Duration, keys: usize) -> Self {
        self.0.dedup_window = window;
        self.0.dedup_keys = keys;
        self
    }

    /// Another clock than the machine's, for the times when events are recorded.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.0.clock = Box::new(clock);
        self
    }

    /// Opens the store in this file, which is made when it is not there.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        self.open_on(Arc::new(FileMedium), path)
    }

    /// Opens the store in this file of another medium than the machine's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(self, medium: Arc<dyn Medium>, path: impl AsRef<Path>) -> Result<Store> {
        let (window, keys) = (self.0.dedup_window, self.0.dedup_keys);
        let (shared, writer) = opening::open(medium, path.as_ref(), self.0)?;
        Store::start(shared, writer, window, keys)
    }
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder")
            .field("retention", &self.0.retention)
            .field("cache_bytes", &self.0.cache_bytes)
            .field("dedup_window", &self.0.dedup_window)
            .finish_non_exhaustive()
    }
}
