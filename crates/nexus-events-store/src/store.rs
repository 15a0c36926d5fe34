//! The store as its users see it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nexus_events_dispatch::store::{
    Ack, Append, Appended, Bounds, Capabilities, CloseReport, EventStore, Integrity, Offset, Page,
    Progress, Read, Retention, Scan, StateEntry, StateStore, StoreStats, Trimmed, Versioned,
};
use nexus_events_dispatch::{BoxFuture, Error, Result};
use nexus_events_model::Text;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::builder::StoreBuilder;
use crate::error::{Fault, closed};
use crate::medium::Medium;
use crate::queue::{Answer, Waiting, Work};
use crate::shared::{Shared, add};
use crate::writer::Writer;
use crate::{page, states, verify};

/// A durable store in one file.
///
/// One thread writes; it commits together what waits meanwhile. Reading goes on beside it. When the
/// last handle is dropped, what is in line is committed and the file closed, which the drop waits
/// for; [`close`](EventStore::close) does the same and says what came of it.
///
/// ```
/// use nexus_events_dispatch::store::{Append, EventStore, Read};
/// use nexus_events_model::Event;
/// use nexus_events_store::Store;
/// # let path = std::env::temp_dir().join(format!("nexus-store-{}", std::process::id()));
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = Store::open(&path)?;
/// let event = Event::builder("order.created").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
/// store.append(Append::of(event)).await?;
/// drop(store);
///
/// let store = Store::open(&path)?;
/// assert_eq!(store.read(Read::all()).await?.events[0].event.id(), &"1");
/// # drop(store); std::fs::remove_file(&path).unwrap();
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    dedup_window: Duration,
    dedup_keys: usize,
}

