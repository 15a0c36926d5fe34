//! Dead letters in memory: by id, by handler and event, by handler and key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nexus_events_model::{Event, EventId, Text};
use time::OffsetDateTime;

use super::options::{DeadLettersBuilder, OnFull};
use super::record::DeadLetter;
use crate::error::{Error, Result};

/// What is kept, within its bounds.
#[derive(Default)]
pub(super) struct State {
    letters: BTreeMap<u64, Held>,
    by_event: HashMap<(Text, EventId), u64>,
    by_key: HashMap<(Text, Text), BTreeSet<u64>>,
    pub(super) bytes: usize,
    last_id: u64,
    /// None failed last before this.
    oldest: Option<OffsetDateTime>,
}

struct Held {
    letter: DeadLetter,
    bytes: usize,
    replaying: bool,
}

/// What was put in.
pub(super) struct Put {
    pub(super) letter: DeadLetter,
    /// What it replaces.
    pub(super) before: Option<DeadLetter>,
    /// What went to make room.
    pub(super) gone: Vec<DeadLetter>,
}

impl State {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&DeadLetter> {
        self.letters.get(&id).map(|held| &held.letter)
    }

    /// All later than this one, oldest first.
    pub(super) fn after(&self, id: u64) -> impl Iterator<Item = &DeadLetter> {
        self.letters.range(id.saturating_add(1)..).map(|(_, held)| &held.letter)
    }

    /// The first of a key.
    pub(super) fn first_of(&self, handler: &Text, key: &Text) -> Option<u64> {
        self.by_key.get(&(handler.clone(), key.clone()))?.first().copied()
    }

    pub(super) fn has(&self, handler: &Text, event: &EventId) -> bool {
        self.by_event.contains_key(&(handler.clone(), event.clone()))
    }

    /// Whether an event of this handler and key has to wait behind another one.
    pub(super) fn is_behind(&self, handler: &Text, key: &Text, event: &EventId) -> bool {
        let own = self.by_event.get(&(handler.clone(), event.clone()));
        self.first_of(handler, key).is_some_and(|first| Some(&first) != own)
    }

    /// Keeps a letter, or the new state of one of the same handler and event.
    pub(super) fn put(
        &mut self,
        mut letter: DeadLetter,
        bounds: &DeadLettersBuilder,
    ) -> Result<Put> {
        let place = (letter.handler.clone(), letter.event.id().clone());
        let before = self.by_event.get(&place).and_then(|id| self.letters.get(id));
        letter.claim = None;
        letter.id = match before {
            Some(before) => {
                letter.first_failure = before.letter.first_failure;
                letter.replays = before.letter.replays;
                letter.edits = before.letter.edits;
                letter.payload_hash = before.letter.payload_hash;
                before.letter.id
            }
            None => self.last_id + 1,
        };
        let gone = match self.fits(&letter, bounds) {
            Err(_) if bounds.on_full == OnFull::DropOldest && letter.size() <= bounds.bytes => {
                self.make_room(&letter, bounds)
            }
            fits => fits.map(|()| Vec::new())?,
        };
        let before = self.insert(letter.clone());
        Ok(Put { letter, before, gone })
    }

    /// Whether there is room for it, instead of one with its id.
    pub(super) fn fits(&self, letter: &DeadLetter, bounds: &DeadLettersBuilder) -> Result<()> {
        let before = self.letters.get(&letter.id);
        if before.is_none() && self.letters.len() >= bounds.letters {
            return Err(full(format!("{} dead letters", bounds.letters)));
        }
        let freed = before.map_or(0, |before| before.bytes);
        if self.bytes - freed + letter.size() > bounds.bytes {
            return Err(full(format!("{} bytes of dead letters", bounds.bytes)));
        }
        Ok(())
    }

