//! Copies of a store: backup, restore, and what a repair saves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nexus_events_dispatch::store::{Damage, Epoch, Integrity, Progress};
use nexus_events_dispatch::{BoxFuture, Error, ErrorKind, Result};
use redb::{ReadOnlyDatabase, ReadTransaction, ReadableDatabase};

use crate::error::{Fault, Outcome, contained};
use crate::medium::{Disk, FileMedium, Medium, Opening};
use crate::schema::Meta;
use crate::shared::Shared;
use crate::store::Store;
use crate::{copy, opening, salvage};

/// What a repair has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Events that are in the store as they were appended.
    pub events: u64,
    /// State that is in the store as it was put.
    pub states: u64,
    /// What is lost: which offsets, if any, and what was found there.
    pub lost: Vec<Damage>,
    /// Where the damaged file is now; `None` when nothing was damaged and it is where it was.
    pub damaged: Option<PathBuf>,
}

impl Store {
    /// Copies the store into a new file while it is in use, as it is at one moment, and reads the
    /// copy through. The copy is a store itself.
    ///
    /// ```
    /// use nexus_events_dispatch::store::{Append, EventStore, Progress};
    /// use nexus_events_store::Store;
    /// # let folder = std::env::temp_dir().join(format!("nexus-backup-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = Store::open(folder.join("events.nexus"))?;
    /// store.append(Append::new().put("orders", "42", "open")).await?;
    /// let copied = store.backup(folder.join("backup.nexus"), Progress::none()).await?;
    /// assert_eq!(copied.states, 1);
    /// Store::restore(folder.join("backup.nexus"), folder.join("restored.nexus"))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when something of the store cannot be read: a copy that lacks it would
    /// pretend to be whole. [`ErrorKind::Store`] when there is a file already, or it cannot be
    /// written.
    pub fn backup(
        &self,
        to: impl AsRef<Path>,
        progress: Progress,
    ) -> BoxFuture<'_, Result<Integrity>> {
        let to = to.as_ref().to_owned();
        self.blocking(move |shared| {
            shared.counts.copies.fetch_add(1, Ordering::AcqRel);
            let done = backup(shared, &to, &progress);
            shared.counts.copies.fetch_sub(1, Ordering::AcqRel);
            done
        })
    }

    /// Makes a store of a backup. It has an [`Epoch`] of its own, because what happened after the
    /// backup was made is not in it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when not all of the backup can be read, [`ErrorKind::Format`] when it
    /// is none; nothing is made then. [`ErrorKind::Store`] when there is a file already.
    pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Integrity> {
        Self::restore_on(Arc::new(FileMedium), backup, path)
    }

    /// As [`restore`](Self::restore), on another medium than the machine's files.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_on(
        medium: Arc<dyn Medium>,
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
    ) -> Result<Integrity> {
        let (backup, path) = (backup.as_ref(), path.as_ref());
        is_free(&*medium, path)?;
        let disk = opening::locked(&*medium, backup, Opening::Existing)?;
        let opened = contained(|| {
            opening::is_ours(&*disk)?;
            let (database, txn, mut meta) = read_only(disk.clone(), false, false)?;
            let next = copy::next(&txn, &meta)?;
            let mut found = Integrity::default();
            let is_lost = |at: u64| meta.lost.iter().any(|(a, b)| (*a..=*b).contains(&at));
            let none = Progress::none();
            crate::verify::events(&txn, meta.head.first, next, is_lost, &mut found, &none);
            crate::verify::rest(&txn, &mut found);
            copy::sound(found)?;
            meta.epoch = Epoch::random();
            Ok((database, txn, meta))
        });
        let (_database, txn, meta) = opened.map_err(|fault| fault.at(backup))?;
        opening::make(&*medium, path, |to| {
            copy::sound(copy::copy(&txn, &meta, to, &Progress::none())?)
        })
    }

    /// Saves what can be read of a damaged store. The damaged file is kept beside, with `.damaged`
    /// added to its name. Offsets stay as they are; those that are lost are left out when the log is
    /// read. When the newest events are lost and nobody knows how many they were, the store begins a
    /// new [`Epoch`].
    ///
    /// ```
    /// use nexus_events_store::Store;
    /// # let path = std::env::temp_dir().join(format!("nexus-repair-{}", std::process::id()));
    /// drop(Store::open(&path)?);
    /// assert!(Store::repair(&path, false)?.lost.is_empty());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming what would be lost, when that is not accepted; nothing is
    /// changed then. [`ErrorKind::InUse`] when the store is open.
    pub fn repair(path: impl AsRef<Path>, accept_loss: bool) -> Result<Repaired> {
        Self::repair_on(Arc::new(FileMedium), path, accept_loss)
    }

    /// As [`repair`](Self::repair), on another medium than the machine's files.
    ///
    /// # Errors
    /// As [`repair`](Self::repair).
    pub fn repair_on(
        medium: Arc<dyn Medium>,
        path: impl AsRef<Path>,
        accept_loss: bool,
    ) -> Result<Repaired> {
        let path = path.as_ref();
        let disk = opening::locked(&*medium, path, Opening::Existing)?;
        contained(|| opening::is_ours(&*disk)).map_err(|fault| fault.at(path))?;
        let last = contained(|| read_only(disk.clone(), false, true));
        let opened = last.or_else(|_| contained(|| read_only(disk.clone(), true, true)));
        let (_database, txn, meta) = opened.map_err(|fault| fault.at(path))?;
        let read = || scan(&txn, &meta);
        let (found, meta) = contained(read).map_err(|fault| fault.at(path))?;
        let (events, states) = (found.events, found.states);
        if found.is_sound() {
            return Ok(Repaired { events, states, lost: Vec::new(), damaged: None });
        }
        if !accept_loss {
            let lost: Vec<String> = found.damage.iter().take(8).map(ToString::to_string).collect();
            let message = format!(
                "a repair of `{}` would lose {} ({}); accept the loss to save the other {events} events, or restore a backup",
                path.display(),
                if found.damage.len() == 1 { "this" } else { "these" },
                lost.join("; ")
            );
            return Err(Error::of_store(ErrorKind::Corrupt, message));
        }
        let damaged = beside(path, ".damaged");
        is_free(&*medium, &damaged)?;
        let repaired = beside(path, ".repaired");
        medium.remove(&repaired).map_err(|error| Fault::from(error).at(&repaired))?;
        opening::make(&*medium, &repaired, |to| copy::copy(&txn, &meta, to, &Progress::none()))?;
        let moved = medium
            .rename(path, &damaged)
            .and_then(|()| medium.rename(&repaired, path))
            .and_then(|()| medium.sync_folder(opening::folder(path)));
        moved.map_err(|error| Fault::from(error).at(path))?;
        Ok(Repaired { events, states, lost: found.damage, damaged: Some(damaged) })
    }
}

