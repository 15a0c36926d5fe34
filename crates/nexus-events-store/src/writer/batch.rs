//! Appends that are committed together.

use foldhash::HashMap;
use nexus_events_dispatch::store::{Append, Appended, Offset, StoredEvent};
use nexus_events_dispatch::{Error, ErrorKind};
use nexus_events_model::Text;
use redb::WriteTransaction;

use super::Writer;
use super::states::States;
use crate::error::{Fault, Outcome};
use crate::frame::{FrameWriter, Heading, Named, time_of};
use crate::happened::{self, duplicate};
use crate::limits::{BATCH_EVENTS_MAX, RESERVE_BYTES};
use crate::log;
use crate::postings::Postings;
use crate::queue::Waiting;
use crate::schema::{self, FRAMES, HAPPENED, Head, KEYS};
use crate::shared::add;

/// A commit in the making, and what the writer takes over when it is made.
pub(super) struct Batch {
    pub(super) head: Head,
    pub(super) frame: FrameWriter,
    pub(super) keys: HashMap<Text, u64>,
    pub(super) named: Vec<Named>,
    /// Where each idempotency key is among them.
    named_at: HashMap<Text, usize>,
    pub(super) stored: Vec<StoredEvent>,
    pub(super) postings: Postings,
    pub(super) sealed: bool,
    pub(super) keys_written: bool,
    pub(super) taken: u64,
    pub(super) recorded: i64,
    /// The bytes there is room for on the disk, and those that this takes.
    room: Option<u64>,
    takes: u64,
}

/// What a commit takes whatever is in it: pages of the tables, and their old copies.
const COMMIT_BYTES: u64 = 128 * 1024;

impl Batch {
    /// Nothing yet but a seal, where one is due.
    pub(super) fn begin(writer: &mut Writer, txn: &WriteTransaction) -> Outcome<Self> {
        let recorded = writer.now();
        writer.happened.forget(recorded);
        let free = writer.shared.medium.free_space(&writer.shared.path)?;
        let head = writer.head;
        let mut frame = std::mem::take(&mut writer.frame);
        frame.begin(Heading {
            number: head.frame + 1,
            first: head.next,
            recorded,
            bytes_before: head.bytes,
            ..Heading::default()
        });
        let mut batch = Self {
            head,
            frame,
            keys: HashMap::default(),
            named: Vec::new(),
            named_at: HashMap::default(),
            stored: Vec::with_capacity(writer.expected.min(BATCH_EVENTS_MAX)),
            postings: Postings::default(),
            sealed: false,
            keys_written: false,
            taken: 0,
            recorded,
            room: free.map(|free| free.saturating_add(writer.spare)),
            takes: COMMIT_BYTES,
        };
        batch.seal_if_due(writer, txn)?;
        Ok(batch)
    }

    /// Whether it has events, and so a frame.
    pub(super) fn has_frame(&self) -> bool {
        !self.stored.is_empty()
    }

    /// Whether there is room for so much more.
    fn has_room(&self, more: u64) -> bool {
        self.room.is_none_or(|room| self.takes + more <= room)
    }

    /// Takes an append, if nothing is against it.
    pub(super) fn take(
        &mut self,
        writer: &Writer,
        waiting: &Waiting,
        states: &mut States<'_>,
    ) -> Outcome<Result<Appended, Error>> {
        let append = &waiting.append;
        if let Some(named) = append.idempotency_key.as_ref().and_then(|key| {
            let here = || self.named_at.get(key).and_then(|at| self.named.get(*at));
            writer.happened.get(key).or_else(here)
        }) {
            add(&writer.shared.counts.duplicates, 1);
            return Ok(Ok(duplicate(named)));
        }
        let checked = match self.check(writer, waiting, states) {
            Ok(Ok(())) => self.frame.events(&append.events),
            Ok(refused) => refused,
            Err(fault @ Fault::Damage(_)) => Err(fault.at(&writer.shared.path)),
            Err(fault) => return Err(fault),
        };
        if let Err(error) = checked {
            add(&writer.shared.counts.refused, 1);
            return Ok(Err(error));
        }
        let commit = self.head.commit + 1;
        states.apply(append, commit)?;
        Ok(Ok(self.took(append, waiting.size, commit)))
    }

