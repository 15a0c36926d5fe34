//! What a store in memory holds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use nexus_events_model::Text;
use time::OffsetDateTime;

use super::is_over;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_WINDOW, MEMORY_STORE_BYTES_DEFAULT};
use crate::store::append::{Append, Appended, Expected, StateWrite};
use crate::store::maintenance::{Held, Integrity, Retention, StoreStats, Trimmed};
use crate::store::offset::{Bounds, Epoch, Offset};
use crate::store::read::{Direction, Page, Read, Scan, StateEntry, StoredEvent, Versioned};
use crate::store::{Cursor, space};

pub(super) struct State {
    epoch: Epoch,
    events: VecDeque<StoredEvent>,
    /// The offset of the first event, or of the next one to come.
    first: Offset,
    bytes: u64,
    versions: HashMap<Text, u64>,
    state: BTreeMap<(Text, Vec<u8>), Versioned>,
    state_bytes: u64,
    commit: u64,
    happened: HashMap<Text, Appended>,
    happened_at: VecDeque<(OffsetDateTime, Text)>,
    stats: StoreStats,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch::random(),
            events: VecDeque::new(),
            first: Offset::new(1),
            bytes: 0,
            versions: HashMap::new(),
            state: BTreeMap::new(),
            state_bytes: 0,
            commit: 0,
            happened: HashMap::new(),
            happened_at: VecDeque::new(),
            stats: StoreStats::default(),
            closed: false,
        }
    }

    /// Gives back what it has done, and the events that it has removed for it.
    pub(super) fn append(
        &mut self,
        append: Append,
        now: OffsetDateTime,
        retention: Retention,
    ) -> Result<(Appended, Vec<StoredEvent>)> {
        self.forget(now);
        if let Some(before) = append.idempotency_key.as_ref().and_then(|key| self.happened.get(key))
        {
            self.stats.duplicates += 1;
            return Ok((Appended { duplicate: true, ..before.clone() }, Vec::new()));
        }
        let checked = self.check(&append).and_then(|()| self.make_room(&append, now, retention));
        let removed = checked.inspect_err(|_| self.stats.refused += 1)?;
        Ok((self.commit(append, now), removed))
    }

    fn check(&self, append: &Append) -> Result<()> {
        for (key, expected) in &append.expected {
            holds(*expected, self.key_version(key), || format!("the key `{key}`"))?;
        }
        // A later change of the same key meets what an earlier one has left.
        let mut changed = HashMap::new();
        for write in &append.state {
            let place = (&write.space, &write.key);
            let there = || self.get(&write.space, &write.key).map_or(0, |state| state.version);
            let version = changed.get(&place).copied().unwrap_or_else(there);
            holds(write.expected, version, || named(write))?;
            changed.insert(place, if write.value.is_some() { self.commit + 1 } else { 0 });
        }
        Ok(())
    }

    fn make_room(
        &mut self,
        append: &Append,
        now: OffsetDateTime,
        retention: Retention,
    ) -> Result<Vec<StoredEvent>> {
        let (events, bytes) = (append.events.len() as u64, append.size() as u64);
        let grows = append.state.iter().any(|write| write.value.is_some());
        if grows && self.state_bytes + bytes > MEMORY_STORE_BYTES_DEFAULT {
            return Err(full("the state in memory is full; remove some of it"));
        }
        if events == 0 {
            return Ok(Vec::new());
        }
        // What comes counts as there.
        let less = |most: Option<u64>, by: u64| most.map(|most| most.saturating_sub(by));
        let wanted = Retention {
            events_max: less(retention.events_max, events),
            bytes_max: less(retention.bytes_max, bytes),
            ..retention
        };
        let (_, removed) = self.trim(wanted, now)?;
        if is_over(retention, self.events.len() as u64 + events, self.bytes + bytes) {
            return Err(full(
                "all events in memory are held by cursors; let their consumers go on",
            ));
        }
        Ok(removed)
    }

    fn commit(&mut self, append: Append, now: OffsetDateTime) -> Appended {
        self.commit += 1;
        let before = self.bounds().last;
        for keyed in append.events {
            let offset = self.bounds().last.next();
            if let Some(key) = &keyed.key {
                *self.versions.entry(key.clone()).or_default() += 1;
            }
            let stored = StoredEvent::new(offset, keyed.key, now, keyed.event);
            self.bytes += stored.event.size() as u64;
            self.events.push_back(stored);
        }
        for write in append.state {
            self.write(write);
        }
        let appended = Appended::new(before.next(), self.bounds().last, self.commit, now);
        if let Some(key) = append.idempotency_key {
            self.happened.insert(key.clone(), appended.clone());
            self.happened_at.push_back((now, key));
        }
        self.stats.appends += 1;
        self.stats.commits += 1;
        appended
    }

    fn write(&mut self, write: StateWrite) {
        let size = |key: &[u8], value: &[u8]| (key.len() + value.len()) as u64;
        let place = (write.space, write.key);
        if let Some(before) = self.state.remove(&place) {
            self.state_bytes -= size(&place.1, &before.value);
        }
        if let Some(value) = write.value {
            self.state_bytes += size(&place.1, &value);
            self.state.insert(place, Versioned::new(value, self.commit));
        }
    }

    /// Forgets the idempotency keys that are too old or too many.
    fn forget(&mut self, now: OffsetDateTime) {
        while let Some((at, _)) = self.happened_at.front() {
            let is_old = now - *at > IDEMPOTENCY_WINDOW;
            if !is_old && self.happened_at.len() < IDEMPOTENCY_KEYS_MAX {
                return;
            }
            if let Some((_, key)) = self.happened_at.pop_front() {
                self.happened.remove(&key);
            }
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let last = Offset::new(self.first.number() + self.events.len() as u64 - 1);
        Bounds::new(self.epoch, self.first, last)
    }

    /// The events that a read may be about, in its order; as many as cannot be avoided.
    pub(super) fn range(&self, read: &Read) -> Result<Vec<StoredEvent>> {
        let Bounds { first, last, .. } = self.bounds();
        if read.after > Offset::START && read.after.next() < first {
            let message = format!(
                "the event after offset {} is no longer kept; the oldest one is {first}",
                read.after
            );
            return Err(Error::new(ErrorKind::Trimmed, message));
        }
        let from = read.after.next().max(first);
        let until = read.until.map_or(last, |until| until.min(last));
        if from > until {
            return Ok(Vec::new());
        }
        let at = |offset: Offset| (offset.number() - first.number()) as usize;
        let range = self.events.range(at(from)..=at(until)).cloned();
        Ok(match read.direction {
            Direction::Backward => range.rev().collect(),
            Direction::Forward => range.collect(),
        })
    }

    pub(super) fn get(&self, space: &str, key: &[u8]) -> Option<Versioned> {
        self.state.get(&(Text::from(space), key.to_vec())).cloned()
    }

    pub(super) fn scan(&self, scan: &Scan) -> Vec<StateEntry> {
        let space = scan.space.clone();
        let from = match &scan.after {
            Some(after) if *after >= scan.prefix => Bound::Excluded((space, after.clone())),
            _ => Bound::Included((space, scan.prefix.clone())),
        };
        let entries = self.state.range((from, Bound::Unbounded));
        let within = entries
            .take_while(|((space, key), _)| *space == scan.space && key.starts_with(&scan.prefix));
        let entry = |((space, key), state): (&(Text, Vec<u8>), &Versioned)| {
            StateEntry::new(space.clone(), key.clone(), state.clone())
        };
        within.take(scan.limit).map(entry).collect()
    }

    pub(super) fn key_version(&self, key: &str) -> u64 {
        self.versions.get(&Text::from(key)).copied().unwrap_or_default()
    }

    /// Gives back what it has done, and the events that it has removed.
    pub(super) fn trim(
        &mut self,
        retention: Retention,
        now: OffsetDateTime,
    ) -> Result<(Trimmed, Vec<StoredEvent>)> {
        let surplus = self.surplus(retention, now);
        let cursors = self.cursors()?;
        let behind = cursors.iter().min_by_key(|(_, acked)| *acked);
        let free = match behind {
            Some((_, acked)) if retention.held == Held::Keep => {
                surplus.min((acked.next().number()).saturating_sub(self.first.number()))
            }
            _ => surplus,
        };
        let removed: Vec<StoredEvent> = self.events.drain(..free as usize).collect();
        self.bytes -= removed.iter().map(|stored| stored.event.size() as u64).sum::<u64>();
        let first = self.first;
        self.first = Offset::new(first.number() + free);
        let mut trimmed = Trimmed { events: free, ..Trimmed::nothing(self.first) };
        if let Some((consumer, _)) = behind.filter(|_| free < surplus) {
            trimmed.held = Some((surplus - free, consumer.clone()));
        }
        let lost = |(consumer, acked): &(String, Offset)| {
            let from = acked.next().max(first).number();
            let lost = self.first.number().saturating_sub(from);
            (lost > 0).then(|| (consumer.clone(), lost))
        };
        trimmed.lost = cursors.iter().filter_map(lost).collect();
        Ok((trimmed, removed))
    }

    /// How many of the oldest events are beyond the bounds.
    fn surplus(&self, retention: Retention, now: OffsetDateTime) -> u64 {
        let (mut events, mut bytes, mut surplus) = (self.events.len() as u64, self.bytes, 0);
        for stored in &self.events {
            let too_many = retention.events_max.is_some_and(|most| events > most);
            let too_big = retention.bytes_max.is_some_and(|most| bytes > most);
            let too_old = retention.age_max.is_some_and(|longest| now - stored.recorded > longest);
            if !(too_many || too_big || too_old) {
                break;
            }
            events -= 1;
            bytes -= stored.event.size() as u64;
            surplus += 1;
        }
        surplus
    }

    fn cursors(&self) -> Result<Vec<(String, Offset)>> {
        let from = (Text::from_static(space::CURSORS), Vec::new());
        let entries = self.state.range(from..);
        let entries = entries.take_while(|((space, _), _)| *space == space::CURSORS);
        let cursor = |((_, key), state): (&(Text, Vec<u8>), &Versioned)| {
            let acked = Cursor::from_bytes(&state.value)?.acked;
            Ok((String::from_utf8_lossy(key).into_owned(), acked))
        };
        entries.map(cursor).collect()
    }

    pub(super) fn integrity(&self) -> Integrity {
        let (events, states) = (self.events.len() as u64, self.state.len() as u64);
        Integrity { events, states, damage: Vec::new() }
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            events: self.events.len() as u64,
            bytes: self.bytes,
            disk_bytes: self.bytes + self.state_bytes,
            idempotency_keys: self.happened.len() as u64,
            ..self.stats.clone()
        }
    }
}

