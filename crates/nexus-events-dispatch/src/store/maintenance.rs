//! Looking after a store.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::append::Ack;
use super::offset::Offset;
use crate::sync::Arc;

/// What a store can do. Conformance tests check what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The highest level that means what it says; a request for a higher one is answered at this
    /// one.
    pub ack_max: Ack,
    /// Whether it can give room back to the disk.
    pub compaction: bool,
    /// Whether it notices damage.
    pub checksums: bool,
    /// The most events of one append.
    pub append_events_max: usize,
    /// About the most bytes of one append.
    pub append_bytes_max: usize,
    /// How many idempotency keys it remembers at least, if it has that many younger than
    /// [`dedup_window`](Self::dedup_window).
    pub dedup_keys: usize,
    /// How long it remembers an idempotency key.
    pub dedup_window: Duration,
}

impl Capabilities {
    /// Those of a store in memory, to change from there.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ack_max: Ack::Memory,
            compaction: false,
            checksums: false,
            append_events_max: crate::limits::APPEND_EVENTS_MAX,
            append_bytes_max: crate::limits::APPEND_BYTES_MAX,
            dedup_keys: crate::limits::IDEMPOTENCY_KEYS_MAX,
            dedup_window: crate::limits::IDEMPOTENCY_WINDOW,
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to events that a cursor has not passed, when they are beyond the bounds of a
/// [`Retention`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Held {
    /// They stay until all cursors have passed them.
    #[default]
    Keep,
    /// They go. A consumer that comes to them finds that they are gone, counts them and goes on
    /// behind them.
    Remove,
}

/// How much of the log is kept; whichever bound is met first.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::store::{Held, Retention};
/// let week = Retention::new().age(Duration::from_secs(7 * 24 * 3600)).bytes(1 << 30).held(Held::Keep);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "it does nothing until a store is given it"]
#[non_exhaustive]
pub struct Retention {
    /// The most events.
    pub events_max: Option<u64>,
    /// About the most bytes of events.
    pub bytes_max: Option<u64>,
    /// The longest since they were recorded.
    pub age_max: Option<Duration>,
    /// What holds for events that a cursor has not passed.
    pub held: Held,
}

impl Retention {
    /// Everything is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many events.
    pub fn events(mut self, most: u64) -> Self {
        self.events_max = Some(most);
        self
    }

    /// At most about so many bytes of events.
    pub fn bytes(mut self, most: u64) -> Self {
        self.bytes_max = Some(most);
        self
    }

    /// No event that was recorded longer ago.
    pub fn age(mut self, longest: Duration) -> Self {
        self.age_max = Some(longest);
        self
    }

    /// What holds for events that a cursor has not passed. Default: they stay.
    pub fn held(mut self, held: Held) -> Self {
        self.held = held;
        self
    }
}

/// What a trim has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trimmed {
    /// How many events were removed.
    pub events: u64,
    /// The oldest that is kept now, or the next one to come.
    pub first: Offset,
    /// How many events are beyond the bounds but stay, and the consumer whose cursor holds them.
    pub held: Option<(u64, String)>,
    /// How many events were removed that cursors had not passed, by consumer.
    pub lost: Vec<(String, u64)>,
}

impl Trimmed {
    /// Nothing was removed; for those who write a store.
    #[must_use]
    pub fn nothing(first: Offset) -> Self {
        Self { events: 0, first, held: None, lost: Vec::new() }
    }
}

/// What was found when everything was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Integrity {
    /// Events that are as they were appended.
    pub events: u64,
    /// State that is as it was put.
    pub states: u64,
    /// What is damaged: which offsets cannot be read, if any, and what was found there.
    pub damage: Vec<Damage>,
}

/// Damage in a store, from [`Integrity::damage`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The first and the last offset that cannot be read; `None` for damage elsewhere.
    pub offsets: Option<(Offset, Offset)>,
    /// What was found.
    pub what: String,
}

impl Damage {
    /// For those who write a store.
    #[must_use]
    pub fn new(offsets: Option<(Offset, Offset)>, what: impl Into<String>) -> Self {
        Self { offsets, what: what.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offsets {
            Some((first, last)) if first == last => write!(f, "offset {first}: {}", self.what),
            Some((first, last)) => write!(f, "offsets {first} to {last}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Integrity {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Numbers of a store. What a store does not count is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct StoreStats {
    /// Events that are kept.
    pub events: u64,
    /// About how many bytes they hold.
    pub bytes: u64,
    /// The size of the file, or of what stands for it.
    pub disk_bytes: u64,
    /// Appends that were committed since it was opened, duplicates not counted.
    pub appends: u64,
    /// Appends that had happened before.
    pub duplicates: u64,
    /// Appends that were refused.
    pub refused: u64,
    /// Commits, each with one append or more.
    pub commits: u64,
    /// How often the disk was waited for.
    pub syncs: u64,
    /// Appends that wait now.
    pub waiting: u64,
    /// Idempotency keys that are remembered.
    pub idempotency_keys: u64,
    /// Whether it has failed, and takes nothing any more.
    pub poisoned: bool,
}

/// What was left to do when a store was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Appends that were in line and are committed.
    pub committed: u64,
}

/// Is told how far a long work is. Clones tell the same.
///
/// ```
/// use nexus_events_dispatch::store::Progress;
/// let progress = Progress::new(|done, total| println!("{done} of {total}"));
/// progress.say(1, 2);
/// Progress::none().say(1, 2);
/// ```
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl Progress {
    /// This is called with how much is done, and of how much.
    #[must_use]
    pub fn new(say: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(say)))
    }

    /// Nobody wants to know.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// So much is done, of so much; for those who do the work.
    pub fn say(&self, done: u64, total: u64) {
        if let Some(say) = &self.0 {
            say(done, total);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
