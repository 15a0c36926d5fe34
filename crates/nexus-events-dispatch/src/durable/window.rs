//! What a consumer has taken from the log and not handled yet. Pure: no store, no time.

use std::collections::BTreeMap;

use nexus_events_model::{Event, Text};

use crate::store::{Cursor, Offset, StoredEvent};

#[derive(Default)]
pub(super) struct Window {
    /// Up to here everything was looked at.
    seen: Offset,
    /// What of that is not handled.
    items: BTreeMap<Offset, Item>,
    bytes: usize,
    /// How many of the items are given.
    given: usize,
    delivered: Offset,
    alone: Option<Offset>,
    attempts: BTreeMap<Offset, u32>,
    crashes: BTreeMap<Offset, u32>,
}

pub(super) struct Item {
    /// What it was taken as: an event that is written as JSON later is larger then.
    bytes: usize,
    pub(super) stored: StoredEvent,
    /// Whether a handler has it now, or it is in its queue.
    given: bool,
    /// Whether its handler has committed what it does.
    pub(super) committed: bool,
    /// Why it came back last.
    pub(super) back: Option<Text>,
}

impl Window {
    /// What follows from where a consumer was. What is pending is still to be
    /// [taken](Self::take).
    pub(super) fn of(cursor: &Cursor) -> Self {
        Self {
            seen: cursor.seen,
            delivered: cursor.seen,
            attempts: cursor.attempts.clone(),
            crashes: cursor.crashes.clone(),
            ..Self::default()
        }
    }

    /// An event that is to be handled.
    pub(super) fn take(&mut self, stored: StoredEvent) {
        let (offset, bytes) = (stored.offset, stored.event.size());
        self.seen = self.seen.max(offset);
        self.bytes += bytes;
        let item = Item { bytes, stored, given: false, committed: false, back: None };
        self.items.insert(offset, item);
    }

    /// A handler has it from now on; `false` when it is handled already.
    pub(super) fn give(&mut self, offset: Offset) -> bool {
        let Some(item) = self.items.get_mut(&offset) else { return false };
        self.given += usize::from(!item.given);
        item.given = true;
        true
    }

    /// Its handler has it no more.
    pub(super) fn come_back(&mut self, offset: Offset) -> Option<&mut Item> {
        let item = self.items.get_mut(&offset)?;
        self.given -= usize::from(item.given);
        item.given = false;
        Some(item)
    }

    /// Whether a handler has it.
    pub(super) fn is_given(&self, offset: Offset) -> bool {
        self.items.get(&offset).is_some_and(|item| item.given)
    }

    /// Up to here nothing else is to be handled.
    pub(super) fn look_past(&mut self, offset: Offset) {
        self.seen = self.seen.max(offset);
    }

    pub(super) fn item(&mut self, offset: Offset) -> Option<&mut Item> {
        self.items.get_mut(&offset)
    }

    /// The event is handled or parked; what was known of it.
    pub(super) fn done(&mut self, offset: Offset) -> Option<Item> {
        let item = self.items.remove(&offset)?;
        self.bytes -= item.bytes;
        self.given -= usize::from(item.given);
        self.attempts.remove(&offset);
        self.crashes.remove(&offset);
        Some(item)
    }

    /// Everything up to here is handled.
    pub(super) fn acked(&self) -> Offset {
        let first = self.items.iter().find(|(_, item)| !item.committed);
        first.map_or(self.seen, |(offset, _)| offset.before())
    }

    pub(super) fn seen(&self) -> Offset {
        self.seen
    }

    pub(super) fn delivered(&self) -> Offset {
        self.delivered
    }

    /// From now on handlers may be called for events up to here.
    pub(super) fn deliver_up_to(&mut self, offset: Offset) {
        self.delivered = self.delivered.max(offset);
    }

    /// A handler is called for this event only, or for any of them.
    pub(super) fn set_alone(&mut self, alone: Option<Offset>) {
        self.alone = alone;
    }

