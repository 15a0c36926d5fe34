//! The handlers of one event type in the order of their turns.

use std::cmp::Reverse;
use std::ops::Deref;

use crate::entry::Entry;
use crate::handler::{Mode, Turn};
use crate::shared::SharedLane;
use crate::sync::Arc;

pub(crate) struct Route {
    entries: Box<[Arc<Entry>]>,
    /// Their turns, side by side, so that running them touches no entry.
    turns: Box<[Turn]>,
    /// How many handlers of the bus had ended when it was found.
    pub(crate) ends: u64,
    /// Where each wave ends.
    waves: Box<[usize]>,
    /// What each shared lane runs of the last wave.
    shares: Box<[Share]>,
    /// How many those are.
    shared: usize,
    way: Way,
    filtered: bool,
}

/// The handlers of one wave that run on one shared lane.
pub(crate) struct Share {
    pub(crate) lane: Arc<SharedLane>,
    pub(crate) places: Box<[usize]>,
}

/// How an event goes along a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// On the publisher's stack, but for the handlers of shared lanes in the last wave.
    Pass,
    /// Nowhere.
    Nobody,
    /// To shared lanes only.
    Shares,
    /// As a delivery.
    Long,
}

impl Route {
    pub(crate) fn new(entries: Vec<Arc<Entry>>) -> Self {
        Self::found(entries, 0)
    }

    /// The handlers found when so many had ended.
    pub(crate) fn found(mut entries: Vec<Arc<Entry>>, ends: u64) -> Self {
        entries.sort_by_key(|entry| (Reverse(entry.priority), entry.id));
        let mut end = 0;
        let waves = entries.chunk_by(|a, b| a.priority == b.priority).map(|wave| {
            end += wave.len();
            end
        });
        Self {
            waves: waves.collect(),
            filtered: entries.iter().any(|entry| !entry.filters.is_empty()),
            way: way(&entries),
            turns: entries.iter().map(|entry| entry.turn.clone()).collect(),
            ends,
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

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    pub(crate) fn turn(&self, place: usize) -> &Turn {
        &self.turns[place]
    }

    /// How many of its handlers run on shared lanes.
    pub(crate) fn shared(&self) -> usize {
        self.shared
    }

    pub(crate) fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// A lane that publishers have to wait for.
    pub(crate) fn blocked(&self) -> Option<&Arc<SharedLane>> {
        self.shares.iter().map(|share| &share.lane).find(|lane| lane.is_blocked())
    }
}

fn way(entries: &[Arc<Entry>]) -> Way {
    let last = entries.last().map(|entry| entry.priority);
    let is_shared = |entry: &Entry| {
        let shared = entry.shared.get().is_some() && entry.own_lane.get().is_none();
        shared && Some(entry.priority) == last
    };
    if entries.is_empty() {
        Way::Nobody
    } else if entries.iter().all(|entry| is_shared(entry)) {
        Way::Shares
    } else if entries.iter().all(|entry| entry.mode == Mode::Inline || is_shared(entry)) {
        Way::Pass
    } else {
        Way::Long
    }
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
