//! The places of keys: one array, and an index of it.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Moment;
use super::open::OpenWindows;

/// What there is of each key, in an array, so that a number is enough to name a key elsewhere. A
/// place is free again when its key has gone.
pub(super) struct Slots<K, A> {
    index: HashTable<u32>,
    hasher: RandomState,
    all: Vec<Slot<K, A>>,
    free: Vec<u32>,
}

/// What there is of one key.
pub(super) struct Slot<K, A> {
    /// None when it is free.
    pub(super) key: Option<K>,
    /// The number of its last use.
    pub(super) used: u64,
    /// The earliest entry it has in the deadlines; also while it is free.
    pub(super) due: Moment,
    pub(super) open: OpenWindows<A>,
}

impl<K, A> Slots<K, A> {
    pub(super) fn new() -> Self {
        let (index, hasher) = (HashTable::new(), RandomState::default());
        Self { index, hasher, all: Vec::new(), free: Vec::new() }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many places there are, with those that are free.
    pub(super) const fn places(&self) -> usize {
        self.all.len()
    }

    pub(super) fn at(&self, number: u32) -> Option<&Slot<K, A>> {
        self.all.get(number as usize)
    }

    pub(super) fn at_mut(&mut self, number: u32) -> Option<&mut Slot<K, A>> {
        self.all.get_mut(number as usize)
    }

    /// All places with their numbers, also those that are free.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<K, A>)> {
        (0..).zip(&self.all)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<K, A>)> {
        (0..).zip(&mut self.all)
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Vec<Slot<K, A>> {
        self.index.clear();
        self.free.clear();
        std::mem::take(&mut self.all)
    }
}

impl<K: Hash + Eq, A> Slots<K, A> {
    pub(super) fn find(&self, key: &K) -> Option<u32> {
        let is_it = |number: &u32| self.all[*number as usize].key.as_ref() == Some(key);
        self.index.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// The place of a key, a new one where it has none yet.
    #[inline]
    pub(super) fn place(&mut self, key: K) -> (u32, &mut Slot<K, A>) {
        let hash = self.hasher.hash_one(&key);
        let all = &self.all;
        let is_it = |number: &u32| all[*number as usize].key.as_ref() == Some(&key);
        let number = match self.index.find(hash, is_it) {
            Some(number) => *number,
            None => self.add(key, hash),
        };
        (number, &mut self.all[number as usize])
    }

    #[inline(never)]
    fn add(&mut self, key: K, hash: u64) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(Slot::free());
            // Keys are bounded to fewer.
            (self.all.len() - 1) as u32
        });
        self.all[number as usize].key = Some(key);
        let (all, hasher) = (&self.all, &self.hasher);
        let hash_of =
            |number: &u32| all[*number as usize].key.as_ref().map_or(0, |key| hasher.hash_one(key));
        self.index.insert_unique(hash, number, hash_of);
        number
    }

    /// Takes a key and its windows out.
    pub(super) fn remove(&mut self, number: u32) -> Option<(K, OpenWindows<A>)> {
        let slot = self.all.get_mut(number as usize)?;
        let (key, open) = (slot.key.take()?, std::mem::take(&mut slot.open));
        if let Ok(entry) = self.index.find_entry(self.hasher.hash_one(&key), |it| *it == number) {
            entry.remove();
        }
        self.free.push(number);
        Some((key, open))
    }
}

impl<K, A> Slot<K, A> {
    const fn free() -> Self {
        Self { key: None, used: 0, due: Moment::MAX, open: OpenWindows::new() }
    }
}