    pub(super) fn has_room(&self, events: usize, bytes: usize) -> bool {
        self.items.is_empty() || (self.items.len() < events && self.bytes < bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many are in the hands of handlers.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// Those that no handler has, the oldest first.
    pub(super) fn left(&self) -> Vec<StoredEvent> {
        self.items.values().filter(|item| !item.given).map(|item| item.stored.clone()).collect()
    }

    /// The oldest that has come back, and why.
    pub(super) fn came_back(&self) -> Option<(Offset, &Text)> {
        self.items.iter().find_map(|(offset, item)| Some((*offset, item.back.as_ref()?)))
    }

    /// Those before this one that no handler has.
    pub(super) fn left_before(&self, offset: Offset) -> Vec<Event> {
        if self.given == self.items.len() {
            return Vec::new();
        }
        let before = self.items.range(..offset).map(|(_, item)| item);
        before.filter(|item| !item.given).map(|item| item.stored.event.clone()).collect()
    }

    /// This many attempts were made or are about to be.
    pub(super) fn attempt(&mut self, offset: Offset, attempt: u32) {
        if self.items.contains_key(&offset) {
            self.attempts.insert(offset, attempt);
        }
    }

    pub(super) fn attempts(&self, offset: Offset) -> u32 {
        self.attempts.get(&offset).copied().unwrap_or_default()
    }

    pub(super) fn crashes(&self, offset: Offset) -> u32 {
        self.crashes.get(&offset).copied().unwrap_or_default()
    }

    /// As it is to be stored.
    pub(super) fn cursor(&self, open: bool) -> Cursor {
        let pending = self.items.iter().filter(|(_, item)| !item.committed);
        Cursor {
            acked: self.acked(),
            seen: self.seen,
            pending: pending.map(|(offset, _)| *offset).collect(),
            delivered: if open { self.delivered.max(self.seen) } else { self.seen },
            alone: self.alone.filter(|_| open),
            open,
            attempts: self.attempts.clone(),
            crashes: self.crashes.clone(),
        }
    }
}

/// Counts a crash for every event that a process was at when it ended without saying so.
pub(super) fn count_crash(cursor: &mut Cursor, events: &[Offset]) {
    if !cursor.open {
        return;
    }
    let at_it = |offset: &Offset| match cursor.alone {
        Some(alone) => *offset == alone,
        None => *offset <= cursor.delivered,
    };
    for offset in events.iter().filter(|offset| at_it(offset)) {
        *cursor.crashes.entry(*offset).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use nexus_events_model::Event;
    use proptest::prelude::Rng;
    use proptest::test_runner::{RngAlgorithm, TestRng};
    use time::OffsetDateTime;

    use super::*;

    fn stored(offset: u64) -> StoredEvent {
        let time = OffsetDateTime::UNIX_EPOCH;
        let event = Event::builder("a").id(offset.to_string()).timestamp(time).build().unwrap();
        StoredEvent::new(Offset::new(offset), None, time, event)
    }

    fn window(offsets: &[u64]) -> Window {
        let mut window = Window::default();
        offsets.iter().for_each(|offset| window.take(stored(*offset)));
        window
    }

    #[test]
    fn acks_are_contiguous() {
        let mut window = window(&[1, 3, 4]);
        window.look_past(Offset::new(6));
        assert_eq!(window.acked(), Offset::START);
        window.done(Offset::new(3));
        assert_eq!(window.acked(), Offset::START);
        window.done(Offset::new(1));
        assert_eq!(window.acked(), Offset::new(3));
        assert_eq!(window.cursor(true).pending, [Offset::new(4)]);
        window.done(Offset::new(4));
        assert_eq!(window.acked(), Offset::new(6));
    }

    #[test]
    fn what_is_committed_counts_as_handled() {
        let mut window = window(&[1, 2]);
        window.item(Offset::new(1)).unwrap().committed = true;
        assert_eq!(window.acked(), Offset::new(1));
        assert_eq!(window.cursor(true).pending, [Offset::new(2)]);
    }

    #[test]
    fn an_event_may_grow_while_it_is_held() {
        let mut window = Window::default();
        let event = Event::builder("a").id("1").timestamp(OffsetDateTime::UNIX_EPOCH);
        let event = event.payload(serde_json::json!([true, true, true])).build().unwrap();
        window.take(StoredEvent::new(
            Offset::new(1),
            None,
            OffsetDateTime::UNIX_EPOCH,
            event.clone(),
        ));
        let before = event.size();
        event.payload().json().unwrap();
        assert_ne!(event.size(), before);
        window.done(Offset::new(1));
        assert_eq!(window.bytes, 0);
    }

    #[test]
    fn those_in_the_hands_of_handlers_are_counted() {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut window = Window::default();
        let mut given = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let offset = Offset::new(random.next_u64() % 8);
            match random.next_u64() % 4 {
                0 if window.item(offset).is_none() => window.take(stored(offset.number())),
                1 if window.give(offset) => drop(given.insert(offset)),
                2 => assert_eq!(
                    window.come_back(offset).is_some(),
                    given.remove(&offset) || window.item(offset).is_some()
                ),
                3 => drop(window.done(offset).map(|_| given.remove(&offset))),
                _ => {}
            }
            assert_eq!(window.given(), given.len());
            assert!((0..8).map(Offset::new).all(|it| window.is_given(it) == given.contains(&it)));
        }
    }

    #[test]
    fn a_crash_counts_for_what_may_have_been_called() {
        let mut cursor = Cursor::at(Offset::new(4));
        (cursor.open, cursor.delivered) = (true, Offset::new(6));
        let events = [5, 6, 7].map(Offset::new);
        count_crash(&mut cursor, &events);
        assert_eq!(cursor.crashes.keys().copied().collect::<Vec<_>>(), [5, 6].map(Offset::new));
        cursor.alone = Some(Offset::new(5));
        count_crash(&mut cursor, &events);
        assert_eq!(cursor.crashes[&Offset::new(5)], 2);
        assert_eq!(cursor.crashes[&Offset::new(6)], 1);
    }

    #[test]
    fn a_clean_end_counts_for_nothing() {
        let mut window = window(&[1, 2]);
        window.deliver_up_to(Offset::new(200));
        let mut cursor = window.cursor(false);
        assert_eq!(cursor.delivered, Offset::new(2));
        count_crash(&mut cursor, &[Offset::new(1), Offset::new(2)]);
        assert!(cursor.crashes.is_empty());
    }
}
