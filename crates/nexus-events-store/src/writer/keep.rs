//! How much of the log is kept, and giving room back to the disk.

use std::time::{Duration, Instant};

use nexus_events_dispatch::store::{Cursor, Held, Offset, Progress, Retention, Trimmed, space};
use nexus_events_dispatch::{Error, ErrorKind, Result};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::Writer;
use crate::error::{Fault, Outcome, contained};
use crate::frame::{Named, micros_of};
use crate::happened;
use crate::limits::{RETENTION_COMMITS, RETENTION_WAIT_MAX, RETENTION_WAIT_MIN, TRIM_FRAMES_MAX};
use crate::log::{At, Log, headings};
use crate::schema::{self, BLOCKS, FRAMES, HAPPENED, Head, STATE};

/// Where a trim goes.
struct Goal {
    /// The oldest offset that is kept.
    first: u64,
    /// The bytes of all events before it.
    bytes_gone: u64,
}

impl Writer {
    /// When the retention is next to be enforced, where there is nothing else to do until then.
    pub(super) fn kept_until(&self) -> Option<Instant> {
        let Head { first, next, .. } = self.head;
        let may_be_due = match self.retention.age_max {
            Some(_) => first < next,
            None => self.since_retention > 0 && self.retention != Retention::new(),
        };
        (may_be_due && self.shared.check().is_ok()).then(|| self.kept_at + self.kept_every())
    }

    fn kept_every(&self) -> Duration {
        let age = self.retention.age_max.unwrap_or(RETENTION_WAIT_MAX);
        age.clamp(RETENTION_WAIT_MIN, RETENTION_WAIT_MAX)
    }

    /// Enforces the retention, now and then.
    pub(super) fn keep_now_and_then(&mut self) {
        let is_late = self.kept_until().is_some_and(|until| until <= Instant::now());
        let is_due = self.since_retention >= RETENTION_COMMITS || is_late;
        if !is_due || self.retention == Retention::new() || self.shared.check().is_err() {
            return;
        }
        (self.since_retention, self.kept_at) = (0, Instant::now());
        if let Err(error) = self.trim(self.retention)
            && error.kind() != ErrorKind::Poisoned
        {
            tracing::warn!(%error, "a store could not remove what is beyond its retention");
        }
    }

    pub(super) fn trim(&mut self, retention: Retention) -> Result<Trimmed> {
        self.revive()?;
        let shared = self.shared.clone();
        let database = shared.database.read();
        let Some(open) = &*database else { return Err(shared.poisoned()) };
        let done = contained(|| self.trim_to_goal(open, retention));
        drop(database);
        done.map_err(|fault| {
            shared.show(self.head.first, self.head.next);
            self.failed(fault)
        })
    }

    fn trim_to_goal(&mut self, database: &Database, retention: Retention) -> Outcome<Trimmed> {
        let before = self.head.first;
        let cursors = cursors(database)?;
        let behind = cursors.iter().min_by_key(|(_, acked)| *acked);
        let wanted = self.goal(database, retention, u64::MAX)?;
        let held = behind.filter(|(_, acked)| {
            retention.held == Held::Keep && acked.next().number() < wanted.first
        });
        let goal = match held {
            Some((_, acked)) => self.goal(database, retention, acked.next().number())?,
            None => Goal { ..wanted },
        };
        self.remove_before(database, &goal)?;
        let mut trimmed = Trimmed::nothing(Offset::new(goal.first));
        trimmed.events = goal.first - before;
        trimmed.held = held
            .filter(|_| wanted.first > goal.first)
            .map(|(consumer, _)| (wanted.first - goal.first, consumer.clone()));
        let lost = |(consumer, acked): &(String, Offset)| {
            let from = acked.next().number().max(before);
            let lost = goal.first.saturating_sub(from);
            (lost > 0).then(|| (consumer.clone(), lost))
        };
        trimmed.lost = cursors.iter().filter_map(lost).collect();
        Ok(trimmed)
    }

    /// How far the bounds allow to go, at most up to an offset that is to stay.
    fn goal(&self, database: &Database, retention: Retention, stay: u64) -> Outcome<Goal> {
        let Head { first, next, bytes, bytes_gone, .. } = self.head;
        let txn = database.begin_read()?;
        let frames = txn.open_table(FRAMES)?;
        let oldest = retention.age_max.map(|longest| {
            let longest = i64::try_from(longest.as_micros()).unwrap_or(i64::MAX);
            micros_of(self.shared.clock.now()).saturating_sub(longest)
        });
        let is_surplus = |at: u64, gone: u64, recorded: i64| {
            retention.events_max.is_some_and(|most| next - at > most)
                || retention.bytes_max.is_some_and(|most| bytes - gone > most)
                || oldest.is_some_and(|oldest| recorded < oldest)
        };
        let mut goal = Goal { first, bytes_gone };
        let mut log = Log::new(txn.open_table(FRAMES)?, next);
        let mut all = headings(&frames, first)?.peekable();
        while let Some(heading) = all.next().transpose()? {
            let end = match all.peek() {
                Some(Ok(after)) => after.bytes_before,
                _ => bytes,
            };
            let last = heading.last();
            if last < goal.first {
                continue;
            }
            // What the last of the frame finds before it goes, all before it find as well.
            let before_last = end.saturating_sub(1).max(goal.bytes_gone);
            if last < stay && is_surplus(last, before_last, heading.recorded) {
                goal = Goal { first: last + 1, bytes_gone: end };
                continue;
            }
            let At::Frame(frame) = log.at(last)? else {
                return Err(Fault::damage(format!("the frame of offset {last} cannot be read")));
            };
            while goal.first < stay.min(last + 1)
                && is_surplus(goal.first, goal.bytes_gone, heading.recorded)
            {
                let size = frame.size(goal.first);
                goal.bytes_gone += size.map_err(Fault::damage)?;
                goal.first += 1;
            }
            return Ok(goal);
        }
        Ok(goal)
    }

