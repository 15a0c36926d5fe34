//! What is read from a store.

use std::fmt;

use nexus_events_model::{Event, Text};
use time::OffsetDateTime;

use super::offset::Offset;
use super::select::Select;
use crate::limits::{READ_BYTES_DEFAULT, READ_EVENTS_DEFAULT};

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its position.
    pub offset: Offset,
    /// What it is ordered by, if anything.
    pub key: Option<Text>,
    /// When the store took it.
    pub recorded: OffsetDateTime,
    /// What was appended.
    pub event: Event,
}

impl StoredEvent {
    /// For those who write a store.
    #[must_use]
    pub fn new(offset: Offset, key: Option<Text>, recorded: OffsetDateTime, event: Event) -> Self {
        Self { offset, key, recorded, event }
    }
}

/// In which order events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Direction {
    /// The oldest first.
    #[default]
    Forward,
    /// The newest first.
    Backward,
}

/// Which part of the log is read, at most how much at a time.
///
/// ```
/// use nexus_events_dispatch::store::{Offset, Read, Select};
/// use nexus_events_model::Pattern;
/// let read = Read::after(Offset::new(41)).select(Select::new().pattern(Pattern::new("order.*")?));
/// let newest = Read::all().backward().events(10);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it does nothing until a store is asked"]
#[non_exhaustive]
pub struct Read {
    /// Only events beyond this offset.
    pub after: Offset,
    /// Only events up to this offset, itself included.
    pub until: Option<Offset>,
    /// In which order.
    pub direction: Direction,
    /// Which of them.
    pub select: Select,
    /// The most events of a page; at least one.
    pub events_max: usize,
    /// About the most bytes of a page; its first event is there however large it is.
    pub bytes_max: usize,
}

impl Read {
    /// All that is kept, from the oldest on.
    pub fn all() -> Self {
        Self::after(Offset::START)
    }

    /// What is beyond this offset. [`Offset::START`] means the oldest that is kept.
    pub fn after(offset: Offset) -> Self {
        Self {
            after: offset,
            until: None,
            direction: Direction::Forward,
            select: Select::new(),
            events_max: READ_EVENTS_DEFAULT,
            bytes_max: READ_BYTES_DEFAULT,
        }
    }

    /// Up to this offset, itself included.
    pub fn until(mut self, offset: Offset) -> Self {
        self.until = Some(offset);
        self
    }

    /// The newest first.
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Only these.
    pub fn select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// At most so many events a page; default 256.
    pub fn events(mut self, most: usize) -> Self {
        self.events_max = most.max(1);
        self
    }

    /// At most about so many bytes a page; default 1 MiB.
    pub fn bytes(mut self, most: usize) -> Self {
        self.bytes_max = most;
        self
    }
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// What was selected, in the order asked for.
    pub events: Vec<StoredEvent>,
    /// How to go on: the same read from where this page ends. `None` when nothing more is there.
    /// A store may end a page early, so an empty page can have a next one, which is further on.
    pub next: Option<Read>,
}

impl Page {
    /// For those who write a store.
    #[must_use]
    pub fn new(events: Vec<StoredEvent>, next: Option<Read>) -> Self {
        Self { events, next }
    }
}

/// State with its version.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Versioned {
    /// What is there.
    pub value: Vec<u8>,
    /// The number of the commit that put it there; see
    /// [`Expected::Exact`](super::Expected::Exact).
    pub version: u64,
}

impl Versioned {
    /// For those who write a store.
    #[must_use]
    pub fn new(value: Vec<u8>, version: u64) -> Self {
        Self { value, version }
    }
}

impl fmt::Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, version) = (self.value.len(), self.version);
        f.debug_struct("Versioned").field("bytes", &bytes).field("version", &version).finish()
    }
}

/// State with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateEntry {
    /// The purpose it is kept for.
    pub space: Text,
    /// Its key.
    pub key: Vec<u8>,
    /// What is there.
    pub state: Versioned,
}

impl StateEntry {
    /// For those who write a store.
    #[must_use]
    pub fn new(space: Text, key: Vec<u8>, state: Versioned) -> Self {
        Self { space, key, state }
    }
}

/// Which state is read, in the order of its keys, byte by byte.
///
/// ```
/// use nexus_events_dispatch::store::Scan;
/// let orders = Scan::of("orders").prefix("2026-").limit(100);
/// let next = orders.clone().after("2026-11");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it does nothing until a store is asked"]
#[non_exhaustive]
pub struct Scan {
    /// The purpose the state is kept for.
    pub space: Text,
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Only keys beyond this one.
    pub after: Option<Vec<u8>>,
    /// At most so many; at least one.
    pub limit: usize,
}

impl Scan {
    /// All of this space, 256 at a time.
    pub fn of(space: impl Into<Text>) -> Self {
        let (prefix, limit) = (Vec::new(), READ_EVENTS_DEFAULT);
        Self { space: space.into(), prefix, after: None, limit }
    }

    /// Only keys that begin with this.
    pub fn prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only keys beyond this one.
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// At most so many; at least one.
    pub fn limit(mut self, most: usize) -> Self {
        self.limit = most.max(1);
        self
    }
}