impl Store {
    /// Opens the store in this file, which is made when it is not there; its folder must be.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`](nexus_events_dispatch::ErrorKind::InUse) when it is open already, here
    /// or elsewhere; [`ErrorKind::Format`](nexus_events_dispatch::ErrorKind::Format) for a file that
    /// is no store, or one of a newer version;
    /// [`ErrorKind::Corrupt`](nexus_events_dispatch::ErrorKind::Corrupt) for damage that shows at
    /// once; [`ErrorKind::Store`](nexus_events_dispatch::ErrorKind::Store) when the file cannot be
    /// read or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// As [`open`](Self::open), on another medium than the machine's files.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(medium: Arc<dyn Medium>, path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open_on(medium, path)
    }

    /// A store with other options than the usual ones.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nexus_events_dispatch::store::Retention;
    /// use nexus_events_store::Store;
    /// # let path = std::env::temp_dir().join(format!("nexus-built-{}", std::process::id()));
    /// let week = Retention::new().age(Duration::from_secs(7 * 24 * 3600));
    /// let store = Store::builder().retention(week).cache_bytes(16 << 20).open(&path)?;
    /// # drop(store); std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn builder() -> StoreBuilder {
        StoreBuilder::new()
    }

    pub(crate) fn start(
        shared: Arc<Shared>,
        writer: Writer,
        dedup_window: Duration,
        dedup_keys: usize,
    ) -> Result<Self> {
        let started = std::thread::Builder::new()
            .name("nexus-store".to_owned())
            .spawn({
                let shared = shared.clone();
                move || {
                    // Should it ever panic, nobody waits for ever.
                    if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                        shared.abandon();
                    }
                }
            })
            .map_err(|error| Fault::from(error).at(&shared.path))?;
        Ok(Self { shared, writer: Some(started), dedup_window, dedup_keys })
    }

    /// The file it is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// On a thread that may wait for the disk, where there are others.
    pub(crate) fn blocking<'s, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'s, Result<T>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            match Handle::try_current() {
                Ok(runtime) => match runtime.spawn_blocking(move || work(&shared)).await {
                    Ok(done) => done,
                    Err(_) => Err(closed()),
                },
                Err(_) => work(&shared),
            }
        })
    }

    /// Lets the writer do something.
    fn ask<'s, T: Send + 'static>(
        &self,
        work: impl FnOnce(Answer<T>) -> Work,
    ) -> BoxFuture<'s, Result<T>> {
        let (answer, answered) = oneshot::channel();
        let put = self.shared.check().and_then(|()| self.shared.queue.put(work(answer)));
        Box::pin(async move {
            put?;
            answered.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    fn checked(&self, append: &Append) -> Result<usize> {
        self.shared.check()?;
        append.check()?;
        for keyed in &append.events {
            // Written here, so that the one thread that writes to the disk need not.
            keyed.event.payload().json()?;
        }
        let (size, most) = (append.size(), self.capabilities());
        let events = append.events.len();
        match events > most.append_events_max || size > most.append_bytes_max {
            false => Ok(size),
            true => Err(Error::of_store(
                nexus_events_dispatch::ErrorKind::TooLarge,
                format!(
                    "an append has {events} events and about {size} bytes, the most are {} and {}; split it",
                    most.append_events_max, most.append_bytes_max
                ),
            )),
        }
    }
}

impl StateStore for Store {
    fn get<'a>(
        &'a self,
        space: &'a str,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Versioned>>> {
        let (space, key) = (Text::from(space), key.to_vec());
        self.blocking(move |shared| shared.read(|database| states::get(database, &space, &key)))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>> {
        self.blocking(move |shared| shared.read(|database| states::scan(database, &scan)))
    }
}

impl EventStore for Store {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        let (answer, answered) = oneshot::channel();
        let queued = self.checked(&append).and_then(|size| {
            let waiting = Waiting { append, size, answer };
            self.shared.queue.append(waiting)
        });
        if queued.is_err() {
            add(&self.shared.counts.refused, 1);
        }
        Box::pin(async move {
            queued?;
            answered.await.unwrap_or_else(|_| Err(self.shared.check().err().unwrap_or_else(closed)))
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page>> {
        let there = self.shared.check().and_then(|()| {
            page::from_memory(&self.shared, &read).map_err(|fault| self.shared.said(fault))
        });
        match there.transpose() {
            Some(page) => Box::pin(std::future::ready(page)),
            None => self.blocking(move |shared| {
                shared.read(|database| page::from_disk(shared, database, &read))
            }),
        }
    }

    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut shown = self.shared.shown.subscribe();
            loop {
                self.shared.check()?;
                if shown.borrow_and_update().bounds.last > offset {
                    return Ok(());
                }
                if shown.changed().await.is_err() {
                    return Err(closed());
                }
            }
        })
    }

    fn bounds(&self) -> Bounds {
        self.shared.bounds()
    }

    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>> {
        let key = Text::from(key);
        self.ask(|answer| Work::KeyVersion(key, answer))
    }

    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>> {
        self.ask(|answer| Work::Trim(retention, answer))
    }

    fn compact(&self, progress: Progress) -> BoxFuture<'_, Result<u64>> {
        self.ask(|answer| Work::Compact(progress, answer))
    }

    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>> {
        self.blocking(move |shared| {
            shared.read(|database| verify::verify(shared, database, &progress))
        })
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new();
        capabilities.ack_max = Ack::Synced;
        capabilities.compaction = true;
        capabilities.checksums = true;
        capabilities.dedup_window = self.dedup_window;
        capabilities.dedup_keys = self.dedup_keys;
        capabilities
    }

    fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<CloseReport>> {
        self.shared.queue.shut(closed);
        Box::pin(async move {
            let mut shown = self.shared.shown.subscribe();
            loop {
                shown.borrow_and_update();
                let said = self.shared.report.lock().clone();
                if let Some(said) = said {
                    return said.map_err(|(kind, text)| Error::of_store(kind, text));
                }
                if shown.changed().await.is_err() {
                    return Err(closed());
                }
            }
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.queue.shut(closed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.shared.path)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
