//! The reference implementation of the port: everything in memory, gone with the process.

mod happened;
mod pages;
mod retention;
mod state;

use std::fmt;

use self::state::State;
use super::append::{Append, Appended};
use super::maintenance::{
    Capabilities, CloseReport, Integrity, Progress, Retention, StoreStats, Trimmed,
};
use super::offset::{Bounds, Offset};
use super::read::{Page, Read, Scan, StateEntry, Versioned};
use super::{EventStore, StateStore};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::handler::BoxFuture;
use crate::limits::{MEMORY_STORE_BYTES_DEFAULT, MEMORY_STORE_EVENTS_DEFAULT};
use crate::sync::{Mutex, Notify};

/// A store in memory: the reference for what a store does, and one to test with. All ack levels
/// mean the lowest.
///
/// It keeps 100,000 events and 64 MiB of them unless told otherwise, and longer what a cursor has
/// not passed: when that is more than the bounds allow, it is full.
///
/// ```
/// use nexus_events_dispatch::store::{Append, EventStore, MemoryStore, StateStore};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// store.append(Append::new().put("counts", "a", "1")).await?;
/// assert_eq!(store.get("counts", b"a").await?.unwrap().version, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Box<dyn Clock>,
    retention: Retention,
    grown: Notify,
}

impl MemoryStore {
    /// Empty, with the bounds above.
    #[must_use]
    pub fn new() -> Self {
        let retention =
            Retention::new().events(MEMORY_STORE_EVENTS_DEFAULT).bytes(MEMORY_STORE_BYTES_DEFAULT);
        Self::keeping(retention)
    }

    /// Empty, and keeps so much.
    ///
    /// ```
    /// use nexus_events_dispatch::store::{Held, MemoryStore, Retention};
    /// let store = MemoryStore::keeping(Retention::new().events(10).held(Held::Remove));
    /// ```
    #[must_use]
    pub fn keeping(retention: Retention) -> Self {
        Self {
            state: Mutex::new(State::new()),
            clock: Box::new(SystemClock),
            retention,
            grown: Notify::new(),
        }
    }

    /// With another clock.
    ///
    /// ```
    /// use nexus_events_dispatch::{ManualClock, store::MemoryStore};
    /// let store = MemoryStore::new().clock(ManualClock::new(time::OffsetDateTime::UNIX_EPOCH));
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    fn open<T>(&self, with: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        match state.closed {
            true => Err(closed()),
            false => with(&mut state),
        }
    }

    fn commit(&self, mut append: Append) -> Result<Appended> {
        let now = self.clock.now();
        // Payloads may run code when they are dropped, so those of a refused append and of removed
        // events outlive the lock.
        let done = self.open(|state| state.append(&mut append, now, self.retention));
        let (appended, removed) = done?;
        self.grown.notify_waiters();
        drop(removed);
        Ok(appended)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryStore").field(&self.stats()).finish()
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed; open it again")
}

fn now<'a, T: Send + 'a>(result: Result<T>) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(result))
}

impl StateStore for MemoryStore {
    fn get<'a>(
        &'a self,
        space: &'a str,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Versioned>>> {
        now(self.open(|state| Ok(state.get(space, key))))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>> {
        now(self.open(|state| Ok(state.scan(&scan))))
    }
}

impl EventStore for MemoryStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        now(self.commit(append))
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page>> {
        let part = self.open(|state| state.part(&read));
        // A filter may read a payload, which is the program's own code, so not under the lock.
        now(part.map(|part| part.page(read)))
    }

    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            loop {
                let mut grown = std::pin::pin!(self.grown.notified());
                grown.as_mut().enable();
                if self.open(|state| Ok(state.bounds().last > offset))? {
                    return Ok(());
                }
                grown.await;
            }
        })
    }

    fn bounds(&self) -> Bounds {
        self.state.lock().bounds()
    }

    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>> {
        now(self.open(|state| Ok(state.key_version(key))))
    }

    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>> {
        let time = self.clock.now();
        let trimmed = self.open(|state| state.trim(retention, time));
        now(trimmed.map(|(trimmed, removed)| {
            drop(removed);
            trimmed
        }))
    }

    fn compact(&self, _: Progress) -> BoxFuture<'_, Result<u64>> {
        let message = "a store in memory has no room to give back; it holds what it keeps";
        now(self.open(|_| Err(Error::new(ErrorKind::Unsupported, message))))
    }

    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>> {
        let found = self.open(|state| Ok(state.integrity()));
        if let Ok(integrity) = &found {
            progress.say(integrity.events, integrity.events);
        }
        now(found)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    fn stats(&self) -> StoreStats {
        self.state.lock().stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<CloseReport>> {
        self.state.lock().closed = true;
        self.grown.notify_waiters();
        now(Ok(CloseReport::default()))
    }
}
