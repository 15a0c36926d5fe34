//! Positions in the log.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use serde::Serialize;
use uuid::Uuid;

/// A position in the log: its events have 1, 2, 3 and so on.
///
/// ```
/// use nexus_events_dispatch::store::Offset;
/// assert!(Offset::START < Offset::new(1));
/// assert_eq!(Offset::new(1).next().to_string(), "2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Offset(u64);

impl Offset {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The position with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before it; [`START`](Self::START) has none and stays.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The incarnation of a log. Offsets of different epochs have nothing to do with each other.
///
/// ```
/// use nexus_events_dispatch::store::{EventStore, MemoryStore};
/// assert_ne!(MemoryStore::new().bounds().epoch, MemoryStore::new().bounds().epoch);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(Uuid);

impl Epoch {
    /// The epoch with this name.
    #[must_use]
    pub const fn new(name: Uuid) -> Self {
        Self(name)
    }

    /// One that was never there before, for those who write a store.
    #[must_use]
    pub fn random() -> Self {
        let [high, low] = [0, 1].map(|half: u8| u128::from(RandomState::new().hash_one(half)));
        Self(uuid::Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid())
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which offsets of a log can be read.
///
/// ```
/// use nexus_events_dispatch::store::{EventStore, MemoryStore, Offset};
/// let bounds = MemoryStore::new().bounds();
/// assert_eq!((bounds.first, bounds.last), (Offset::new(1), Offset::START));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Which incarnation of the log this is.
    pub epoch: Epoch,
    /// The oldest event that is kept, or the next one to come.
    pub first: Offset,
    /// The newest event that can be read; the one before `first` when there is none.
    pub last: Offset,
}

impl Bounds {
    /// Of a log of this epoch.
    #[must_use]
    pub const fn new(epoch: Epoch, first: Offset, last: Offset) -> Self {
        Self { epoch, first, last }
    }

    /// How many events that is.
    #[must_use]
    pub const fn len(&self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.first.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
