//! Everything that a store shows, to compare two of them.

use nexus_events_dispatch::Result;
use nexus_events_dispatch::store::{
    EventStore, Offset, Read, Scan, StateEntry, StoredEvent, space,
};

use crate::wait::wait;

pub(crate) const KEYS: [&str; 4] = ["order-1", "order-2", "order-3", "order-4"];
pub(crate) const SPACES: [&str; 4] = ["orders", "outbox", "saga", space::CURSORS];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    first: Offset,
    last: Offset,
    events: Vec<StoredEvent>,
    states: Vec<StateEntry>,
    key_versions: [u64; KEYS.len()],
}

impl View {
    pub(crate) fn of(store: &dyn EventStore) -> Result<Self> {
        // The answer comes after what was in line before, which may be shown a little later than
        // it was answered.
        let mut key_versions = [0; KEYS.len()];
        for (version, key) in key_versions.iter_mut().zip(KEYS) {
            *version = wait(store.key_version(key))?;
        }
        let bounds = store.bounds();
        let mut states = Vec::new();
        for space in SPACES {
            states.extend(wait(store.scan(Scan::of(space)))?);
        }
        let events = events(store, Read::all())?;
        Ok(Self { first: bounds.first, last: bounds.last, events, states, key_versions })
    }

    pub(crate) fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    /// What is wrong with it whatever it should be.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let offsets = self.first.number()..=self.last.number();
        let shown: Vec<u64> = self.events.iter().map(|stored| stored.offset.number()).collect();
        if !shown.iter().copied().eq(offsets.clone()) {
            return Some(format!("offsets {shown:?} instead of {offsets:?}"));
        }
        None
    }

    /// In a line.
    pub(crate) fn summary(&self) -> String {
        let (first, last) = (self.first, self.last);
        let state = |entry: &StateEntry| {
            let key = String::from_utf8_lossy(&entry.key);
            format!("{}/{key}@{}", entry.space, entry.state.version)
        };
        let states: Vec<_> = self.states.iter().map(state).collect();
        format!(
            "{} events {first} to {last}, state {}, versions {:?}",
            self.events.len(),
            states.join(" "),
            self.key_versions
        )
    }
}

/// All pages of a read.
pub(crate) fn events(store: &dyn EventStore, read: Read) -> Result<Vec<StoredEvent>> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = wait(store.read(read))?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}
