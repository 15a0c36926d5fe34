//! The bounded queue of one subscription or consumer group, as plain data: whoever owns it locks,
//! waits, wakes and counts.
//!
//! Items of one key come out one at a time and in the order of arrival, whatever their
//! priorities. Those that may run stand in a class per priority, in the order of arrival, and the
//! classes take turns.

mod class;
mod keys;
#[cfg(test)]
mod oracle;
mod overload;
#[cfg(test)]
mod tests;
mod turns;

use nexus_events_model::{Priority, Text};

pub use self::overload::Overload;
pub(crate) use self::overload::{Pushed, Reason};

use self::class::{Class, End, Row};
use self::keys::{Keys, Spot};
use self::turns::Turns;
use crate::sync::Instant;

const CLASSES: usize = Priority::ALL.len();

/// How much may wait, whichever is met first. A single item always may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl Bounds {
    /// Whether one more item of this size may wait beside those.
    #[inline]
    fn admit(self, len: usize, bytes: usize, more: usize) -> bool {
        len == 0 || (len < self.events && bytes.saturating_add(more) <= self.bytes)
    }

    /// Whether that is half of what may wait.
    fn half(self, len: usize, bytes: usize) -> bool {
        len > 0 && (len >= self.events.div_ceil(2) || bytes >= self.bytes.div_ceil(2))
    }
}

/// What is pushed, and what comes back when it gave way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item<T> {
    pub(crate) value: T,
    pub(crate) bytes: usize,
    pub(crate) priority: Priority,
    /// Items of one key never run at the same time.
    pub(crate) key: Option<Text>,
}

/// The place of an item in the order of arrival.
///
/// Whoever takes an item holds its key until this goes back through [`Queue::done`] or
/// [`Queue::put_back`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Arrival {
    age: Age,
    bytes: usize,
    priority: Priority,
    key: Option<Text>,
}

#[derive(Debug, Clone, Copy)]
struct Age {
    /// Of all items ever queued.
    number: u64,
    since: Instant,
}

impl Arrival {
    /// When the item was pushed.
    pub(crate) fn since(&self) -> Instant {
        self.age.since
    }

    pub(crate) fn key(&self) -> Option<&Text> {
        self.key.as_ref()
    }

    fn item<T>(self, value: T) -> Item<T> {
        Item { value, bytes: self.bytes, priority: self.priority, key: self.key }
    }
}

pub(crate) struct Queue<T> {
    bounds: Bounds,
    overload: Overload,
    /// Lowest priority first.
    classes: [Class<T>; CLASSES],
    /// A bit for each class with an item that may run.
    runnable: u8,
    turns: Turns,
    keys: Keys,
    len: usize,
    bytes: usize,
    arrivals: u64,
    /// Newcomers of each class since the last that was let in as a sample.
    passed_over: [u32; CLASSES],
}

impl<T> Queue<T> {
    pub(crate) fn new(bounds: Bounds, overload: Overload) -> Self {
        Self {
            bounds,
            overload,
            classes: Priority::ALL.map(Class::new),
            turns: Turns::NEW,
            runnable: 0,
            keys: Keys::default(),
            len: 0,
            bytes: 0,
            arrivals: 0,
            passed_over: [0; CLASSES],
        }
    }

    /// Queues the item, or does what the queue's [`Overload`] says.
    #[inline]
    pub(crate) fn push(&mut self, item: Item<T>, now: Instant) -> Pushed<T> {
        let Item { value, bytes, priority, key } = item;
        if key.is_some() || self.samples() || !self.has_room(bytes) {
            return self.push_with_care(Item { value, bytes, priority, key }, now);
        }
        let age = self.arrive(bytes, now);
        let class = priority as usize;
        self.classes[class].push(value, age, bytes);
        self.runnable |= 1 << class;
        Pushed::Queued
    }

    fn samples(&self) -> bool {
        matches!(self.overload, Overload::Sample { .. })
    }

    #[inline(never)]
    fn push_with_care(&mut self, item: Item<T>, now: Instant) -> Pushed<T> {
        let class = item.priority as usize;
        if let Overload::Sample { one_in } = self.overload
            && self.passes_over(class, one_in)
        {
            return Pushed::Refused(item, Reason::Sampled);
        }
        if self.has_room(item.bytes) {
            self.add(item, now);
            return Pushed::Queued;
        }
        match self.overload {
            Overload::Block { .. } => Pushed::Full(item),
            Overload::Reject => Pushed::Refused(item, Reason::Full),
            _ if item.bytes > self.bounds.bytes => Pushed::Refused(item, Reason::TooBig),
            Overload::DropOldest => self.push_instead(item, now, End::Oldest),
            Overload::Sample { .. } if item.priority != Priority::Critical => {
                Pushed::Refused(item, Reason::Newest)
            }
            Overload::DropNewest | Overload::Sample { .. } => {
                self.push_instead(item, now, End::Newest)
            }
        }
    }

    /// The next item that may run, with its key held. The clock is only asked when priorities
    /// compete.
    #[inline]
    pub(crate) fn take(&mut self, now: impl FnOnce() -> Instant) -> Option<(T, Arrival)> {
        let class = self.next_class(now)?;
        let (value, arrival) = self.classes[class].take()?;
        self.len -= 1;
        self.bytes -= arrival.bytes;
        self.look_again(class);
        Some((value, arrival))
    }

    /// The item ran; the next of its key may.
    #[inline]
    pub(crate) fn done(&mut self, arrival: Arrival) {
        if let Some(key) = &arrival.key {
            self.advance(key);
        }
    }

