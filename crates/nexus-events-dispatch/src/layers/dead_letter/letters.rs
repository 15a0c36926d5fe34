//! All dead letters of a program: parked by layers, listed and discarded by people.

use std::fmt;

use nexus_events_model::{EventId, Text};
use serde_json::Value;

use super::record::{DeadLetter, DeadLetterFilter};
use super::state::{Bounds, State};
use super::store::DeadLetterStore;
use super::stored::Stored;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{DEAD_LETTER_BYTES_DEFAULT, DEAD_LETTERS_DEFAULT};
use crate::store::EventStore;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Dead letters copied at a time, for a list.
const PAGE_LETTERS: usize = 256;

/// The dead letters of one or more handlers. Clones are the same dead letters.
///
/// They are kept in memory, at most 10,000 and 64 MiB of them. When they are full, the next event
/// that is given up is not parked; its outcome shows why, and nothing parked before is lost.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::{DeadLetterFilter, DeadLetters, Retry}};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let (bus, letters) = (Bus::new(), DeadLetters::new());
/// let charge = |event: &Event| match event.payload().get("amount") {
///     Some(_) => Ok(()),
///     None => Err("no amount"),
/// };
/// bus.on("order.*", charge.named("billing").layer(letters.layer()).layer(Retry::new()))?;
/// bus.publish_and_wait(Event::builder("order.created")).await?;
/// let billing = DeadLetterFilter::new().handler("billing");
/// assert_eq!(letters.list(&billing, 10)[0].attempts.len(), 4);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct DeadLetters(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    bounds: Bounds,
    store: Option<Box<dyn DeadLetterStore>>,
    counts: Counts,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) parked: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) discarded: AtomicU64,
}

/// What became of dead letters so far.
///
/// ```
/// use nexus_events_dispatch::layers::DeadLetters;
/// let stats = DeadLetters::new().stats();
/// assert_eq!((stats.letters, stats.letters_max), (0, 10_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterStats {
    /// How many there are.
    pub letters: usize,
    /// The most there can be.
    pub letters_max: usize,
    /// About how many bytes they hold.
    pub bytes: usize,
    /// The most they can hold.
    pub bytes_max: usize,
    /// Events parked, one that failed again after a replay included.
    pub parked: u64,
    /// Events that could not be parked.
    pub refused: u64,
    /// Events that a replay got through.
    pub replayed: u64,
    /// Events that were discarded.
    pub discarded: u64,
}

