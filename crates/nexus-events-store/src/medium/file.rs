//! The files of the machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, Medium, Opening};

/// The files of the machine.
///
/// ```
/// use nexus_events_store::{FileMedium, Medium};
/// assert!(FileMedium.exists(&std::env::temp_dir())?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct FileMedium;

impl Medium for FileMedium {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(opening == Opening::New);
        Ok(Arc::new(FileDisk::new(options.open(path)?)))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    #[cfg(unix)]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Where a folder cannot be opened, its names are written with the files.
    #[cfg(not(unix))]
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn free_space(&self, path: &Path) -> io::Result<Option<u64>> {
        let room = rustix::fs::statvfs(path)?;
        Ok(Some(room.f_bavail.saturating_mul(room.f_frsize)))
    }

    #[cfg(not(unix))]
    fn free_space(&self, _: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

#[derive(Debug)]
struct FileDisk {
    file: File,
    /// Where reads and writes have a common position, one at a time uses it.
    #[cfg(not(unix))]
    position: parking_lot::Mutex<()>,
}

impl FileDisk {
    fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(not(unix))]
            position: parking_lot::Mutex::new(()),
        }
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek};
        let _position = self.position.lock();
        (&self.file).seek(io::SeekFrom::Start(offset))?;
        (&self.file).read_exact(buffer)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        use std::io::{Seek, Write};
        let _position = self.position.lock();
        (&self.file).seek(io::SeekFrom::Start(offset))?;
        (&self.file).write_all(data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