    /// The item did not run and waits again where it was, with the age it had. It is let in even
    /// when its room was given away.
    pub(crate) fn put_back(&mut self, value: T, arrival: Arrival) {
        self.len += 1;
        self.bytes += arrival.bytes;
        let class = arrival.priority as usize;
        self.classes[class].put_back(value, arrival);
        self.look_again(class);
    }

    /// Whether [`take`](Self::take) would find an item.
    pub(crate) fn is_runnable(&self) -> bool {
        self.runnable != 0
    }

    /// Whether an item of this size could be queued without anything giving way.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bounds.admit(self.len, self.bytes, bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All that wait, with their keys, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&T, Option<&Text>)> {
        self.classes.iter().flat_map(Class::iter)
    }

    /// When the one that waits longest was pushed.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let oldest = self.classes.iter().filter_map(Class::oldest);
        oldest.min_by_key(|age| age.number).map(|age| age.since)
    }

    /// Takes out all that wait, in the order of arrival. Keys of taken items stay held.
    pub(crate) fn drain(&mut self) -> Vec<Item<T>> {
        std::iter::from_fn(|| {
            let numbers = self.classes.each_ref().map(|class| Some(class.oldest()?.number));
            let class = (0..CLASSES)
                .filter(|class| numbers[*class].is_some())
                .min_by_key(|class| numbers[*class])?;
            self.remove(class, End::Oldest)
        })
        .collect()
    }

    fn add(&mut self, item: Item<T>, now: Instant) {
        let Item { value, bytes, priority, key } = item;
        let (age, class) = (self.arrive(bytes, now), priority as usize);
        if let Some(key) = key {
            let first = self.keys.join(&key, Spot { number: age.number, class });
            let arrival = Arrival { age, bytes, priority, key: Some(key) };
            self.classes[class].push_keyed(first, value, arrival);
        } else {
            self.classes[class].push(value, age, bytes);
        }
        self.look_again(class);
    }

    /// Counts one more that waits.
    #[inline]
    fn arrive(&mut self, bytes: usize, now: Instant) -> Age {
        let age = Age { number: self.arrivals, since: now };
        self.arrivals += 1;
        self.len += 1;
        self.bytes += bytes;
        age
    }

    /// Queues the item in place of some that matter no more than it does, or refuses it when they
    /// do not make enough room.
    fn push_instead(&mut self, item: Item<T>, now: Instant, end: End) -> Pushed<T> {
        let class = item.priority as usize;
        let (below, reason, refusal) = match end {
            End::Oldest => (class + 1, Reason::Oldest, Reason::Outranked),
            End::Newest => (class, Reason::Newest, Reason::Newest),
        };
        let stay = &self.classes[below..];
        let len = stay.iter().map(Class::len).sum();
        let bytes = stay.iter().map(Class::bytes).sum();
        if !self.bounds.admit(len, bytes, item.bytes) {
            return Pushed::Refused(item, refusal);
        }
        let Some(first) = self.remove_lowest(end) else {
            return Pushed::Refused(item, refusal);
        };
        let mut more = Vec::new();
        while !self.has_room(item.bytes) {
            more.extend(self.remove_lowest(end));
        }
        self.add(item, now);
        Pushed::QueuedInsteadOf { first, more, reason }
    }

    fn remove_lowest(&mut self, end: End) -> Option<Item<T>> {
        (0..CLASSES).find_map(|class| self.remove(class, end))
    }

    /// Takes out the item at this end of the class; the others of its key stay in order.
    fn remove(&mut self, class: usize, end: End) -> Option<Item<T>> {
        let (row, value, arrival) = self.classes[class].remove(end)?;
        self.len -= 1;
        self.bytes -= arrival.bytes;
        self.look_again(class);
        if let Some(key) = &arrival.key {
            match row {
                Row::Blocked => self.keys.leave(key, arrival.age.number),
                Row::Plain | Row::Ready => self.advance(key),
            }
        }
        Some(arrival.item(value))
    }

    fn advance(&mut self, key: &Text) {
        if let Some(spot) = self.keys.advance(key) {
            self.classes[spot.class].unblock(spot.number);
            self.look_again(spot.class);
        }
    }

    /// Whether a newcomer of this class is not the one in so many.
    fn passes_over(&mut self, class: usize, one_in: u32) -> bool {
        let critical_before_lower =
            class == CLASSES - 1 && self.classes[..class].iter().any(|lower| lower.len() > 0);
        if !self.bounds.half(self.len, self.bytes) || critical_before_lower {
            return false;
        }
        let passed_over = &mut self.passed_over[class];
        let passes = *passed_over > 0;
        *passed_over = if *passed_over + 1 >= one_in { 0 } else { *passed_over + 1 };
        passes
    }

    /// Sets the bit of this class anew.
    #[inline]
    fn look_again(&mut self, class: usize) {
        let bit = 1 << class;
        if self.classes[class].is_runnable() {
            self.runnable |= bit;
        } else {
            self.runnable &= !bit;
        }
    }

    /// The class whose first item runs next.
    #[inline]
    fn next_class(&mut self, now: impl FnOnce() -> Instant) -> Option<usize> {
        if self.runnable.is_power_of_two() {
            self.turns = Turns::NEW;
            return Some(self.runnable.trailing_zeros() as usize);
        }
        (self.runnable != 0).then(|| self.among_classes(now()))
    }

    #[inline(never)]
    fn among_classes(&mut self, now: Instant) -> usize {
        self.turns.next(&self.classes.each_ref().map(Class::first), now)
    }
}