impl DeadLetters {
    /// Empty, in memory, at most 10,000 dead letters and 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::bounded(DEAD_LETTERS_DEFAULT, DEAD_LETTER_BYTES_DEFAULT)
    }

    /// Empty, in memory, at most so many dead letters and about so many bytes.
    #[must_use]
    pub fn bounded(letters: usize, bytes: usize) -> Self {
        Self::with(State::default(), Bounds { letters, bytes }, None)
    }

    /// What is in this store, written through to it from now on; at most as many as in
    /// [`new`](Self::new), beside those that are there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: impl DeadLetterStore) -> Result<Self> {
        let mut state = State::default();
        for letter in store.load().await? {
            state.load(letter);
        }
        let bounds = Bounds { letters: DEAD_LETTERS_DEFAULT, bytes: DEAD_LETTER_BYTES_DEFAULT };
        Ok(Self::with(state, bounds, Some(Box::new(store))))
    }

    /// What is in this event store, written through to it from now on, as [`open`](Self::open).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{layers::DeadLetters, store::MemoryStore};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let letters = DeadLetters::stored(Arc::new(MemoryStore::new())).await?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store, and [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn stored(store: Arc<dyn EventStore>) -> Result<Self> {
        Self::open(Stored(store)).await
    }

    fn with(state: State, bounds: Bounds, store: Option<Box<dyn DeadLetterStore>>) -> Self {
        let counts = Counts::default();
        Self(Arc::new(Inner { state: Mutex::new(state), bounds, store, counts }))
    }

    /// The dead letter with this id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<DeadLetter> {
        self.state(|state| state.get(id).cloned())
    }

    /// The first `limit` that match, oldest first.
    #[must_use]
    pub fn list(&self, filter: &DeadLetterFilter, limit: usize) -> Vec<DeadLetter> {
        // A filter may read a payload, which is the program's own code, so not under the lock.
        let page = |after| -> Vec<DeadLetter> {
            self.state(|state| state.after(after).take(PAGE_LETTERS).cloned().collect())
        };
        let next = |last: &Vec<DeadLetter>| last.last().map(|letter| page(letter.id));
        std::iter::successors(Some(page(filter.after)), next)
            .take_while(|page| !page.is_empty())
            .flatten()
            .filter(|letter| filter.matches(letter))
            .take(limit)
            .collect()
    }

    /// Those that match, as a list of [`DeadLetter::to_json`].
    #[must_use]
    pub fn export(&self, filter: &DeadLetterFilter) -> Value {
        self.list(filter, usize::MAX).iter().map(DeadLetter::to_json).collect()
    }

    /// Gives one up for good; what it was.
    ///
    /// ```
    /// use nexus_events_dispatch::{ErrorKind, layers::DeadLetters};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let error = DeadLetters::new().discard(7).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::UnknownDeadLetter);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownDeadLetter`]; those of the store, then it stays.
    pub async fn discard(&self, id: u64) -> Result<DeadLetter> {
        let letter = self.remove(id).await?.ok_or_else(|| unknown(id))?;
        self.0.counts.discarded.fetch_add(1, Ordering::Relaxed);
        Ok(letter)
    }

    /// How many there are and what became of others.
    #[must_use]
    pub fn stats(&self) -> DeadLetterStats {
        let (letters, bytes) = self.state(|state| (state.len(), state.bytes));
        let Counts { parked, refused, replayed, discarded } = &self.0.counts;
        DeadLetterStats {
            letters,
            letters_max: self.0.bounds.letters,
            bytes,
            bytes_max: self.0.bounds.bytes,
            parked: parked.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            replayed: replayed.load(Ordering::Relaxed),
            discarded: discarded.load(Ordering::Relaxed),
        }
    }

    /// Whether an event of this handler is parked.
    pub(crate) fn has(&self, handler: &Text, event: &EventId) -> bool {
        self.state(|state| state.has(handler, event))
    }

    /// Keeps a letter of this content in memory; its id is given here.
    pub(super) fn park_in_memory(&self, letter: DeadLetter) -> Result<()> {
        self.count(self.keep(letter).map(|_| ()))
    }

    /// The same, written through to the store when there is one.
    pub(crate) async fn park(&self, letter: DeadLetter) -> Result<()> {
        self.count(self.write_through(letter).await)
    }

    fn count(&self, parked: Result<()>) -> Result<()> {
        let counts = &self.0.counts;
        let count = if parked.is_ok() { &counts.parked } else { &counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
        parked
    }

    fn keep(&self, letter: DeadLetter) -> Result<(u64, Option<DeadLetter>)> {
        let bounds = self.0.bounds;
        // Where the letter is refused, the payload's drop is not under the lock.
        let _outlives = letter.event.clone();
        self.state(|state| state.put(letter, bounds))
    }

    async fn write_through(&self, letter: DeadLetter) -> Result<()> {
        let (id, before) = self.keep(letter)?;
        let Some(store) = &self.0.store else { return Ok(()) };
        let Some(letter) = self.get(id) else { return Ok(()) };
        let stored = store.put(letter).await;
        if stored.is_err() {
            let removed = self.state(|state| match before {
                Some(before) => state.load(before),
                None => state.remove(id),
            });
            drop(removed);
        }
        stored
    }

    pub(super) async fn remove(&self, id: u64) -> Result<Option<DeadLetter>> {
        if let Some(store) = &self.0.store {
            store.remove(id).await?;
        }
        Ok(self.state(|state| state.remove(id)))
    }

    pub(super) fn has_store(&self) -> bool {
        self.0.store.is_some()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// What is dropped in here is dropped under the lock, so a letter must get out.
    pub(super) fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.state.lock())
    }
}

pub(super) fn unknown(id: u64) -> Error {
    let message = format!("there is no dead letter {id}; `list` shows those that there are");
    Error::new(ErrorKind::UnknownDeadLetter, message)
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetters").field(&self.stats()).finish()
    }
}
