//! The one thread that writes: it takes what is in line, commits it together, and answers.

mod batch;
mod gather;
mod keep;
mod seal;
mod states;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use nexus_events_dispatch::store::{CloseReport, Retention, StoredEvent};
use nexus_events_dispatch::{Error, Result};
use nexus_events_model::Text;
use redb::{Database, ReadableDatabase};

use self::batch::Batch;
use self::gather::Answers;
use crate::error::{Fault, Outcome, contained};
use crate::frame::{FrameWriter, Named, micros_of};
use crate::happened::Happened;
use crate::opening;
use crate::queue::{Filled, Next, Waiting};
use crate::schema::{self, FRAMES, Head, KEYS, META};
use crate::shared::{End, Shared, add};

/// The writer, with what it knows of what is committed.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) head: Head,
    pub(crate) happened: Happened,
    /// Idempotency keys that are only in frames so far.
    pub(crate) named: Vec<Named>,
    /// How many more events keys have than is written down.
    pub(crate) keys: HashMap<Text, u64>,
    pub(crate) keyed_events: u64,
    pub(crate) retention: Retention,
    /// Commits since the retention was enforced, and when that was.
    pub(crate) since_retention: u64,
    pub(crate) kept_at: Instant,
    /// About how many bytes of the file are free, because trims have freed them.
    pub(crate) spare: u64,
    /// Where frames are made, one after the other.
    pub(crate) frame: FrameWriter,
    /// How long a commit waits for more, while nobody in it waits for the disk.
    pub(crate) lag: Duration,
    /// How many appends may share the next commit.
    pub(crate) expected: usize,
}

