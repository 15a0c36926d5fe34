//! What a store stands on: files in folders, behind a door through which all its input and output
//! goes.

mod file;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use self::file::FileMedium;

/// Whether a file is to be there.
///
/// ```
/// use nexus_events_store::{FileMedium, Medium, Opening};
/// let nowhere = std::path::Path::new("no such folder/events.nexus");
/// let error = FileMedium.open(nowhere, Opening::Existing).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It is there; an error when it is not.
    Existing,
    /// It is not there; an error when it is.
    New,
}

/// Where files are. [`FileMedium`] is the real one; another one can stand for it in tests that cut
/// the power or fill the disk.
///
/// A store calls it from several threads, but changes a file from one thread at a time.
///
/// # What it may do at a loss of power
///
/// What [`Disk::sync`] returned for stays. Of all that was written or cut since, any part may be
/// there and any other not, sector by sector, and the length of a file apart from its content. A
/// name that was made, changed or removed stays so when [`sync_folder`](Self::sync_folder) returned
/// afterwards, and is in the old state or the new one before.
///
/// # Errors
/// All methods: [`io::Error`]. No room is [`io::ErrorKind::StorageFull`], which a store gets over;
/// any other error of a write, a change of length or a sync makes it take nothing any more.
///
/// ```
/// use nexus_events_store::{FileMedium, Medium};
/// assert!(!FileMedium.exists(std::path::Path::new("no such file"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// Opens a file to read and to write. It closes when the last clone of it is dropped.
    ///
    /// # Errors
    /// Also [`io::ErrorKind::NotFound`] and [`io::ErrorKind::AlreadyExists`]; see [`Opening`].
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>>;

    /// Whether something has this name.
    ///
    /// # Errors
    /// When that cannot be told.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Gives a file another name, in place of a file that has it already.
    ///
    /// # Errors
    /// Only those of every method.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; none there is no error.
    ///
    /// # Errors
    /// Only those of every method.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in this folder are on the disk.
    ///
    /// # Errors
    /// Only those of every method.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// How many bytes there is still room for beside this file; `None` where nobody knows.
    ///
    /// # Errors
    /// Only those of every method.
    fn free_space(&self, path: &Path) -> io::Result<Option<u64>>;
}

/// An open file of a [`Medium`].
///
/// ```
/// use nexus_events_store::{FileMedium, Medium, Opening};
/// let path = std::env::temp_dir().join(format!("nexus-disk-{}", std::process::id()));
/// let disk = FileMedium.open(&path, Opening::New)?;
/// disk.write_at(3, b"abc")?;
/// let mut read = [0; 4];
/// disk.read_at(2, &mut read)?;
/// assert_eq!(read, *b"\0abc");
/// FileMedium.remove(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[allow(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Only those of every method.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from this place on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of the data from this place on; the file grows where it must.
    ///
    /// # Errors
    /// Only those of every method.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Changes its length; what is new is zero.
    ///
    /// # Errors
    /// Only those of every method.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when everything before is on the disk, its length too.
    ///
    /// # Errors
    /// Only those of every method.
    fn sync(&self) -> io::Result<()>;

    /// Keeps everybody else from it until it is closed; `false` when somebody else does already, in
    /// this process or another one.
    ///
    /// # Errors
    /// Only those of every method.
    fn lock(&self) -> io::Result<bool>;
}
