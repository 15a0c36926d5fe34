//! The items of one priority.

use std::collections::{BTreeMap, VecDeque};

use nexus_events_model::{Priority, Text};

use crate::queue::{Age, Arrival};

/// Each row is in the order of arrival.
pub(super) struct Class<T> {
    priority: Priority,
    /// Without a key.
    plain: VecDeque<Plain<T>>,
    /// The first of their keys.
    ready: BTreeMap<u64, (T, Arrival)>,
    /// Behind another of their key.
    blocked: BTreeMap<u64, (T, Arrival)>,
    bytes: usize,
}

/// Without what its row says about it: this is the row most items stand in.
struct Plain<T> {
    value: T,
    age: Age,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Plain,
    Ready,
    Blocked,
}

impl Row {
    const RUNNABLE: [Self; 2] = [Self::Plain, Self::Ready];
    const ALL: [Self; 3] = [Self::Plain, Self::Ready, Self::Blocked];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Oldest,
    Newest,
}

impl<T> Class<T> {
    pub(super) fn new(priority: Priority) -> Self {
        let (ready, blocked) = (BTreeMap::new(), BTreeMap::new());
        Self { priority, plain: VecDeque::new(), ready, blocked, bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.ready.len() + self.blocked.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) fn is_runnable(&self) -> bool {
        !self.plain.is_empty() || !self.ready.is_empty()
    }

    /// Adds the newest of all, without a key.
    #[inline]
    pub(super) fn push(&mut self, value: T, age: Age, bytes: usize) {
        self.bytes += bytes;
        self.plain.push_back(Plain { value, age, bytes });
    }

    /// Adds one with a key.
    pub(super) fn push_keyed(&mut self, first_of_key: bool, value: T, arrival: Arrival) {
        self.bytes += arrival.bytes;
        let row = if first_of_key { &mut self.ready } else { &mut self.blocked };
        row.insert(arrival.age.number, (value, arrival));
    }

    /// Adds one that may run to where it was.
    pub(super) fn put_back(&mut self, value: T, arrival: Arrival) {
        if arrival.key.is_some() {
            return self.push_keyed(true, value, arrival);
        }
        let Arrival { age, bytes, .. } = arrival;
        self.bytes += bytes;
        let place = self.plain.partition_point(|other| other.age.number < age.number);
        self.plain.insert(place, Plain { value, age, bytes });
    }

    /// Nobody is in front of this one any more.
    pub(super) fn unblock(&mut self, number: u64) {
        if let Some(item) = self.blocked.remove(&number) {
            self.ready.insert(number, item);
        }
    }

    /// The one that runs next.
    pub(super) fn first(&self) -> Option<Age> {
        self.outermost(&Row::RUNNABLE, End::Oldest).map(|(_, age)| age)
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<(T, Arrival)> {
        if self.ready.is_empty() { self.pull_plain(End::Oldest) } else { self.take_keyed() }
    }

    #[inline(never)]
    fn take_keyed(&mut self) -> Option<(T, Arrival)> {
        let (row, _) = self.outermost(&Row::RUNNABLE, End::Oldest)?;
        self.pull(row, End::Oldest)
    }

    /// All of them, with their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&T, Option<&Text>)> {
        let keyed = self.ready.values().chain(self.blocked.values());
        let keyed = keyed.map(|(value, arrival)| (value, arrival.key()));
        self.plain.iter().map(|item| (&item.value, None)).chain(keyed)
    }

    /// The one that came first, whether it may run or not.
    pub(super) fn oldest(&self) -> Option<Age> {
        self.outermost(&Row::ALL, End::Oldest).map(|(_, age)| age)
    }

    /// Takes out the one at this end, whether it may run or not, and says where it stood.
    pub(super) fn remove(&mut self, end: End) -> Option<(Row, T, Arrival)> {
        let (row, _) = self.outermost(&Row::ALL, end)?;
        self.pull(row, end).map(|(value, arrival)| (row, value, arrival))
    }

    fn outermost(&self, rows: &[Row], end: End) -> Option<(Row, Age)> {
        let ends = rows.iter().filter_map(|row| Some((*row, self.at(*row, end)?)));
        match end {
            End::Oldest => ends.min_by_key(|(_, age)| age.number),
            End::Newest => ends.max_by_key(|(_, age)| age.number),
        }
    }

    fn at(&self, row: Row, end: End) -> Option<Age> {
        match (row, end) {
            (Row::Plain, End::Oldest) => self.plain.front().map(|item| item.age),
            (Row::Plain, End::Newest) => self.plain.back().map(|item| item.age),
            (Row::Ready, _) => outer(&self.ready, end),
            (Row::Blocked, _) => outer(&self.blocked, end),
        }
    }

    fn pull(&mut self, row: Row, end: End) -> Option<(T, Arrival)> {
        let keyed = match row {
            Row::Plain => return self.pull_plain(end),
            Row::Ready => &mut self.ready,
            Row::Blocked => &mut self.blocked,
        };
        let (_, item) = match end {
            End::Oldest => keyed.pop_first(),
            End::Newest => keyed.pop_last(),
        }?;
        self.bytes -= item.1.bytes;
        Some(item)
    }

    #[inline]
    fn pull_plain(&mut self, end: End) -> Option<(T, Arrival)> {
        let Plain { value, age, bytes } = match end {
            End::Oldest => self.plain.pop_front(),
            End::Newest => self.plain.pop_back(),
        }?;
        self.bytes -= bytes;
        Some((value, Arrival { age, bytes, priority: self.priority, key: None }))
    }
}

fn outer<T>(row: &BTreeMap<u64, (T, Arrival)>, end: End) -> Option<Age> {
    match end {
        End::Oldest => row.first_key_value(),
        End::Newest => row.last_key_value(),
    }
    .map(|(_, (_, arrival))| arrival.age)
}
