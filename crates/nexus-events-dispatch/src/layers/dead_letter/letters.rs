//! All dead letters of a program: parked by layers, listed and discarded by people.

use std::fmt;

use nexus_events_model::{EventId, Text};
use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

use super::filter::DeadLetterFilter;
use super::options::DeadLettersBuilder;
use super::record::DeadLetter;
use super::state::{Put, State};
use super::stats::Counts;
use super::store::DeadLetterStore;
use super::stored::{Now, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Epoch, EventStore};
use crate::sync::{Arc, Mutex, Ordering};

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
    settings: DeadLettersBuilder,
    kept: Kept,
    /// Who this is, where several programs use one store.
    owner: Uuid,
    counts: Counts,
}

/// Where they are kept besides in memory.
pub(super) enum Kept {
    Memory,
    Own(Box<dyn DeadLetterStore>),
    Shared(Stored),
}

impl DeadLetters {
    /// Empty, in memory, at most 10,000 dead letters and 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DeadLettersBuilder::default(), Kept::Memory)
    }

    /// Empty, in memory, at most so many dead letters and about so many bytes.
    #[must_use]
    pub fn bounded(letters: usize, bytes: usize) -> Self {
        Self::with(Self::builder().letters(letters).bytes(bytes), Kept::Memory)
    }

    /// Dead letters with other settings.
    pub fn builder() -> DeadLettersBuilder {
        DeadLettersBuilder::default()
    }

    /// What is in this store, written through to it from now on; at most as many as in
    /// [`new`](Self::new), beside those that are there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: impl DeadLetterStore) -> Result<Self> {
        Self::builder().open(store).await
    }

    /// What is in this event store, written through to it from now on, as
    /// [`DeadLettersBuilder::stored`] says.
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
        Self::builder().stored(store).await
    }

    pub(super) fn with(settings: DeadLettersBuilder, kept: Kept) -> Self {
        let (state, counts) = (Mutex::default(), Counts::default());
        let owner = Epoch::random().name();
        Self(Arc::new(Inner { state, settings, kept, owner, counts }))
    }

    /// With those that are in the store.
    pub(super) fn load(self, letters: Vec<DeadLetter>) -> Self {
        letters.into_iter().for_each(|letter| drop(self.state(|state| state.insert(letter))));
        self
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

    pub(super) fn list_ids(&self, filter: &DeadLetterFilter) -> Vec<u64> {
        self.list(filter, usize::MAX).into_iter().map(|letter| letter.id).collect()
    }

    /// Those that match, as a list of [`DeadLetter::to_json`].
    #[must_use]
    pub fn export(&self, filter: &DeadLetterFilter) -> Value {
        self.list(filter, usize::MAX).iter().map(DeadLetter::to_json).collect()
    }

    /// Whether an event of this handler is parked.
    pub(crate) fn has(&self, handler: &Text, event: &EventId) -> bool {
        self.state(|state| state.has(handler, event))
    }

    /// Keeps a letter of this content in memory; its id is given here.
    pub(super) fn park_in_memory(&self, letter: DeadLetter) -> Result<()> {
        self.expire_in_memory(letter.last_failure);
        self.count(self.keep(letter).map(|put| put.gone.len()))
    }

    /// The same, written through to the store when there is one.
    pub(crate) async fn park(&self, letter: DeadLetter) -> Result<()> {
        // What is too old may stay until the next time, if the store fails.
        let _ = self.expire(letter.last_failure).await;
        self.count(self.write_through(letter).await)
    }

    fn count(&self, parked: Result<usize>) -> Result<()> {
        let counts = &self.0.counts;
        let count = if parked.is_ok() { &counts.parked } else { &counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
        let dropped = parked.inspect_err(|error| warn!(%error, "an event could not be parked"))?;
        if dropped > 0 {
            warn!(dropped, "dead letters were dropped to make room");
            counts.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn keep(&self, letter: DeadLetter) -> Result<Put> {
        // Where the letter is refused, the payload's drop is not under the lock.
        let _outlives = letter.event.clone();
        self.state(|state| state.put(letter, &self.0.settings))
    }

    /// Gives back how many went to make room.
    async fn write_through(&self, letter: DeadLetter) -> Result<usize> {
        if self.has_store() {
            // What is no JSON cannot be stored.
            letter.event.payload().json()?;
        }
        loop {
            let put = self.keep(letter.clone())?;
            let (id, dropped) = (put.letter.id, put.gone.len());
            let Err(error) = self.store(&put.letter, &put.gone).await else { return Ok(dropped) };
            self.take_back(put);
            if error.kind() != ErrorKind::Conflict {
                return Err(error);
            }
            // Somebody else has given this id, or changed it.
            self.reload(id).await?;
        }
    }

    fn take_back(&self, put: Put) {
        let removed = self.state(|state| match put.before {
            Some(before) => state.insert(before),
            None => state.remove(put.letter.id),
        });
        drop(removed);
        put.gone.into_iter().for_each(|gone| drop(self.state(|state| state.insert(gone))));
    }

    async fn store(&self, letter: &DeadLetter, gone: &[DeadLetter]) -> Result<()> {
        match &self.0.kept {
            Kept::Memory => Ok(()),
            Kept::Shared(stored) => {
                let gone: Vec<u64> = gone.iter().map(|letter| letter.id).collect();
                stored.put(letter, &gone).await
            }
            Kept::Own(store) => {
                store.put(letter.clone()).await?;
                for letter in gone {
                    store.remove(letter.id).await?;
                }
                Ok(())
            }
        }
    }

    /// The new state of one that is known.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it is another one meanwhile, which is known then; those of the
    /// store.
    pub(super) async fn change(&self, before: &DeadLetter, after: DeadLetter) -> Result<()> {
        let id = after.id;
        if !self.state(|state| state.replace(before, after.clone())) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the dead letter {id} has changed"),
            ));
        }
        let stored = self.store(&after, &[]).await;
        if let Err(error) = &stored {
            self.state(|state| state.replace(&after, before.clone()));
            if error.kind() == ErrorKind::Conflict {
                self.reload(id).await?;
            }
        }
        stored
    }

    pub(super) async fn remove(&self, id: u64) -> Result<Option<DeadLetter>> {
        loop {
            let removed = match &self.0.kept {
                Kept::Memory => Ok(()),
                Kept::Own(store) => store.remove(id).await,
                Kept::Shared(stored) => stored.remove(id).await,
            };
            match removed {
                Err(error) if error.kind() == ErrorKind::Conflict => self.reload(id).await?,
                removed => {
                    removed?;
                    return Ok(self.state(|state| state.remove(id)));
                }
            }
        }
    }

    /// Reads one again that others may have changed.
    pub(super) async fn reload(&self, id: u64) -> Result<()> {
        let Kept::Shared(stored) = &self.0.kept else { return Ok(()) };
        let outdated = match stored.get(id).await? {
            Now::Same => None,
            Now::Changed(letter) => self.state(|state| state.insert(*letter)),
            Now::Gone => self.state(|state| state.remove(id)),
        };
        drop(outdated);
        Ok(())
    }

    /// Reads what other programs, or other dead letters of this one, have done in the same event
    /// store. Where nobody else uses it, or there is none, it changes nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{layers::DeadLetters, store::MemoryStore};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let letters = DeadLetters::stored(Arc::new(MemoryStore::new())).await?;
    /// letters.refresh().await?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store, and [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn refresh(&self) -> Result<()> {
        let Kept::Shared(stored) = &self.0.kept else { return Ok(()) };
        let (changed, ids) = stored.read_all().await?;
        let outdated = changed.into_iter().map(|letter| self.state(|state| state.insert(letter)));
        drop(outdated.collect::<Vec<_>>());
        let gone = stored.forget_others(&ids).into_iter();
        drop(gone.map(|id| self.state(|state| state.remove(id))).collect::<Vec<_>>());
        Ok(())
    }

    pub(super) fn has_store(&self) -> bool {
        !matches!(self.0.kept, Kept::Memory)
    }

    /// Whether others may use the same store.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.0.kept, Kept::Shared(_))
    }

    pub(super) fn owner(&self) -> Uuid {
        self.0.owner
    }

    pub(super) fn bounds(&self) -> &DeadLettersBuilder {
        &self.0.settings
    }

    pub(super) fn has_failure_events(&self) -> bool {
        self.0.settings.failure_events
    }

    pub(super) fn id_of(&self, handler: &Text, event: &EventId) -> Option<u64> {
        self.state(|state| state.id_of(handler, event))
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
