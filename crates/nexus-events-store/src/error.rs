//! What can go wrong below, and how it is said.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nexus_events_dispatch::{Error, ErrorKind};

/// What went wrong below.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no room.
    Full(String),
    /// The disk failed.
    Disk(String),
    /// What is there is not what was written.
    Damage(String),
    /// What is there was written by somebody else.
    Foreign(String),
    /// An error of the store already.
    Said(Error),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn damage(what: impl Into<String>) -> Self {
        Self::Damage(what.into())
    }

    /// With the file it is about, and what to do.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.display();
        match self {
            Self::Full(what) => Error::of_store(
                ErrorKind::StoreFull,
                format!("no room for `{path}`: {what}; make room on the disk, or trim the store"),
            ),
            Self::Disk(what) => Error::of_store(ErrorKind::Store, format!("`{path}`: {what}")),
            Self::Damage(what) => Error::of_store(
                ErrorKind::Corrupt,
                format!(
                    "`{path}` is damaged: {what}; `nexus store verify` says where, `nexus store repair` saves what can be read"
                ),
            ),
            Self::Foreign(what) => Error::of_store(ErrorKind::Format, format!("`{path}` {what}")),
            Self::Said(error) => error,
        }
    }

    /// What it is, for a list of damage.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Full(what) | Self::Disk(what) | Self::Damage(what) | Self::Foreign(what) => what,
            Self::Said(error) => error.to_string(),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full(error.to_string())
            }
            io::ErrorKind::UnexpectedEof => {
                Self::Damage("the file ends before what is to be read".to_owned())
            }
            io::ErrorKind::InvalidData => Self::Damage(error.to_string()),
            _ => Self::Disk(error.to_string()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(what) => Self::Damage(what),
            redb::Error::UpgradeRequired(version) => Self::Foreign(format!(
                "has file format {version}, which this program cannot read; open it with the program that wrote it"
            )),
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::LockPoisoned(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Damage(error.to_string()),
            error => Self::Disk(error.to_string()),
        }
    }
}

macro_rules! faults {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

faults! { StorageError TableError TransactionError CommitError DatabaseError CompactionError }

/// Damage below may come as a panic, which becomes an error here. Its text is for those who write
/// databases; the hook of panics has it.
pub(crate) fn contained<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Fault::damage("a page of the file holds what no store ever wrote there"))
    })
}

pub(crate) fn closed() -> Error {
    Error::of_store(ErrorKind::Closed, "the store is closed; open it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_below_is_damage_in_plain_words() {
        let panics = || -> Outcome<()> { unreachable!("page {}", 7) };
        let fault = contained(panics).unwrap_err();
        assert!(matches!(fault, Fault::Damage(_)));
        let what = fault.what();
        assert!(what.contains("page of the file") && !what.contains("unreachable"), "{what}");
    }
}