fn backup(shared: &Shared, to: &Path, progress: &Progress) -> Result<Integrity> {
    is_free(&*shared.medium, to)?;
    shared.read(|database| {
        let txn = database.begin_read()?;
        let meta = copy::meta(&txn)?;
        let copied = opening::make(&*shared.medium, to, |to| {
            let copied = copy::sound(copy::copy(&txn, &meta, to, progress)?)?;
            let written = to.begin_read()?;
            let mut read = Integrity::default();
            let (first, next) = (meta.head.first, copy::next(&written, &meta)?);
            let none = Progress::none();
            crate::verify::events(&written, first, next, |at| shared.is_lost(at), &mut read, &none);
            crate::verify::rest(&written, &mut read);
            match read == copied {
                true => Ok(copied),
                false => Err(Fault::damage("it does not read back as it was written")),
            }
        })?;
        Ok(copied)
    })
}

/// What is in a file, and what its copy says of itself without what is damaged.
fn scan(txn: &ReadTransaction, meta: &Meta) -> Outcome<(Integrity, Meta)> {
    let mut meta = meta.clone();
    let next = copy::next(txn, &meta)?;
    let mut found = Integrity::default();
    let is_lost = |at: u64| meta.lost.iter().any(|(a, b)| (*a..=*b).contains(&at));
    crate::verify::events(txn, meta.head.first, next, is_lost, &mut found, &Progress::none());
    crate::verify::rest(txn, &mut found);
    let lost = copy::lost(&found);
    // The newest frame may have had more events than anybody knows.
    if lost.last().is_some_and(|(_, last)| last + 1 == next) && next > meta.head.next {
        meta.epoch = Epoch::random();
    }
    meta.head.next = next;
    meta.lost.extend(lost);
    Ok((found, meta))
}

fn read_only(
    disk: Arc<dyn Disk>,
    before_last: bool,
    lenient: bool,
) -> Outcome<(ReadOnlyDatabase, ReadTransaction, Meta)> {
    let database = salvage::open(disk, before_last, lenient)?;
    let txn = database.begin_read()?;
    let meta = copy::meta(&txn)?;
    Ok((database, txn, meta))
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

fn is_free(medium: &dyn Medium, path: &Path) -> Result<()> {
    match medium.exists(path) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::of_store(
            ErrorKind::Store,
            format!(
                "there is something at `{}` already; remove it, or give another path",
                path.display()
            ),
        )),
        Err(error) => Err(Fault::from(error).at(path)),
    }
}