fn holds(expected: Expected, version: u64, what: impl FnOnce() -> String) -> Result<()> {
    match expected.holds(version) {
        true => Ok(()),
        false => {
            let what = what();
            let message = format!(
                "{what} is at version {version}, not {expected:?}; read it again and decide anew"
            );
            Err(Error::new(ErrorKind::Conflict, message))
        }
    }
}

fn named(write: &StateWrite) -> String {
    format!("the state `{}` of `{}`", String::from_utf8_lossy(&write.key), write.space)
}

fn full(message: &str) -> Error {
    Error::new(ErrorKind::StoreFull, message)
}

/// The page that a read makes of the events it may be about.
pub(super) fn page(read: Read, events: Vec<StoredEvent>) -> Page {
    let (mut chosen, mut bytes) = (Vec::new(), 0);
    let last = events.last().map(|stored| stored.offset);
    for stored in events {
        if !read.select.matches(&stored) {
            continue;
        }
        let size = stored.event.size();
        let offset = stored.offset;
        bytes += size;
        if chosen.is_empty() || bytes <= read.bytes_max {
            chosen.push(stored);
        }
        let is_full = chosen.len() == read.events_max || bytes >= read.bytes_max;
        let end = chosen.last().map_or(offset, |stored| stored.offset);
        if is_full && Some(end) != last {
            return Page::new(chosen, Some(rest(read, end)));
        }
    }
    Page::new(chosen, None)
}

/// The same read from beyond this event.
fn rest(read: Read, end: Offset) -> Read {
    match read.direction {
        Direction::Forward => Read { after: end, ..read },
        Direction::Backward => Read { until: Some(end.before()), ..read },
    }
}
