//! Opening a store, and making one where there is none.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use foldhash::HashMap;
use nexus_events_dispatch::store::{Bounds, Epoch, Offset};
use nexus_events_dispatch::{Clock, Error, ErrorKind};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::watch;

use crate::backend::{Backend, Pulse};
use crate::builder::Options;
use crate::bytes::unsealed;
use crate::error::{Fault, Outcome, contained};
use crate::frame::{FrameWriter, micros_of};
use crate::happened::{self, Happened};
use crate::log::{At, Log, headings};
use crate::medium::{Disk, Medium, Opening};
use crate::page::unreadable;
use crate::postings::{Block, Postings};
use crate::queue::Queue;
use crate::rows;
use crate::schema::{self, BLOCKS, FRAMES, HAPPENED, Head, META, Meta};
use crate::shared::{Counts, Shared, Shown};
use crate::tail::Tail;
use crate::writer::Writer;

/// What every database file begins with.
const MAGIC: &[u8; 9] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// Where a store is while it is made.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

pub(crate) fn database(
    disk: Arc<dyn Disk>,
    pulse: Arc<Pulse>,
    cache_bytes: usize,
) -> Outcome<Database> {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    Ok(builder.create_with_backend(Backend { disk, pulse })?)
}

/// Opens a file and keeps everybody else from it.
pub(crate) fn locked(
    medium: &dyn Medium,
    path: &Path,
    opening: Opening,
) -> Result<Arc<dyn Disk>, Error> {
    let disk = medium.open(path, opening).map_err(|error| not_opened(path, error))?;
    match disk.lock() {
        Ok(true) => Ok(disk),
        Ok(false) => Err(Error::of_store(
            ErrorKind::InUse,
            format!(
                "`{}` is open already, in another process or another part of this one; close it there, or give another path",
                path.display()
            ),
        )),
        Err(error) => Err(Fault::from(error).at(path)),
    }
}

fn not_opened(path: &Path, error: io::Error) -> Error {
    let shown = path.display();
    let (kind, message) = match error.kind() {
        io::ErrorKind::IsADirectory => {
            (ErrorKind::Format, format!("`{shown}` is a folder; give the path of a file in it"))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Store,
            format!(
                "`{shown}` may not be read and written by this user ({error}); allow it, or give another path"
            ),
        ),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
            ErrorKind::Store,
            format!(
                "there is no `{shown}`, and none can be made: its folder does not exist; make it first"
            ),
        ),
        io::ErrorKind::StorageFull => return Fault::from(error).at(path),
        _ => (ErrorKind::Store, format!("`{shown}` cannot be opened: {error}")),
    };
    Error::of_store(kind, message).caused_by(error)
}

/// Makes a file with what `fill` puts into it: beside its place first, so that it is there whole or
/// not at all.
pub(crate) fn make<T>(
    medium: &dyn Medium,
    path: &Path,
    fill: impl FnOnce(&Database) -> Outcome<T>,
) -> Result<T, Error> {
    let beside = temporary(path);
    clear(medium, &beside)?;
    let disk = locked(medium, &beside, Opening::New)?;
    let made = contained(|| {
        let database = database(disk.clone(), Arc::default(), crate::limits::CACHE_BYTES_DEFAULT)?;
        let filled = fill(&database)?;
        database.close()?;
        disk.sync()?;
        medium.rename(&beside, path)?;
        medium.sync_folder(folder(path))?;
        Ok(filled)
    });
    made.map_err(|fault| {
        let _ = medium.remove(&beside);
        fault.at(path)
    })
}

pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Removes what somebody has left who was making a store.
fn clear(medium: &dyn Medium, beside: &Path) -> Result<(), Error> {
    let at = |error: io::Error| Fault::from(error).at(beside);
    if !medium.exists(beside).map_err(at)? {
        return Ok(());
    }
    drop(locked(medium, beside, Opening::Existing)?);
    medium.remove(beside).map_err(at)
}

