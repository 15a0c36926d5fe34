//! A store that is closed without being gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_events_dispatch::store::{
    Append, Appended, Bounds, Capabilities, CloseReport, EventStore, Integrity, MemoryStore,
    Offset, Page, Progress, Read, Retention, Scan, StateEntry, StateStore, StoreStats, Trimmed,
    Versioned,
};
use nexus_events_dispatch::{BoxFuture, Error, ErrorKind, Result};
use tokio::sync::Notify;

/// Closes in front of a store in memory; another door opens it again.
pub(super) struct Door {
    store: Arc<MemoryStore>,
    closed: AtomicBool,
    shut: Notify,
}

impl Door {
    pub(super) fn to(store: Arc<MemoryStore>) -> Self {
        Self { store, closed: AtomicBool::new(false), shut: Notify::new() }
    }

    fn error() -> Error {
        Error::of_store(ErrorKind::Closed, "the door is shut; open another one")
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a MemoryStore) -> BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        match self.closed.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(Self::error()) }),
            false => ask(&self.store),
        }
    }
}

impl StateStore for Door {
    fn get<'a>(
        &'a self,
        space: &'a str,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Versioned>>> {
        self.pass(|store| store.get(space, key))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>> {
        self.pass(|store| store.scan(scan))
    }
}

impl EventStore for Door {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        self.pass(|store| store.append(append))
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page>> {
        self.pass(|store| store.read(read))
    }

    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut shut = std::pin::pin!(self.shut.notified());
            shut.as_mut().enable();
            tokio::select! {
                past = self.pass(|store| store.wait_past(offset)) => past,
                () = shut => Err(Self::error()),
            }
        })
    }

    fn bounds(&self) -> Bounds {
        self.store.bounds()
    }

    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>> {
        self.pass(|store| store.key_version(key))
    }

    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>> {
        self.pass(|store| store.trim(retention))
    }

    fn compact(&self, progress: Progress) -> BoxFuture<'_, Result<u64>> {
        self.pass(|store| store.compact(progress))
    }

    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>> {
        self.pass(|store| store.verify(progress))
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<CloseReport>> {
        self.closed.store(true, Ordering::SeqCst);
        self.shut.notify_waiters();
        Box::pin(async { Ok(CloseReport::default()) })
    }
}
