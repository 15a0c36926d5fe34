//! The machine's files, with a count of what is written to them and how long syncs take.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nexus_events_store::{Disk, FileMedium, Medium, Opening};

use super::Counts;

#[derive(Debug, Clone, Default)]
pub(crate) struct Counting(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    pub(crate) fn counts(&self) -> Counts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            commits: 0,
            syncs: count(&self.0.syncs),
            sync_nanos: count(&self.0.sync_nanos),
            bytes: count(&self.0.bytes),
        }
    }
}

impl Medium for Counting {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>> {
        let disk = FileMedium.open(path, opening)?;
        Ok(Arc::new(CountingDisk { disk, counters: self.0.clone() }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        FileMedium.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileMedium.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileMedium.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        FileMedium.sync_folder(folder)
    }

    fn free_space(&self, path: &Path) -> io::Result<Option<u64>> {
        FileMedium.free_space(path)
    }
}

#[derive(Debug)]
struct CountingDisk {
    disk: Arc<dyn Disk>,
    counters: Arc<Counters>,
}

impl Disk for CountingDisk {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counters.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.disk.write_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        let began = Instant::now();
        self.disk.sync()?;
        let nanos = began.elapsed().as_nanos() as u64;
        self.counters.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn lock(&self) -> io::Result<bool> {
        self.disk.lock()
    }
}
