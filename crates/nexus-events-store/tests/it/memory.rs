//! A medium in memory that fails where a test wants it to.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nexus_events_store::{Disk, Medium, Opening};
use parking_lot::Mutex;

const PAGE: u64 = 4096;

/// Files in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    files: Mutex<HashMap<PathBuf, Arc<File>>>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
pub(crate) struct Faults {
    /// This sync fails, counted from 1.
    pub(crate) sync: AtomicU64,
    /// From this write on, they fail.
    pub(crate) syncs: AtomicU64,
    /// The room of the disk in bytes, and what is taken of it.
    pub(crate) room: AtomicU64,
    pub(crate) taken: AtomicU64,
    /// Whether somebody is told how much room there is.
    pub(crate) tells_room: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            sync: AtomicU64::new(u64::MAX),
            syncs: AtomicU64::new(0),
            room: AtomicU64::new(u64::MAX / 2),
            taken: AtomicU64::new(0),
            tells_room: AtomicBool::new(true),
        }
    }
}

#[derive(Debug, Default)]
struct File {
    bytes: Mutex<Vec<u8>>,
    /// Pages that were written, the only ones that take room.
    pages: Mutex<BTreeSet<u64>>,
    is_locked: AtomicBool,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    faults: Arc<Faults>,
    has_lock: AtomicBool,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Changes the bytes of a file.
    pub(crate) fn damage(&self, path: &Path, damage: impl FnOnce(&mut Vec<u8>)) {
        let file = self.files.lock().get(path).unwrap().clone();
        damage(&mut file.bytes.lock());
    }

    /// The same files on another disk that has no faults.
    pub(crate) fn healed(&self) -> Arc<Self> {
        let copy = |(path, file): (&PathBuf, &Arc<File>)| {
            let bytes = Mutex::new(file.bytes.lock().clone());
            (path.clone(), Arc::new(File { bytes, ..File::default() }))
        };
        let files = Mutex::new(self.files.lock().iter().map(copy).collect());
        Arc::new(Self { files, faults: Arc::default() })
    }
}

impl Medium for Memory {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>> {
        let mut files = self.files.lock();
        let file = match (files.get(path), opening) {
            (Some(file), Opening::Existing) => file.clone(),
            (None, Opening::New) => files.entry(path.to_owned()).or_default().clone(),
            (Some(_), Opening::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Opening::Existing) => return Err(io::ErrorKind::NotFound.into()),
        };
        let has_lock = AtomicBool::new(false);
        Ok(Arc::new(Open { file, faults: self.faults.clone(), has_lock }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.files.lock().contains_key(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().remove(path);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self, _: &Path) -> io::Result<Option<u64>> {
        let Faults { room, taken, tells_room, .. } = &*self.faults;
        let free = room.load(Ordering::SeqCst).saturating_sub(taken.load(Ordering::SeqCst));
        Ok(tells_room.load(Ordering::SeqCst).then_some(free))
    }
}

impl Disk for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.bytes.lock().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.file.bytes.lock();
        let there = bytes.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut pages = self.file.pages.lock();
        let end = offset + data.len() as u64;
        let new: Vec<u64> =
            (offset / PAGE..end.div_ceil(PAGE)).filter(|page| !pages.contains(page)).collect();
        let more = new.len() as u64 * PAGE;
        let taken = self.faults.taken.fetch_add(more, Ordering::SeqCst) + more;
        if taken > self.faults.room.load(Ordering::SeqCst) {
            self.faults.taken.fetch_sub(more, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        pages.extend(new);
        let mut bytes = self.file.bytes.lock();
        if bytes.len() < end as usize {
            bytes.resize(end as usize, 0);
        }
        bytes[offset as usize..end as usize].copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut pages = self.file.pages.lock();
        let gone = pages.split_off(&len.div_ceil(PAGE)).len() as u64 * PAGE;
        self.faults.taken.fetch_sub(gone, Ordering::SeqCst);
        self.file.bytes.lock().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let number = self.faults.syncs.fetch_add(1, Ordering::SeqCst) + 1;
        match number == self.faults.sync.load(Ordering::SeqCst) {
            true => Err(io::Error::other("input/output error")),
            false => Ok(()),
        }
    }

    fn lock(&self) -> io::Result<bool> {
        let is_new = !self.file.is_locked.swap(true, Ordering::SeqCst);
        self.has_lock.fetch_or(is_new, Ordering::SeqCst);
        Ok(is_new)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.has_lock.load(Ordering::SeqCst) {
            self.file.is_locked.store(false, Ordering::SeqCst);
        }
    }
}
