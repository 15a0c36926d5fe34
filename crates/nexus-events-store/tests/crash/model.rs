//! What a store has to show after each thing that was done with it.

use nexus_events_dispatch::store::{
    Append, Appended, EventStore, MemoryStore, Retention, StateStore, Trimmed,
};
use nexus_events_dispatch::{Clock, ManualClock, Result};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::view::View;
use crate::wait::wait;

#[derive(Debug, Clone)]
enum What {
    Append(Append),
    Trim(Retention),
}

/// The reference in memory, with all that it has shown.
pub(crate) struct Model {
    clock: ManualClock,
    memory: MemoryStore,
    done: Vec<(OffsetDateTime, What)>,
    /// One more than there are things done.
    views: Vec<View>,
}

impl Model {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
        let memory = empty(&clock);
        let views = vec![View::of(&memory).unwrap()];
        Self { clock, memory, done: Vec::new(), views }
    }

    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.memory
    }

    pub(crate) fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// How many things were done that may have changed something.
    pub(crate) fn len(&self) -> usize {
        self.done.len()
    }

    pub(crate) fn view(&self) -> &View {
        &self.views[self.len()]
    }

    pub(crate) fn append(&mut self, append: &Append) -> Result<Appended> {
        let appended = wait(self.memory.append(append.clone()))?;
        if !appended.duplicate {
            self.did(What::Append(append.clone()));
        }
        Ok(appended)
    }

    pub(crate) fn trim(&mut self, retention: Retention) -> Result<Trimmed> {
        let trimmed = wait(self.memory.trim(retention))?;
        self.did(What::Trim(retention));
        Ok(trimmed)
    }

    fn did(&mut self, what: What) {
        self.done.push((self.clock.now(), what));
        self.views.push(View::of(&self.memory).unwrap());
    }

    pub(crate) fn key_version(&self, key: &str) -> u64 {
        wait(self.memory.key_version(key)).unwrap()
    }

    pub(crate) fn state_version(&self, space: &str, key: &str) -> u64 {
        wait(self.memory.get(space, key.as_bytes())).unwrap().map_or(0, |state| state.version)
    }

    /// How many of the things were done that lead to this view, if any of these do.
    pub(crate) fn find(&self, view: &View, least: usize, most: usize) -> Option<usize> {
        (least..=most).rev().find(|count| self.views[*count] == *view)
    }

    pub(crate) fn views(&self) -> &[View] {
        &self.views
    }

    /// Only the first things were done.
    pub(crate) fn truncate(&mut self, count: usize) {
        if count == self.len() {
            return;
        }
        let now = self.clock.now();
        self.done.truncate(count);
        self.views.truncate(count + 1);
        self.memory = empty(&self.clock);
        for (at, what) in &self.done {
            self.clock.set(*at);
            match what {
                What::Append(append) => drop(wait(self.memory.append(append.clone())).unwrap()),
                What::Trim(retention) => drop(wait(self.memory.trim(*retention)).unwrap()),
            }
        }
        self.clock.set(now);
    }
}

fn empty(clock: &ManualClock) -> MemoryStore {
    MemoryStore::keeping(Retention::new()).clock(clock.clone())
}