/// Opens the store at a path, or makes it.
pub(crate) fn open(
    medium: Arc<dyn Medium>,
    path: &Path,
    options: Options,
) -> Result<(Arc<Shared>, Writer), Error> {
    let exists = medium.exists(path).map_err(|error| not_opened(path, error))?;
    if !exists {
        let meta = Meta { epoch: Epoch::random(), head: Head::EMPTY, lost: Vec::new() };
        make(&*medium, path, |database| {
            let txn = database.begin_write()?;
            schema::create(&txn, &meta)?;
            Ok(txn.commit()?)
        })?;
    }
    let disk = locked(&*medium, path, Opening::Existing)?;
    if exists {
        clear(&*medium, &temporary(path))?;
        // Whoever made it may have been killed before its name was on the disk.
        medium.sync_folder(folder(path)).map_err(|error| Fault::from(error).at(path))?;
    }
    let opened = contained(|| {
        is_ours(&*disk)?;
        let pulse = Arc::<Pulse>::default();
        let database = database(disk.clone(), pulse.clone(), options.cache_bytes)?;
        let read = contained(|| {
            schema::upgrade(&database)?;
            Replay::read(&database, &options)
        });
        // A damaged file stays as it is: what closes the database below must not write to it, nor
        // read what it would stumble over.
        let read = read.inspect_err(|_| pulse.kill())?;
        Ok((pulse, database, read))
    });
    let (pulse, database, read) = opened.map_err(|fault| fault.at(path))?;
    Ok(assemble(medium, path, disk, pulse, database, read, options))
}

pub(crate) fn is_ours(disk: &dyn Disk) -> Outcome<()> {
    let mut magic = [0; MAGIC.len()];
    let is_long_enough = disk.len()? >= MAGIC.len() as u64;
    if is_long_enough {
        disk.read_at(0, &mut magic)?;
    }
    match magic == *MAGIC {
        true => Ok(()),
        false => Err(Fault::Foreign("is not a store; give another path".to_owned())),
    }
}

#[allow(clippy::too_many_arguments, reason = "called once")]
fn assemble(
    medium: Arc<dyn Medium>,
    path: &Path,
    disk: Arc<dyn Disk>,
    pulse: Arc<Pulse>,
    database: Database,
    read: Replay,
    options: Options,
) -> (Arc<Shared>, Writer) {
    let Replay { meta, happened, named, keys, keyed_events, postings, tail } = read;
    let head = meta.head;
    let last = Offset::new(head.next).before();
    let bounds = Bounds::new(meta.epoch, Offset::new(head.first), last);
    let counts = Counts::default();
    crate::shared::add(&counts.bytes, head.bytes - head.bytes_gone);
    crate::shared::add(&counts.idempotency_keys, happened.len() as u64);
    let shared = Arc::new(Shared {
        path: path.to_owned(),
        medium,
        disk: RwLock::new(Some(disk)),
        pulse,
        database: RwLock::new(Some(database)),
        shown: watch::Sender::new(Shown { bounds, end: None }),
        tail: Mutex::new(tail),
        head: Mutex::new(postings),
        queue: Queue::new(options.queue_appends, options.queue_bytes),
        counts,
        clock: options.clock,
        lost: meta.lost,
        cache_bytes: options.cache_bytes,
        report: Mutex::new(None),
    });
    let writer = Writer {
        shared: shared.clone(),
        head,
        happened,
        named,
        keys,
        keyed_events,
        retention: options.retention,
        since_retention: 0,
        kept_at: Instant::now(),
        frame: FrameWriter::default(),
        lag: options.lag,
        expected: 0,
        spare: 0,
    };
    (shared, writer)
}

/// What a file holds, as far as it has to be known.
struct Replay {
    meta: Meta,
    happened: Happened,
    named: Vec<crate::frame::Named>,
    keys: HashMap<nexus_events_model::Text, u64>,
    keyed_events: u64,
    postings: Postings,
    tail: Tail,
}

