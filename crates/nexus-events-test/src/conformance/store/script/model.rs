//! What a store is, said as plainly as possible.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_events_dispatch::ErrorKind::{Conflict, Trimmed};
use nexus_events_dispatch::store::Held;
use nexus_events_model::Event;

use super::answer::{Answer, consumer, key, space};
use super::step::{Draft, Step, Write};

struct Logged {
    key: Option<String>,
    event: Event,
    recorded: Duration,
}

/// All events there ever were, and state.
pub(super) struct Model {
    now: Duration,
    window: Duration,
    /// The event of offset 1 is the first.
    log: Vec<Logged>,
    /// How many of them were removed.
    removed: usize,
    /// Values with the append that put them.
    states: BTreeMap<(String, String), (Vec<u8>, u64)>,
    cursors: BTreeMap<String, u64>,
    appends: u64,
    /// Idempotency keys, when they came, and what was answered.
    happened: BTreeMap<u8, (Duration, (u64, u64, u64))>,
    seen: BTreeMap<(u8, u8), u64>,
}

impl Model {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            now: Duration::ZERO,
            window,
            log: Vec::new(),
            removed: 0,
            states: BTreeMap::new(),
            cursors: BTreeMap::new(),
            appends: 0,
            happened: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn answer(&mut self, step: &Step) -> Answer {
        match step {
            Step::Append(draft) => self.append(draft),
            Step::Read { .. } => self.read(step),
            Step::Get(in_space, under) => {
                self.seen.insert((*in_space, *under), self.version(*in_space, *under));
                Answer::State(self.states.get(&(space(*in_space), key(*under))).cloned())
            }
            Step::Scan(in_space, prefix, after, limit) => {
                self.scan(*in_space, *prefix, *after, *limit)
            }
            Step::KeyVersion(of) => Answer::Number(self.key_version(*of)),
            Step::Bounds => Answer::Numbers(self.removed as u64 + 1, self.log.len() as u64),
            Step::Cursors => {
                Answer::Cursors(self.cursors.iter().map(|(name, at)| (name.clone(), *at)).collect())
            }
            Step::Trim(events, held) => {
                self.trim(self.log.len().saturating_sub(*events as usize), *held)
            }
            Step::TrimByAge(seconds) => {
                let longest = Duration::from_secs(*seconds);
                let is_old = |logged: &&Logged| self.now - logged.recorded > longest;
                self.trim(self.log.iter().take_while(is_old).count(), Held::Keep)
            }
            Step::Advance(seconds) => {
                self.now += Duration::from_secs(*seconds);
                Answer::Nothing
            }
            Step::Verify => {
                let states = self.states.len() + self.cursors.len();
                Answer::Numbers((self.log.len() - self.removed) as u64, states as u64)
            }
            Step::Reopen => Answer::Nothing,
        }
    }

    fn version(&self, in_space: u8, under: u8) -> u64 {
        self.states.get(&(space(in_space), key(under))).map_or(0, |(_, append)| *append)
    }

    fn key_version(&self, of: u8) -> u64 {
        let of = key(of);
        self.log.iter().filter(|logged| logged.key.as_ref() == Some(&of)).count() as u64
    }

    fn append(&mut self, draft: &Draft) -> Answer {
        let (now, window) = (self.now, self.window);
        self.happened.retain(|_, (came, _)| now - *came <= window);
        let before = draft.idempotency_key.and_then(|once| self.happened.get(&once));
        if let Some((_, (first, last, append))) = before {
            let (first, last, append) = (*first, *last, *append);
            return Answer::Appended { first, last, append, duplicate: true };
        }
        // Changed on a copy, which is forgotten where something does not hold.
        let mut states = self.states.clone();
        if !self.keys_hold(draft) || !draft.state.iter().all(|write| self.write(&mut states, write))
        {
            return Answer::Refused(Conflict);
        }
        self.states = states;
        self.appends += 1;
        let first = self.log.len() as u64 + 1;
        for (with_key, event) in &draft.events {
            let (key, event) = (with_key.map(key), event.clone());
            self.log.push(Logged { key, event, recorded: now });
        }
        if let Some((of, at)) = draft.cursor {
            self.cursors.insert(consumer(of), at);
        }
        let (last, append) = (self.log.len() as u64, self.appends);
        if let Some(once) = draft.idempotency_key {
            self.happened.insert(once, (now, (first, last, append)));
        }
        Answer::Appended { first, last, append, duplicate: false }
    }