    fn remove_before(&mut self, database: &Database, goal: &Goal) -> Outcome<()> {
        if goal.first == self.head.first {
            return Ok(());
        }
        // Nobody is shown what is about to go.
        self.shared.show(goal.first, self.head.next);
        loop {
            let txn = database.begin_write()?;
            let mut head = self.head;
            let keys = goal.first > head.keys_at && !self.keys.is_empty();
            if keys {
                self.write_keys(&txn)?;
                head.keys_at = head.next;
            }
            // What a frame says of idempotency keys goes with it.
            let gone = |named: &&Named| named.last < goal.first;
            let named: Vec<_> = self.named.iter().filter(gone).cloned().collect();
            if !named.is_empty() {
                happened::put(&mut txn.open_table(HAPPENED)?, head.commit, &named)?;
            }
            let is_done = remove_frames(&mut txn.open_table(FRAMES)?, goal.first)?;
            remove_blocks(&mut txn.open_table(BLOCKS)?, goal.first)?;
            (head.first, head.bytes_gone) = (goal.first, goal.bytes_gone);
            schema::write_head(&txn, head)?;
            txn.commit()?;
            // What is freed is in pieces, not all of which fit again.
            self.spare += (head.bytes_gone - self.head.bytes_gone) / 4 * 3;
            self.head = head;
            self.named.retain(|named| !gone(&named));
            if keys {
                self.keys.clear();
                self.keyed_events = 0;
            }
            if is_done {
                break;
            }
        }
        drop(self.shared.tail.lock().trim(goal.first));
        drop(self.show(Vec::new()));
        Ok(())
    }

    pub(super) fn compact(&mut self, progress: &Progress) -> Result<u64> {
        self.revive()?;
        let shared = self.shared.clone();
        if shared.counts.copies.load(std::sync::atomic::Ordering::Acquire) > 0 {
            let message = "the store is being copied; compact it afterwards";
            return Err(Error::overloaded(message));
        }
        let mut database = shared.database.write();
        let Some(open) = &mut *database else { return Err(shared.poisoned()) };
        let done = contained(|| {
            let before = shared.disk_bytes()?;
            progress.say(0, before);
            while open.compact()? {}
            let after = shared.disk_bytes()?;
            progress.say(before, before);
            Ok(before.saturating_sub(after))
        });
        drop(database);
        done.map_err(|fault| self.failed(fault))
    }
}

fn cursors(database: &Database) -> Outcome<Vec<(String, Offset)>> {
    let table = database.begin_read()?.open_table(STATE)?;
    let mut cursors = Vec::new();
    for row in table.range((space::CURSORS, &[][..])..)? {
        let (place, value) = row?;
        let (space, key) = place.value();
        if space != space::CURSORS {
            break;
        }
        let consumer = String::from_utf8_lossy(key).into_owned();
        let state = crate::states::read(space, key, value.value())?;
        cursors.push((consumer, Cursor::from_bytes(&state.value)?.acked));
    }
    Ok(cursors)
}

type FrameTable<'t> = redb::Table<'t, schema::PartKey, &'static [u8]>;

/// Removes frames that are wholly before this offset; whether that is all of them.
fn remove_frames(frames: &mut FrameTable<'_>, first: u64) -> Outcome<bool> {
    // The last frame that begins before the offset may reach beyond it.
    let reaching = frames.range(..(first, 0, 0))?.next_back().transpose()?;
    let Some(reaching) = reaching.map(|(key, _)| key.value()) else { return Ok(true) };
    let reaching_last = match frames.get((reaching.0, reaching.1, 0))? {
        Some(row) => crate::frame::Part::read(row.value())
            .and_then(|part| {
                let mut bytes = crate::bytes::Bytes::new(part.body);
                crate::frame::heading(reaching.1, reaching.0, &mut bytes)
            })
            .map_or(u64::MAX, |heading| heading.last()),
        None => u64::MAX,
    };
    let end = if reaching_last < first { (first, 0, 0) } else { (reaching.0, reaching.1, 0) };
    let mut keys = Vec::new();
    for row in frames.range(..end)?.take(TRIM_FRAMES_MAX) {
        keys.push(row?.0.value());
    }
    for key in &keys {
        frames.remove(key)?;
    }
    Ok(keys.len() < TRIM_FRAMES_MAX)
}

fn remove_blocks(blocks: &mut redb::Table<'_, u64, &'static [u8]>, first: u64) -> Outcome<()> {
    // A block ends where the next one begins, and the last one may reach beyond the offset.
    let mut starts = Vec::new();
    for row in blocks.range(..=first)? {
        starts.push(row?.0.value());
    }
    starts.pop();
    for start in starts {
        blocks.remove(start)?;
    }
    Ok(())
}
