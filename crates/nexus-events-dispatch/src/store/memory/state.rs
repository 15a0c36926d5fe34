//! What a store in memory holds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use nexus_events_model::Text;
use time::OffsetDateTime;

use super::happened::Happened;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    APPEND_BYTES_MAX, APPEND_EVENTS_MAX, IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_WINDOW,
    MEMORY_STORE_BYTES_DEFAULT,
};
use crate::store::append::{Append, Appended, StateWrite};
use crate::store::maintenance::{Integrity, Retention, StoreStats};
use crate::store::offset::{Bounds, Epoch, Offset};
use crate::store::read::{Scan, StateEntry, StoredEvent, Versioned};

pub(super) struct State {
    epoch: Epoch,
    pub(super) events: VecDeque<StoredEvent>,
    /// What each of them held when it came; it may have grown since, by a form of its payload.
    pub(super) sizes: VecDeque<u64>,
    /// The offset of the first event, or of the next one to come.
    pub(super) first: Offset,
    pub(super) bytes: u64,
    versions: HashMap<Text, u64>,
    pub(super) state: BTreeMap<(Text, Vec<u8>), Versioned>,
    state_bytes: u64,
    commit: u64,
    happened: Happened,
    stats: StoreStats,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch::random(),
            events: VecDeque::new(),
            sizes: VecDeque::new(),
            first: Offset::new(1),
            bytes: 0,
            versions: HashMap::new(),
            state: BTreeMap::new(),
            state_bytes: 0,
            commit: 0,
            happened: Happened::new(IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_WINDOW),
            stats: StoreStats::default(),
            closed: false,
        }
    }

    /// Takes what it commits out of the append. Gives back what it has done, and the events that
    /// it has removed for it.
    pub(super) fn append(
        &mut self,
        append: &mut Append,
        now: OffsetDateTime,
        retention: Retention,
    ) -> Result<(Appended, Vec<StoredEvent>)> {
        self.happened.forget(now);
        let fits = append.check().and_then(|()| is_small(append));
        fits.inspect_err(|_| self.stats.refused += 1)?;
        if let Some(before) = self.happened.answer(append.idempotency_key.as_ref()) {
            self.stats.duplicates += 1;
            return Ok((Appended { duplicate: true, ..before.clone() }, Vec::new()));
        }
        let surplus = self.check(append).and_then(|()| self.make_room(append, now, retention));
        let surplus = surplus.inspect_err(|_| self.stats.refused += 1)?;
        let removed = self.remove(surplus);
        Ok((self.commit(append, now), removed))
    }

    fn check(&self, append: &Append) -> Result<()> {
        for (key, expected) in &append.expected {
            expected.require(self.key_version(key), || format!("the key `{key}`"))?;
        }
        // A later change of the same key meets what an earlier one has left.
        let mut changed = HashMap::new();
        for write in &append.state {
            let place = (&write.space, &write.key);
            let there = || self.get(&write.space, &write.key).map_or(0, |state| state.version);
            let version = changed.get(&place).copied().unwrap_or_else(there);
            write.expected.require(version, || named(write))?;
            changed.insert(place, if write.value.is_some() { self.commit + 1 } else { 0 });
        }
        Ok(())
    }

    /// How many of the oldest events have to go for it.
    fn make_room(&self, append: &Append, now: OffsetDateTime, retention: Retention) -> Result<u64> {
        let state_bytes = self.state_bytes_after(append);
        if state_bytes > self.state_bytes && state_bytes > MEMORY_STORE_BYTES_DEFAULT {
            return Err(full("the state in memory is full; remove some of it"));
        }
        let events = append.events.len() as u64;
        let bytes = append.events.iter().map(|keyed| keyed.event.size() as u64).sum();
        if events == 0 {
            return Ok(0);
        }
        if is_over(retention, events, bytes) {
            let message = "an append has more events than the store keeps; split it, or let the \
                           store keep more";
            return Err(Error::too_large(message));
        }
        // What comes counts as there.
        let less = |most: Option<u64>, by: u64| most.map(|most| most.saturating_sub(by));
        let wanted = Retention {
            events_max: less(retention.events_max, events),
            bytes_max: less(retention.bytes_max, bytes),
            ..retention
        };
        let free = self.cut(wanted, now)?.free;
        let gone_bytes = self.sizes.iter().take(free as usize).sum::<u64>();
        let events_after = self.events.len() as u64 - free + events;
        if is_over(retention, events_after, self.bytes - gone_bytes + bytes) {
            return Err(full(
                "all events in memory are held by cursors; let their consumers go on",
            ));
        }
        Ok(free)
    }

    fn state_bytes_after(&self, append: &Append) -> u64 {
        let mut after = self.state_bytes;
        let mut changed = HashMap::new();
        for StateWrite { space, key, value, .. } in &append.state {
            let before = changed.get(&(space, key)).copied();
            let before = before.unwrap_or_else(|| {
                self.get(space, key).map_or(0, |state| size_of_state(key, &state.value))
            });
            let size = value.as_ref().map_or(0, |value| size_of_state(key, value));
            after = after - before + size;
            changed.insert((space, key), size);
        }
        after
    }

    fn commit(&mut self, append: &mut Append, now: OffsetDateTime) -> Appended {
        self.commit += 1;
        let before = self.bounds().last;
        for keyed in append.events.drain(..) {
            let offset = self.bounds().last.next();
            if let Some(key) = &keyed.key {
                *self.versions.entry(key.clone()).or_default() += 1;
            }
            let stored = StoredEvent::new(offset, keyed.key, now, keyed.event);
            let size = stored.event.size() as u64;
            self.bytes += size;
            self.sizes.push_back(size);
            self.events.push_back(stored);
        }
        for write in append.state.drain(..) {
            self.write(write);
        }
        let appended = Appended::new(before.next(), self.bounds().last, self.commit, now);
        if let Some(key) = append.idempotency_key.take() {
            self.happened.remember(key, appended.clone());
        }
        self.stats.appends += 1;
        self.stats.commits += 1;
        appended
    }

    fn write(&mut self, write: StateWrite) {
        let place = (write.space, write.key);
        if let Some(before) = self.state.remove(&place) {
            self.state_bytes -= size_of_state(&place.1, &before.value);
        }
        if let Some(value) = write.value {
            self.state_bytes += size_of_state(&place.1, &value);
            self.state.insert(place, Versioned::new(value, self.commit));
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let last = Offset::new(self.first.number() + self.events.len() as u64 - 1);
        Bounds::new(self.epoch, self.first, last)
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
        within.take(scan.limit.max(1)).map(entry).collect()
    }

    pub(super) fn key_version(&self, key: &str) -> u64 {
        self.versions.get(&Text::from(key)).copied().unwrap_or_default()
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
            idempotency_keys: self.happened.len(),
            ..self.stats.clone()
        }
    }
}

fn is_small(append: &Append) -> Result<()> {
    let (events, bytes) = (append.events.len(), append.size());
    if events <= APPEND_EVENTS_MAX && bytes <= APPEND_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "an append has {events} events and about {bytes} bytes, the most are {APPEND_EVENTS_MAX} \
         and {APPEND_BYTES_MAX}; split it"
    );
    Err(Error::too_large(message))
}

/// Whether that is more than a store keeps.
fn is_over(retention: Retention, events: u64, bytes: u64) -> bool {
    retention.events_max.is_some_and(|most| events > most)
        || retention.bytes_max.is_some_and(|most| bytes > most)
}

fn size_of_state(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

fn named(write: &StateWrite) -> String {
    format!("the state `{}` of `{}`", String::from_utf8_lossy(&write.key), write.space)
}

fn full(message: &str) -> Error {
    Error::new(ErrorKind::StoreFull, message)
}