impl Writer {
    /// Works until the store is closed.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.queue.next(self.kept_until()) {
                Next::Appends(line, filled) => self.appends(line, filled),
                Next::Trim(retention, answer) => {
                    let _ = answer.send(self.trim(retention));
                }
                Next::Compact(progress, answer) => {
                    let _ = answer.send(self.compact(&progress));
                }
                Next::KeyVersion(key, answer) => {
                    let _ = answer.send(self.key_version(&key));
                }
                Next::Nothing => {}
                Next::Close => return self.close(),
            }
            self.keep_now_and_then();
        }
    }

    fn now(&self) -> i64 {
        micros_of(self.shared.clock.now())
    }

    fn appends(&mut self, line: VecDeque<Waiting>, filled: Filled) {
        let mut answers = Answers::to(line);
        if let Err(error) = self.revive() {
            return answers.refuse(&error);
        }
        let shared = self.shared.clone();
        let database = shared.database.read();
        let Some(open) = &*database else { return answers.refuse(&shared.poisoned()) };
        let gathered = contained(|| self.gather(open, filled, &mut answers));
        let (mut batch, txn) = match gathered {
            Ok((batch, Some(txn))) => (batch, txn),
            Ok((_, None)) => return answers.give(),
            Err(fault) => {
                drop(database);
                return answers.refuse(&self.failed(fault));
            }
        };
        answers.tell_when_written(&shared.pulse);
        let committed = contained(|| Ok(txn.commit()?));
        let was_written = shared.pulse.disarm();
        drop(database);
        let failure = match committed {
            Ok(()) => None,
            Err(fault) => self.failed_commit(fault, was_written.then_some(batch.head)),
        };
        if let Some(error) = failure {
            return answers.refuse(&error);
        }
        let removed = self.committed(&mut batch);
        self.expected = shared.queue.waiting() as usize + answers.waiting();
        answers.give();
        // What nobody is to wait for. Payloads may run code when they are dropped.
        drop(removed);
        self.remember(batch);
    }

    /// Takes over what is on the disk now, and shows it.
    fn committed(&mut self, batch: &mut Batch) -> Vec<StoredEvent> {
        let shared = self.shared.clone();
        if batch.sealed {
            *shared.head.lock() = crate::postings::Postings::default();
            self.named.clear();
        }
        if batch.keys_written {
            self.keys.clear();
            self.keyed_events = 0;
        }
        self.spare = self.spare.saturating_sub(batch.head.bytes - self.head.bytes);
        self.head = batch.head;
        let has_frame = batch.has_frame();
        for named in batch.named.drain(..) {
            if has_frame {
                self.named.push(named.clone());
            }
            self.happened.add(named);
        }
        add(&shared.counts.appends, batch.taken);
        add(&shared.counts.commits, 1);
        self.since_retention += 1;
        self.show(std::mem::take(&mut batch.stored))
    }

    /// Takes over the rest, which this thread alone needs, or which only saves readers some work.
    fn remember(&mut self, batch: Batch) {
        self.frame = batch.frame;
        for (key, more) in batch.keys {
            *self.keys.entry(key).or_default() += more;
            self.keyed_events += more;
        }
        self.shared.head.lock().append(batch.postings);
    }

    /// Shows new events; those that memory has no more room for are to be dropped.
    fn show(&mut self, stored: Vec<StoredEvent>) -> Vec<StoredEvent> {
        let shared = &self.shared;
        let removed = {
            let mut tail = shared.tail.lock();
            stored.into_iter().for_each(|stored| tail.push(stored));
            tail.surplus()
        };
        let kept = self.head.bytes - self.head.bytes_gone;
        shared.counts.bytes.store(kept, std::sync::atomic::Ordering::Relaxed);
        let remembered = self.happened.len() as u64;
        shared.counts.idempotency_keys.store(remembered, std::sync::atomic::Ordering::Relaxed);
        shared.show(self.head.first, self.head.next);
        removed
    }

    /// What a commit has come to that failed; `None` when it is on the disk all the same.
    fn failed_commit(&mut self, fault: Fault, written: Option<Head>) -> Option<Error> {
        if !matches!(fault, Fault::Full(_)) {
            let what = fault.what();
            tracing::error!(path = %self.shared.path.display(), what, "a store could not commit");
            return Some(self.poison());
        }
        let error = fault.at(&self.shared.path);
        self.spare = 0;
        drop(self.shared.database.write().take());
        let revived = self.revive();
        let Some(head) = written else { return Some(error) };
        // All was written before there was no room, so it may be there.
        let commit = revived.ok().and_then(|()| self.commit_on_disk().ok());
        match commit {
            Some(commit) if commit == head.commit => None,
            Some(_) => Some(error),
            None => Some(self.poison()),
        }
    }

    /// What something that failed before its commit has come to.
    fn failed(&mut self, fault: Fault) -> Error {
        match fault {
            Fault::Full(_) => {
                let error = fault.at(&self.shared.path);
                drop(self.shared.database.write().take());
                let _ = self.revive();
                error
            }
            Fault::Said(error) => error,
            fault @ (Fault::Damage(_) | Fault::Foreign(_)) => fault.at(&self.shared.path),
            Fault::Disk(what) => {
                tracing::error!(path = %self.shared.path.display(), what, "the disk of a store has failed");
                self.poison()
            }
        }
    }

    /// Takes nothing any more, and touches the disk no more.
    fn poison(&mut self) -> Error {
        self.shared.pulse.kill();
        self.shared.end(End::Poisoned);
        self.shared.release();
        self.shared.poisoned()
    }

    /// Opens the database again, where it was given up for want of room.
    fn revive(&mut self) -> Result<()> {
        self.shared.check()?;
        // Readers hold it for as long as they read.
        if self.shared.database.read().is_some() {
            return Ok(());
        }
        let mut database = self.shared.database.write();
        let shared = &self.shared;
        let Some(disk) = shared.disk.read().clone() else { return Err(shared.poisoned()) };
        let opened =
            contained(|| opening::database(disk, shared.pulse.clone(), shared.cache_bytes));
        match opened {
            Ok(opened) => {
                *database = Some(opened);
                Ok(())
            }
            Err(fault) => {
                drop(database);
                match fault {
                    fault @ Fault::Full(_) => Err(fault.at(&self.shared.path)),
                    _ => Err(self.poison()),
                }
            }
        }
    }

    fn commit_on_disk(&self) -> Outcome<u64> {
        let database = self.shared.database.read();
        let Some(database) = &*database else {
            return Err(Fault::damage("it could not be opened again"));
        };
        last_commit(database)
    }

    fn key_version(&self, key: &Text) -> Result<u64> {
        let more = self.keys.get(key).copied().unwrap_or_default();
        self.shared.read(|database| {
            let table = database.begin_read()?.open_table(KEYS)?;
            Ok(more + schema::key_version(&table, key)?)
        })
    }

    fn close(&mut self) {
        let in_line = self.shared.queue.in_line_at_the_end();
        let result = match self.shared.check() {
            Ok(()) => self.write_down(),
            Err(error) => Err(error),
        };
        self.shared.release();
        let mut report = CloseReport::default();
        report.committed = in_line;
        let said = result.map(|()| report).map_err(|error| (error.kind(), error.to_string()));
        *self.shared.report.lock() = Some(said);
        self.shared.end(End::Closed);
    }

    /// Writes down what is only known from frames, so that the next one to open need not read them.
    fn write_down(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let database = shared.database.read();
        let Some(open) = &*database else { return Ok(()) };
        let mut head = self.head;
        let done = contained(|| {
            let txn = open.begin_write()?;
            if !self.keys.is_empty() {
                self.write_keys(&txn)?;
            }
            head.keys_at = head.next;
            schema::write_head(&txn, head)?;
            Ok(txn.commit()?)
        });
        drop(database);
        done.map_err(|fault| self.failed(fault))
    }
}

fn last_commit(database: &Database) -> Outcome<u64> {
    let txn = database.begin_read()?;
    let head = schema::meta(&txn.open_table(META)?)?.head;
    let frames = txn.open_table(FRAMES)?;
    let newest = crate::log::headings(&frames, u64::MAX)?.last().transpose()?;
    Ok(newest.map_or(head.commit, |heading| heading.commit.max(head.commit)))
}
