//! The handlers of one event type in the order of their turns.

use std::cmp::Reverse;
use std::ops::Deref;

use crate::entry::Entry;
use crate::handler::Mode;
use crate::shared::SharedLane;
use crate::sync::Arc;

pub(crate) struct Route {
    entries: Box<[Arc<Entry>]>,
    /// Where each wave ends.
    waves: Box<[usize]>,
    /// What each shared lane runs of the last wave.
    shares: Box<[Share]>,
    /// How many those are.
    shared: usize,
    /// Whether a pass can take the event through all of it.
    passable: bool,
    filtered: bool,
}

/// The handlers of one wave that run on one shared lane.
pub(crate) struct Share {
    pub(crate) lane: Arc<SharedLane>,
    pub(crate) places: Box<[usize]>,
}

impl Route {
    pub(crate) fn new(mut entries: Vec<Arc<Entry>>) -> Self {
        entries.sort_by_key(|entry| (Reverse(entry.priority), entry.id));
        let mut end = 0;
        let waves = entries.chunk_by(|a, b| a.priority == b.priority).map(|wave| {
            end += wave.len();
            end
        });
        Self {
            waves: waves.collect(),
            filtered: entries.iter().any(|entry| !entry.filters.is_empty()),
            passable: passable(&entries),
            shares: shares(&entries),
            shared: entries.iter().filter(|entry| entry.shared.get().is_some()).count(),
            entries: entries.into(),
        }
    }

    /// Where the wave ends that this place is in.
    pub(crate) fn wave_end(&self, place: usize) -> Option<usize> {
        self.waves.iter().copied().find(|end| *end > place)
    }

    /// Whether some handler has a filter.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Whether every handler runs on the publisher's stack, but for those of shared lanes in the
    /// last wave.
    pub(crate) fn is_passable(&self) -> bool {
        self.passable
    }

    /// How many of its handlers run on shared lanes.
    pub(crate) fn shared(&self) -> usize {
        self.shared
    }

    pub(crate) fn shares(&self) -> &[Share] {
        &self.shares
    }
}

fn passable(entries: &[Arc<Entry>]) -> bool {
    let last = entries.last().map(|entry| entry.priority);
    entries.iter().all(|entry| {
        let shared = entry.shared.get().is_some() && entry.own_lane.get().is_none();
        entry.mode == Mode::Inline || (shared && Some(entry.priority) == last)
    })
}

fn shares(entries: &[Arc<Entry>]) -> Box<[Share]> {
    let mut shares: Vec<(&Arc<SharedLane>, Vec<usize>)> = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let Some(lane) = entry.shared.get() else { continue };
        match shares.iter_mut().find(|(known, _)| Arc::ptr_eq(known, lane)) {
            Some((_, places)) => places.push(place),
            None => shares.push((lane, vec![place])),
        }
    }
    let share = |(lane, places): (&Arc<SharedLane>, Vec<usize>)| Share {
        lane: lane.clone(),
        places: places.into(),
    };
    shares.into_iter().map(share).collect()
}

impl Deref for Route {
    type Target = [Arc<Entry>];

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}
