//! The newest events, as they are, so that those who follow the log never wait for the disk.

use std::collections::VecDeque;

use nexus_events_dispatch::store::StoredEvent;

use crate::limits::TAIL_BYTES_MAX;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Each with its size.
    events: VecDeque<(StoredEvent, usize)>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn push(&mut self, stored: StoredEvent) {
        let size = stored.event.size();
        self.bytes += size;
        self.events.push_back((stored, size));
    }

    /// What is too much for it; dropped outside of any lock.
    #[must_use]
    pub(crate) fn surplus(&mut self) -> Vec<StoredEvent> {
        let mut removed = Vec::new();
        while self.bytes > TAIL_BYTES_MAX {
            removed.extend(self.pop());
        }
        removed
    }

    #[must_use]
    pub(crate) fn trim(&mut self, first: u64) -> Vec<StoredEvent> {
        let mut removed = Vec::new();
        while self.events.front().is_some_and(|(stored, _)| stored.offset.number() < first) {
            removed.extend(self.pop());
        }
        removed
    }

    fn pop(&mut self) -> Option<StoredEvent> {
        let (stored, size) = self.events.pop_front()?;
        self.bytes -= size;
        Some(stored)
    }

    /// The first offset that it has.
    pub(crate) fn first(&self) -> Option<u64> {
        self.events.front().map(|(stored, _)| stored.offset.number())
    }

    /// At most so many of the events between these offsets, from the first on or from the last.
    pub(crate) fn between(
        &self,
        from: u64,
        until: u64,
        backward: bool,
        most: usize,
    ) -> Vec<StoredEvent> {
        // Offsets that are lost are not there.
        let at = |offset: u64| self.events.partition_point(|(it, _)| it.offset.number() < offset);
        let end = at(until + 1);
        let range = self.events.range(at(from).min(end)..end).map(|(stored, _)| stored);
        match backward {
            true => range.rev().take(most).cloned().collect(),
            false => range.take(most).cloned().collect(),
        }
    }
}