    /// Removes the oldest until it fits; those that are replayed now stay.
    fn make_room(&mut self, letter: &DeadLetter, bounds: &DeadLettersBuilder) -> Vec<DeadLetter> {
        let mut gone = Vec::new();
        while self.fits(letter, bounds).is_err() {
            let may_go = |(id, held): &(&u64, &Held)| **id != letter.id && !held.replaying;
            let Some(oldest) = self.letters.iter().find(may_go).map(|(id, _)| *id) else { break };
            gone.extend(self.remove(oldest));
        }
        gone
    }

    /// The new state of one, as long as it is as it was known.
    pub(super) fn replace(&mut self, before: &DeadLetter, after: DeadLetter) -> bool {
        let is_known = self.get(after.id).is_some_and(|now| {
            Event::ptr_eq(&now.event, &before.event)
                && (now.edits, now.replays) == (before.edits, before.replays)
                && (now.claim, now.last_failure) == (before.claim, before.last_failure)
        });
        if is_known {
            self.insert(after);
        }
        is_known
    }

    /// As it is stored, whatever the bounds; what it replaces.
    pub(super) fn insert(&mut self, letter: DeadLetter) -> Option<DeadLetter> {
        let (id, bytes) = (letter.id, letter.size());
        let replaying = self.is_replaying(id);
        let before = self.remove(id);
        self.last_id = self.last_id.max(id);
        self.bytes += bytes;
        self.oldest =
            Some(self.oldest.map_or(letter.last_failure, |it| it.min(letter.last_failure)));
        self.by_event.insert((letter.handler.clone(), letter.event.id().clone()), id);
        if let Some(key) = &letter.key {
            let place = (letter.handler.clone(), key.clone());
            self.by_key.entry(place).or_default().insert(letter.id);
        }
        self.letters.insert(id, Held { letter, bytes, replaying });
        before
    }

    /// Those that failed last before this time and are not replayed now.
    pub(super) fn older_than(&mut self, time: OffsetDateTime) -> Vec<u64> {
        if self.oldest.is_none_or(|oldest| oldest >= time) {
            return Vec::new();
        }
        self.oldest = self.letters.values().map(|held| held.letter.last_failure).min();
        let is_old = |held: &Held| held.letter.last_failure < time && !held.replaying;
        self.letters.iter().filter(|(_, held)| is_old(held)).map(|(id, _)| *id).collect()
    }

    pub(super) fn id_of(&self, handler: &Text, event: &EventId) -> Option<u64> {
        self.by_event.get(&(handler.clone(), event.clone())).copied()
    }

    pub(super) fn is_replaying(&self, id: u64) -> bool {
        self.letters.get(&id).is_some_and(|held| held.replaying)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<DeadLetter> {
        let Held { letter, bytes, .. } = self.letters.remove(&id)?;
        self.bytes -= bytes;
        self.by_event.remove(&(letter.handler.clone(), letter.event.id().clone()));
        if let Some(key) = &letter.key {
            let place = (letter.handler.clone(), key.clone());
            if let Some(ids) = self.by_key.get_mut(&place) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_key.remove(&place);
                }
            }
        }
        Some(letter)
    }

    /// Counts a replay that begins; `Ok(None)` when one is on its way.
    pub(super) fn begin_replay(&mut self, id: u64) -> Option<Option<DeadLetter>> {
        let held = self.letters.get_mut(&id)?;
        if std::mem::replace(&mut held.replaying, true) {
            return Some(None);
        }
        held.letter.replays += 1;
        Some(Some(held.letter.clone()))
    }

    /// The handler did not get it after all.
    pub(super) fn take_back_replay(&mut self, id: u64) {
        if let Some(held) = self.letters.get_mut(&id) {
            held.letter.replays = held.letter.replays.saturating_sub(1);
        }
    }

    pub(super) fn end_replay(&mut self, id: u64) {
        if let Some(held) = self.letters.get_mut(&id) {
            held.replaying = false;
        }
    }
}

fn full(most: String) -> Error {
    Error::overloaded(format!("{most} are the most; replay or discard some"))
}
