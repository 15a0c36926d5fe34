//! A [`Disk`] as the database below wants it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use redb::StorageBackend;

use crate::medium::Disk;

type Told = Box<dyn FnOnce() + Send>;

/// What goes on between a store and its disk.
#[derive(Default)]
pub(crate) struct Pulse {
    syncs: AtomicU64,
    /// How long the last sync took.
    sync_nanos: AtomicU64,
    /// Somebody wants to know when all of a commit is written, and not yet synced.
    armed: AtomicBool,
    header_written: AtomicBool,
    written: Mutex<Option<Told>>,
    /// Nothing is read or written any more.
    dead: AtomicBool,
}

impl Pulse {
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    pub(crate) fn last_sync_nanos(&self) -> u64 {
        self.sync_nanos.load(Ordering::Relaxed)
    }

    /// Calls this as soon as the operating system has all of the commit that follows.
    pub(crate) fn when_written(&self, told: impl FnOnce() + Send + 'static) {
        *self.written.lock() = Some(Box::new(told));
        self.header_written.store(false, Ordering::Release);
        self.armed.store(true, Ordering::Release);
    }

    /// The commit is over; whether all of it was written.
    pub(crate) fn disarm(&self) -> bool {
        self.armed.store(false, Ordering::Release);
        self.written.lock().take();
        self.header_written.load(Ordering::Acquire)
    }

    /// Lets nothing through any more, to a disk that nobody knows the state of.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
    }

    fn alive(&self) -> io::Result<()> {
        match self.dead.load(Ordering::Acquire) {
            true => Err(io::Error::other("the disk has failed before")),
            false => Ok(()),
        }
    }

    fn about_to_sync(&self) {
        // A sync before the header is written is of a file that grows.
        if self.armed.load(Ordering::Acquire) && self.header_written.load(Ordering::Acquire) {
            self.armed.store(false, Ordering::Release);
            let told = self.written.lock().take();
            if let Some(told) = told {
                told();
            }
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("syncs", &self.syncs).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) pulse: Arc<Pulse>,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.pulse.alive()?;
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.pulse.alive()?;
        self.disk.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pulse.alive()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pulse.alive()?;
        self.pulse.about_to_sync();
        let began = Instant::now();
        self.disk.sync()?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.pulse.sync_nanos.store(nanos, Ordering::Relaxed);
        self.pulse.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pulse.alive()?;
        self.disk.write_at(offset, data)?;
        if offset == 0 {
            self.pulse.header_written.store(true, Ordering::Release);
        }
        Ok(())
    }
}