    fn keys_hold(&self, draft: &Draft) -> bool {
        draft.expected.iter().all(|(of, more)| match more {
            None => self.key_version(*of) == 0,
            Some(more) => *more == 0,
        })
    }

    /// Whether what it expects is the case.
    fn write(
        &self,
        states: &mut BTreeMap<(String, String), (Vec<u8>, u64)>,
        write: &Write,
    ) -> bool {
        let place = (space(write.space), key(write.key));
        let version = states.get(&place).map_or(0, |(_, append)| *append);
        let holds = match (write.is_as_seen, write.is_there) {
            (true, _) => {
                self.seen.get(&(write.space, write.key)).copied().unwrap_or_default() == version
            }
            (false, Some(is_there)) => (version > 0) == is_there,
            (false, None) => true,
        };
        match write.value {
            Some(value) => drop(states.insert(place, (vec![value], self.appends + 1))),
            None => drop(states.remove(&place)),
        }
        holds
    }

    fn read(&self, step: &Step) -> Answer {
        let Step::Read { after, until, backward, pattern, key: of, priority, .. } = step else {
            return Answer::Nothing;
        };
        if *after > 0 && (*after as usize) < self.removed {
            return Answer::Refused(Trimmed);
        }
        let is_meant = |(offset, logged): &(u64, &Logged)| {
            *offset > (*after).max(self.removed as u64)
                && until.is_none_or(|until| *offset <= until)
                && pattern.as_ref().is_none_or(|it| it.matches(logged.event.event_type()))
                && of.is_none_or(|of| logged.key == Some(key(of)))
                && priority.is_none_or(|least| logged.event.priority() >= least)
        };
        let meant = (1..).zip(&self.log).filter(is_meant);
        let mut events: Vec<_> = meant
            .map(|(offset, logged)| (offset, logged.key.clone(), logged.event.clone()))
            .collect();
        if *backward {
            events.reverse();
        }
        Answer::Events(events)
    }

    fn scan(&self, in_space: u8, prefix: Option<u8>, after: Option<u8>, limit: usize) -> Answer {
        let (in_space, prefix) = (space(in_space), prefix.map(key).unwrap_or_default());
        let entries = self.states.iter().filter(|((space, under), _)| {
            *space == in_space
                && under.starts_with(&prefix)
                && after.is_none_or(|after| *under > key(after))
        });
        let entries = entries
            .map(|((_, under), (value, append))| (under.clone().into(), value.clone(), *append));
        Answer::States(entries.take(limit.max(1)).collect())
    }

    /// Removes the first so many events that ever were, or fewer.
    fn trim(&mut self, wanted: usize, held: Held) -> Answer {
        let wanted = wanted.max(self.removed);
        let first_held = self.cursors.iter().min_by_key(|(_, at)| **at);
        let free = match first_held {
            Some((_, at)) if held == Held::Keep => wanted.min((*at as usize).max(self.removed)),
            _ => wanted,
        };
        let lost = |(name, at): (&String, &u64)| {
            let lost = free.saturating_sub(self.removed.max(*at as usize));
            (lost > 0).then(|| (name.clone(), lost as u64))
        };
        let lost = self.cursors.iter().filter_map(lost).collect();
        let held = first_held.filter(|_| free < wanted);
        let held = held.map(|(name, _)| ((wanted - free) as u64, name.clone()));
        let events = (free - self.removed) as u64;
        self.removed = free;
        Answer::Trimmed { events, first: free as u64 + 1, held, lost }
    }
}
