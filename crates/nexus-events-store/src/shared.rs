//! What the writer and the readers of a store share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events_dispatch::store::{Bounds, CloseReport, Offset, StoreStats};
use nexus_events_dispatch::{Clock, Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use redb::Database;
use tokio::sync::watch;

use crate::backend::Pulse;
use crate::error::{Fault, Outcome, closed, contained};
use crate::medium::{Disk, Medium};
use crate::postings::Postings;
use crate::queue::Queue;
use crate::tail::Tail;

/// Why a store does nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Poisoned,
}

/// What readers see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) bounds: Bounds,
    pub(crate) end: Option<End>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) appends: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) idempotency_keys: AtomicU64,
    /// Copies of the store that are being made.
    pub(crate) copies: AtomicU64,
}

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) medium: Arc<dyn Medium>,
    /// None at the end, so that the file can be opened anew.
    pub(crate) disk: RwLock<Option<Arc<dyn Disk>>>,
    pub(crate) pulse: Arc<Pulse>,
    /// None while it is opened again, and at the end.
    pub(crate) database: RwLock<Option<Database>>,
    pub(crate) shown: watch::Sender<Shown>,
    pub(crate) tail: Mutex<Tail>,
    /// The lookups of events that have no block yet.
    pub(crate) head: Mutex<Postings>,
    pub(crate) queue: Queue,
    pub(crate) counts: Counts,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) lost: Vec<(u64, u64)>,
    pub(crate) cache_bytes: usize,
    /// What closing has come to.
    pub(crate) report: Mutex<Option<Said<CloseReport>>>,
}

/// A result that can be said again.
pub(crate) type Said<T> = std::result::Result<T, (ErrorKind, String)>;

impl Shared {
    pub(crate) fn bounds(&self) -> Bounds {
        self.shown.borrow().bounds
    }

    /// Ends everything, when there is no writer any more.
    pub(crate) fn abandon(&self) {
        self.pulse.kill();
        let error = self.poisoned();
        *self.report.lock() = Some(Err((error.kind(), error.to_string())));
        self.end(End::Poisoned);
        self.queue.abandon(closed);
        self.release();
    }

    /// How long the file is.
    pub(crate) fn disk_bytes(&self) -> Outcome<u64> {
        let disk = self.disk.read().clone();
        Ok(disk.map_or(Ok(0), |disk| disk.len())?)
    }

    /// Lets go of the file.
    pub(crate) fn release(&self) {
        drop(self.database.write().take());
        drop(self.disk.write().take());
    }

    /// Whether a repair has found this offset unreadable.
    pub(crate) fn is_lost(&self, offset: u64) -> bool {
        self.lost.iter().any(|(first, last)| (*first..=*last).contains(&offset))
    }

    /// The error of everything, at the end.
    pub(crate) fn check(&self) -> Result<()> {
        match self.shown.borrow().end {
            None => Ok(()),
            Some(End::Closed) => Err(closed()),
            Some(End::Poisoned) => Err(self.poisoned()),
        }
    }

    pub(crate) fn poisoned(&self) -> Error {
        let message = format!(
            "the disk of `{}` has failed, so nobody knows what it holds; open the store again, which shows all that was answered before",
            self.path.display()
        );
        Error::of_store(ErrorKind::Poisoned, message)
    }

    pub(crate) fn end(&self, end: End) {
        self.shown.send_modify(|shown| {
            shown.end.get_or_insert(end);
        });
    }

    pub(crate) fn show(&self, first: u64, next: u64) {
        self.shown.send_modify(|shown| {
            let (first, last) = (Offset::new(first), Offset::new(next).before());
            shown.bounds = Bounds::new(shown.bounds.epoch, first, last);
        });
    }

    /// Reads from the database.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Database) -> Outcome<T>) -> Result<T> {
        self.check()?;
        let database = self.database.read();
        let Some(database) = &*database else {
            self.check()?;
            let message = format!(
                "`{}` is being opened again, after its disk was full; try again",
                self.path.display()
            );
            return Err(Error::of_store(ErrorKind::Store, message));
        };
        contained(|| read(database)).map_err(|fault| self.said(fault))
    }

    /// As the error of a method.
    pub(crate) fn said(&self, fault: Fault) -> Error {
        match self.check() {
            Err(end) if !matches!(fault, Fault::Said(_)) => end,
            _ => fault.at(&self.path),
        }
    }

    pub(crate) fn stats(&self) -> StoreStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Shown { bounds, end } = *self.shown.borrow();
        let mut stats = StoreStats::default();
        stats.events = bounds.len();
        stats.bytes = count(&self.counts.bytes);
        stats.disk_bytes = self.disk_bytes().unwrap_or_default();
        stats.appends = count(&self.counts.appends);
        stats.duplicates = count(&self.counts.duplicates);
        stats.refused = count(&self.counts.refused);
        stats.commits = count(&self.counts.commits);
        stats.syncs = self.pulse.syncs();
        stats.waiting = self.queue.waiting();
        stats.idempotency_keys = count(&self.counts.idempotency_keys);
        stats.poisoned = end == Some(End::Poisoned);
        stats
    }
}
