//! A file that is only read, and read as it is, whatever state it is in.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use redb::{BackendError, ConcurrencyMode, Database, ReadOnlyDatabase, StorageBackend};

use crate::error::Outcome;
use crate::medium::Disk;

/// Reads what can be read. It says that somebody else looks after the file, so that the database
/// below neither repairs it nor refuses it for not having been closed.
#[derive(Debug)]
struct AsItIs {
    disk: Arc<dyn Disk>,
    /// Whether the commit before the last one is read.
    before_last: bool,
    /// Whether what cannot be read is zero, which no checksum takes for right, instead of an error
    /// that ends everything.
    lenient: bool,
}

/// Where the database below keeps which of its two last commits is the newer one.
const NEWER_AT: u64 = 9;

/// The lock that says that somebody writes and the file is in order.
const IN_ORDER: u64 = (1 << 62) + 4;

impl StorageBackend for AsItIs {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.disk.read_at(offset, out) {
            Err(_) if self.lenient => out.fill(0),
            done => done?,
        }
        if self.before_last
            && let Some(at) = NEWER_AT.checked_sub(offset)
            && let Some(byte) = out.get_mut(at as usize)
        {
            *byte ^= 1;
        }
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, start: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(start == Bound::Included(IN_ORDER))
    }
}

/// Opens a file that nobody writes, to be read only.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    before_last: bool,
    lenient: bool,
) -> Outcome<ReadOnlyDatabase> {
    let mut builder = Database::builder();
    builder.set_cache_size(crate::limits::CACHE_BYTES_DEFAULT);
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    Ok(builder.open_read_only_with_backend(AsItIs { disk, before_last, lenient })?)
}
