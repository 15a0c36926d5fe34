//! From any offset into what comes.

use std::collections::VecDeque;

use super::EventStore;
use super::offset::Offset;
use super::read::{Read, StoredEvent};
use super::select::Select;
use crate::error::Result;
use crate::sync::Arc;

/// Reads a log from any offset on, and then what comes, without a gap and without giving anything
/// twice.
///
/// It holds one page and nothing of what it has not read: a slow follower costs no memory, because
/// what waits for it waits in the store.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::{Bus, store::{Append, EventStore, Follow, MemoryStore, Offset}};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, bus) = (Arc::new(MemoryStore::new()), Bus::new());
/// let mut follow = Follow::new(store.clone(), Offset::START);
/// store.append(Append::of(bus.stamp(Event::builder("a"))?)).await?;
/// assert_eq!(follow.next().await?.offset, Offset::new(1));
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub struct Follow {
    store: Arc<dyn EventStore>,
    read: Read,
    page: VecDeque<StoredEvent>,
    /// Everything up to here was looked at.
    seen: Offset,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("read", &self.read)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Follow {
    /// What is beyond this offset, and what comes. [`Offset::START`] means the oldest that is kept
    /// when it is read, so it never meets [`ErrorKind::Trimmed`](crate::ErrorKind::Trimmed): who
    /// must know whether there was more compares the first offset with 1.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, after: Offset) -> Self {
        Self { store, read: Read::after(after), page: VecDeque::new(), seen: after }
    }

    /// Only these.
    #[must_use]
    pub fn select(mut self, select: Select) -> Self {
        self.read.select = select;
        self
    }

    /// At most so many events are held; default 256.
    #[must_use]
    pub fn events(mut self, most: usize) -> Self {
        self.read = self.read.events(most);
        self
    }

    /// The next event, waited for where there is none. Cancel safe.
    ///
    /// # Errors
    /// Those of [`EventStore::read`] and [`EventStore::wait_past`]. It may be asked again: after
    /// [`ErrorKind::Trimmed`](crate::ErrorKind::Trimmed) it says the same until
    /// [`skip_to`](Self::skip_to).
    pub async fn next(&mut self) -> Result<StoredEvent> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(event);
            }
            if !self.fill().await? {
                self.store.wait_past(self.seen).await?;
            }
        }
    }

    /// The next event that is there already; `None` when all are read.
    ///
    /// # Errors
    /// Those of [`EventStore::read`].
    pub async fn next_there(&mut self) -> Result<Option<StoredEvent>> {
        while self.page.is_empty() && self.fill().await? {}
        Ok(self.page.pop_front())
    }

    /// Goes on after this offset, whatever was read.
    pub fn skip_to(&mut self, after: Offset) {
        self.page.clear();
        self.read.after = after;
        self.seen = after;
    }

    /// Everything up to here was looked at, whether it was selected or not.
    #[must_use]
    pub fn seen(&self) -> Offset {
        match self.page.front() {
            Some(event) => event.offset.before(),
            None => self.seen,
        }
    }

    /// Reads a page; `false` when there is nothing beyond what was read.
    async fn fill(&mut self) -> Result<bool> {
        let last = self.store.bounds().last;
        if last <= self.seen {
            return Ok(false);
        }
        let page = self.store.read(self.read.clone().until(last)).await?;
        self.seen = page.next.as_ref().map_or(last, |next| next.after);
        self.read.after = self.seen;
        self.page.extend(page.events);
        Ok(true)
    }
}
