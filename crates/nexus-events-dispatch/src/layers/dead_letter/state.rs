//! Dead letters in memory: by id, by handler and event, by handler and key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nexus_events_model::{EventId, Text};

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
}

struct Held {
    letter: DeadLetter,
    bytes: usize,
    replaying: bool,
}

/// The most that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) letters: usize,
    pub(super) bytes: usize,
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

    /// Keeps a letter, or the new state of one of the same handler and event; its id, and what it
    /// replaces.
    pub(super) fn put(
        &mut self,
        mut letter: DeadLetter,
        bounds: Bounds,
    ) -> Result<(u64, Option<DeadLetter>)> {
        let place = (letter.handler.clone(), letter.event.id().clone());
        let known = self.by_event.get(&place).copied();
        let before = known.and_then(|id| self.letters.get(&id));
        if let Some(before) = before {
            letter.id = before.letter.id;
            letter.first_failure = before.letter.first_failure;
            letter.replays = before.letter.replays;
        } else if self.letters.len() >= bounds.letters {
            return Err(full(format!("{} dead letters", bounds.letters)));
        } else {
            letter.id = self.last_id + 1;
        }
        let bytes = letter.size();
        let freed = before.map_or(0, |before| before.bytes);
        if self.bytes - freed + bytes > bounds.bytes {
            return Err(full(format!("{} bytes of dead letters", bounds.bytes)));
        }
        let replaying = before.is_some_and(|before| before.replaying);
        Ok((letter.id, self.insert(letter, bytes, replaying)))
    }

    /// As it was stored, whatever the bounds.
    pub(super) fn load(&mut self, letter: DeadLetter) -> Option<DeadLetter> {
        let bytes = letter.size();
        self.insert(letter, bytes, false)
    }

    fn insert(&mut self, letter: DeadLetter, bytes: usize, replaying: bool) -> Option<DeadLetter> {
        let before = self.remove(letter.id);
        self.last_id = self.last_id.max(letter.id);
        self.bytes += bytes;
        self.by_event.insert((letter.handler.clone(), letter.event.id().clone()), letter.id);
        if let Some(key) = &letter.key {
            let place = (letter.handler.clone(), key.clone());
            self.by_key.entry(place).or_default().insert(letter.id);
        }
        self.letters.insert(letter.id, Held { letter, bytes, replaying });
        before
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
