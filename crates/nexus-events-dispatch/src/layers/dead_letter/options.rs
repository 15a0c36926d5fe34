//! How many dead letters are kept, for how long, and what gives way.

use std::time::Duration;

use super::letters::{DeadLetters, Kept};
use super::store::DeadLetterStore;
use super::stored::Stored;
use crate::error::{Error, Result};
use crate::limits::{DEAD_LETTER_BYTES_DEFAULT, DEAD_LETTERS_DEFAULT};
use crate::store::EventStore;
use crate::sync::Arc;

/// What happens when an event is given up and there is no room for another dead letter.
///
/// ```
/// use nexus_events_dispatch::layers::{DeadLetters, OnFull};
/// let letters = DeadLetters::builder().letters(100).on_full(OnFull::DropOldest).build()?;
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnFull {
    /// It is not parked, and nothing parked before is lost. The outcome shows both errors. A
    /// durable handler does not acknowledge the event then and gets it again, a second later, until
    /// there is room: nothing is lost.
    #[default]
    Refuse,
    /// The oldest dead letters go, and are counted as dropped. Later events of their key, if they
    /// have one, are handled again.
    DropOldest,
}

/// Settings of [`DeadLetters`].
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use nexus_events_dispatch::{layers::DeadLetters, store::MemoryStore};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let settings = DeadLetters::builder().letters(1_000).expire_after(week).failure_events(true);
/// let letters = settings.stored(Arc::new(MemoryStore::new())).await?;
/// assert_eq!(letters.stats().letters_max, 1_000);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a builder does nothing until it is built"]
pub struct DeadLettersBuilder {
    pub(super) letters: usize,
    pub(super) bytes: usize,
    pub(super) on_full: OnFull,
    pub(super) expire_after: Option<Duration>,
    pub(super) failure_events: bool,
}

impl Default for DeadLettersBuilder {
    fn default() -> Self {
        Self {
            letters: DEAD_LETTERS_DEFAULT,
            bytes: DEAD_LETTER_BYTES_DEFAULT,
            on_full: OnFull::default(),
            expire_after: None,
            failure_events: false,
        }
    }
}

impl DeadLettersBuilder {
    /// The most dead letters, at least 1. Default: 10,000.
    pub fn letters(mut self, most: usize) -> Self {
        self.letters = most;
        self
    }

    /// About the most bytes they hold. Default: 64 MiB.
    pub fn bytes(mut self, most: usize) -> Self {
        self.bytes = most;
        self
    }

    /// What happens when there are so many. Default: the next event is not parked.
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// Discards those that failed for the last time longer ago than this, more than 0. It is looked
    /// at whenever an event is parked and, on a bus with a store, every minute. Default: never.
    pub fn expire_after(mut self, age: Duration) -> Self {
        self.expire_after = Some(age);
        self
    }

    /// Publishes an event `system.dead_letter.parked` for each event that is parked, after that.
    /// Its payload is `{"id", "handler", "event_id", "event_type", "error", "attempts"}`. An event
    /// whose type begins with `system.` has none, so that a handler of these cannot go in a circle.
    /// Default: no.
    pub fn failure_events(mut self, publish: bool) -> Self {
        self.failure_events = publish;
        self
    }

    /// Empty, in memory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for a number out of its range.
    pub fn build(self) -> Result<DeadLetters> {
        self.check()?;
        Ok(DeadLetters::with(self, Kept::Memory))
    }

    /// What is in this store, written through to it from now on; those that are there are kept,
    /// whatever the bounds.
    ///
    /// # Errors
    /// As [`build`](Self::build), and those of the store.
    pub async fn open(self, store: impl DeadLetterStore) -> Result<DeadLetters> {
        self.check()?;
        let there = store.load().await?;
        Ok(DeadLetters::with(self, Kept::Own(Box::new(store))).load(there))
    }

    /// The same for an event store, which others may use at the same time: each dead letter is
    /// replayed by one of them, and changed by one of them at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for a dead
    /// letter that cannot be read.
    pub async fn stored(self, store: Arc<dyn EventStore>) -> Result<DeadLetters> {
        self.check()?;
        let stored = Stored::new(store);
        let (there, _) = stored.read_all().await?;
        Ok(DeadLetters::with(self, Kept::Shared(stored)).load(there))
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.letters == 0 {
            return Err(Error::invalid_option("the most dead letters are at least 1"));
        }
        if self.expire_after.is_some_and(|age| age.is_zero()) {
            let message =
                "dead letters expire after more than 0; leave expire_after out to keep them";
            return Err(Error::invalid_option(message));
        }
        Ok(())
    }
}
