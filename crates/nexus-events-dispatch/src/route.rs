//! The handlers of one event type in the order of their turns.

use std::cmp::Reverse;
use std::ops::Deref;

use crate::entry::Entry;
use crate::handler::Mode;
use crate::sync::Arc;

pub(crate) struct Route {
    entries: Box<[Arc<Entry>]>,
    /// Where each wave ends.
    waves: Box<[usize]>,
    inline: bool,
    filtered: bool,
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
            inline: entries.iter().all(|entry| entry.mode == Mode::Inline),
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

    /// Whether every handler runs on the publisher's stack.
    pub(crate) fn is_inline(&self) -> bool {
        self.inline
    }
}

impl Deref for Route {
    type Target = [Arc<Entry>];

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}