impl Replay {
    fn read(database: &Database, options: &Options) -> Outcome<Self> {
        let txn = database.begin_read()?;
        let mut meta = schema::meta(&txn.open_table(META)?)?;
        let frames = txn.open_table(FRAMES)?;
        if let Some(newest) = headings(&frames, u64::MAX)?.last().transpose()? {
            let head = &mut meta.head;
            head.next = head.next.max(newest.last() + 1);
            head.commit = head.commit.max(newest.commit);
            head.frame = head.frame.max(newest.number);
        }
        let mut written = Vec::new();
        let unknown = |why| Fault::damage(format!("its idempotency keys: {why}"));
        rows::each(&txn.open_table(HAPPENED)?, |_, value| {
            written.extend(happened::read(value).map_err(unknown)?);
            Ok(())
        })?;
        let blocks = txn.open_table(BLOCKS)?;
        let sealed_until = match blocks.last()? {
            Some((key, row)) => {
                let first = key.value();
                // Lookups that cannot be read are made anew.
                let block = unsealed(row.value()).and_then(|bytes| Block::read(first, bytes));
                block.map_or(first, |block| block.last + 1)
            }
            None => meta.head.first,
        };
        let mut read = Self {
            meta,
            happened: Happened::new(options.dedup_window, options.dedup_keys),
            named: Vec::new(),
            keys: HashMap::default(),
            keyed_events: 0,
            postings: Postings::default(),
            tail: Tail::default(),
        };
        let mut log = Log::new(frames, read.meta.head.next);
        read.replay(&mut log, sealed_until)?;
        let known: HashSet<u64> = written.iter().map(|named| named.version).collect();
        read.named.retain(|named| !known.contains(&named.version));
        // Rows of the table are older than some frames and younger than others.
        written.extend(read.named.iter().cloned());
        written.sort_by_key(|named| named.version);
        written.into_iter().for_each(|named| read.happened.add(named));
        read.happened.forget(micros_of(options.clock.now()));
        Ok(read)
    }

    /// Reads the frames that are not written down.
    fn replay<T>(&mut self, log: &mut Log<T>, sealed_until: u64) -> Outcome<()>
    where
        T: ReadableTable<schema::PartKey, &'static [u8]>,
    {
        let Head { first, next, keys_at, .. } = self.meta.head;
        let mut at = sealed_until.min(keys_at).max(first);
        while at < next {
            let lost = &self.meta.lost;
            let is_lost = |at: u64| lost.iter().any(|(first, last)| (*first..=*last).contains(&at));
            let frame = match log.at(at)? {
                At::Frame(frame) => frame,
                At::Nothing { first, last } if is_lost(first) => {
                    at = last + 1;
                    continue;
                }
                At::Nothing { first, last } => {
                    return Err(unreadable(first, last, "no frame has them"));
                }
                At::Damaged { first, last, why } => return Err(unreadable(first, last, why)),
            };
            let heading = frame.heading();
            if heading.bytes_before + frame.bytes() > self.meta.head.bytes {
                self.meta.head.bytes = heading.bytes_before + frame.bytes();
            }
            for offset in at..=heading.last() {
                let stored = frame.event(offset).map_err(|why| unreadable(offset, offset, why))?;
                if offset >= keys_at
                    && let Some(key) = &stored.key
                {
                    *self.keys.entry(key.clone()).or_default() += 1;
                    self.keyed_events += 1;
                }
                if offset >= sealed_until {
                    self.postings.add(&stored);
                    self.tail.push(stored);
                }
            }
            drop(self.tail.surplus());
            if heading.last() >= sealed_until {
                for named in frame.named() {
                    self.named.push(named.clone());
                }
            }
            at = heading.last() + 1;
        }
        Ok(())
    }
}

/// The clock that a store has unless told otherwise.
pub(crate) fn clock() -> Box<dyn Clock> {
    Box::new(nexus_events_dispatch::SystemClock)
}