    fn check(
        &mut self,
        writer: &Writer,
        waiting: &Waiting,
        states: &mut States<'_>,
    ) -> Outcome<Result<(), Error>> {
        let append = &waiting.append;
        // Pages are taken in powers of two, and old ones are free after the commit only.
        let size = 2 * waiting.size as u64;
        let reserve = if append.events.is_empty() { 0 } else { RESERVE_BYTES };
        if !self.has_room(size + reserve) {
            return Ok(Err(self.full(writer)));
        }
        for (key, expected) in &append.expected {
            let version = self.key_version(writer, key, states)?;
            if let Err(error) = expected.require(version, || format!("the key `{key}`")) {
                return Ok(Err(error));
            }
        }
        states.check(append, self.head.commit + 1)
    }

    fn full(&self, writer: &Writer) -> Error {
        let message = format!(
            "the disk of `{}` has {} bytes left, too few for this and what has to stay free; make room on the disk, or trim the store",
            writer.shared.path.display(),
            self.room.unwrap_or_default()
        );
        Error::of_store(ErrorKind::StoreFull, message)
    }

    fn key_version(&self, writer: &Writer, key: &Text, states: &States<'_>) -> Outcome<u64> {
        let written = schema::key_version(&states.txn().open_table(KEYS)?, key)?;
        // What is written in this commit is counted there already.
        let before = if self.keys_written { None } else { writer.keys.get(key) };
        let more = [before, self.keys.get(key)];
        Ok(written + more.into_iter().flatten().sum::<u64>())
    }

    fn took(&mut self, append: &Append, size: usize, commit: u64) -> Appended {
        let first = self.head.next;
        // As a time to the microsecond, which is what is stored.
        let recorded = time_of(self.recorded).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        for keyed in &append.events {
            let offset = Offset::new(self.head.next);
            self.head.next += 1;
            if let Some(key) = &keyed.key {
                *self.keys.entry(key.clone()).or_default() += 1;
            }
            let (key, event) = (keyed.key.clone(), keyed.event.clone());
            let stored = StoredEvent::new(offset, key, recorded, event);
            self.postings.add(&stored);
            self.stored.push(stored);
        }
        self.head.commit = commit;
        self.takes += 2 * size as u64;
        self.taken += 1;
        let last = self.head.next - 1;
        if let Some(key) = append.idempotency_key.clone() {
            let recorded = self.recorded;
            self.named_at.insert(key.clone(), self.named.len());
            self.named.push(Named { key, first, last, version: commit, recorded });
        }
        Appended::new(Offset::new(first), Offset::new(last), commit, recorded)
    }

    /// Writes all of it into the tables.
    pub(super) fn write(&mut self, writer: &Writer, txn: &WriteTransaction) -> Outcome<()> {
        if !self.has_frame() {
            if !self.named.is_empty() {
                let mut table = txn.open_table(HAPPENED)?;
                writer.forget_rows(&mut table, self.recorded)?;
                table.insert(2 * self.head.commit, &happened::to_bytes(&self.named)[..])?;
            }
            return schema::write_head(txn, self.head);
        }
        self.head.frame += 1;
        self.head.bytes += self.frame.bytes();
        let (heading, body) = self.frame.finish(self.head.commit, &self.named);
        log::put(&mut txn.open_table(FRAMES)?, &heading, body)?;
        Ok(())
    }

    fn seal_if_due(&mut self, writer: &Writer, txn: &WriteTransaction) -> Outcome<()> {
        let due = writer.seal_due();
        if !due.any() || !self.has_room(due.bytes) {
            return Ok(());
        }
        self.takes += due.bytes;
        self.sealed = true;
        self.keys_written = due.keys;
        if due.keys {
            self.head.keys_at = self.head.next;
        }
        writer.seal(txn, self.head, due.keys, self.recorded)
    }
}
