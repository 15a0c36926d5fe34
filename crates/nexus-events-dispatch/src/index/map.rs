//! A hash map that is a value: clones share everything, a change copies one path.

use std::iter::once;

use crate::sync::Arc;

/// Bits of the hash that choose a slot on one level.
const BITS: u32 = 6;

/// Levels until the hash is used up; below, values of equal hashes stand side by side.
const LEVELS: u32 = u64::BITS.div_ceil(BITS);

/// A persistent hash map of values that know their own key, so each call says how the wanted one
/// is recognised. A clone of `V` has to be cheap; it is an `Arc` everywhere.
///
/// A trie over the hash, 64 ways wide. A branch holds its occupied slots only; which those are is
/// said by a bitmap that lies beside the pointer, so each level costs a reader one cache line.
#[derive(Debug, Clone)]
pub(super) struct Map<V> {
    root: Branch<V>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Branch<V> {
    occupied: u64,
    slots: Arc<[Slot<V>]>,
}

#[derive(Debug, Clone)]
enum Slot<V> {
    Leaf { hash: u64, value: V },
    Branch(Branch<V>),
}

/// The part of a hash that is not used up yet.
#[derive(Clone, Copy)]
struct Rest {
    bits: u64,
    level: u32,
}

impl Rest {
    fn new(hash: u64) -> Self {
        Self { bits: hash, level: 0 }
    }

    fn bit(self) -> u64 {
        1 << (self.bits >> (u64::BITS - BITS))
    }

    fn next(self) -> Self {
        Self { bits: self.bits << BITS, level: self.level + 1 }
    }

    /// What another hash has left on the same level.
    fn of(self, hash: u64) -> Option<Self> {
        (!self.is_used_up()).then(|| Self { bits: hash << (BITS * self.level), ..self })
    }

    fn is_used_up(self) -> bool {
        self.level == LEVELS
    }
}

/// Spreads a hash over the upper bits, which choose first; no two hashes become one.
fn mixed(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self { occupied: 0, slots: Arc::default() }
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self { root: Branch::default(), len: 0 }
    }
}

impl<V> Slot<V> {
    fn is(&self, hash: u64, is: &impl Fn(&V) -> bool) -> bool {
        matches!(self, Self::Leaf { hash: own, value } if *own == hash && is(value))
    }

    fn value(&self) -> Option<&V> {
        match self {
            Self::Leaf { value, .. } => Some(value),
            Self::Branch(_) => None,
        }
    }
}

impl<V: Clone> Slot<V> {
    /// Another hash agrees with this leaf's so far, so the leaf goes a level down.
    fn push_down(&mut self, rest: Rest) {
        if let Self::Leaf { hash, .. } = self {
            let occupied = rest.of(*hash).map_or(0, Rest::bit);
            let slots = Arc::from([self.clone()]);
            *self = Self::Branch(Branch { occupied, slots });
        }
    }
}

impl<V> Branch<V> {
    fn place(&self, bit: u64) -> usize {
        (self.occupied & (bit - 1)).count_ones() as usize
    }

    /// Where the slot of this hash is on this level, or would be.
    fn find(&self, rest: Rest, hash: u64, is: &impl Fn(&V) -> bool) -> Result<usize, usize> {
        if rest.is_used_up() {
            let at = self.slots.iter().position(|slot| slot.is(hash, is));
            return at.ok_or(self.slots.len());
        }
        let at = self.place(rest.bit());
        if self.occupied & rest.bit() == 0 { Err(at) } else { Ok(at) }
    }

    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a V)) {
        for slot in &*self.slots {
            match slot {
                Slot::Leaf { value, .. } => visit(value),
                Slot::Branch(branch) => branch.each(visit),
            }
        }
    }
}

impl<V: Clone> Branch<V> {
    fn add(&mut self, at: usize, rest: Rest, slot: Slot<V>) {
        let (before, after) = self.slots.split_at(at);
        let slots = before.iter().cloned().chain(once(slot)).chain(after.iter().cloned());
        self.slots = slots.collect();
        if !rest.is_used_up() {
            self.occupied |= rest.bit();
        }
    }

    fn take(&mut self, at: usize, rest: Rest) {
        let (before, after) = self.slots.split_at(at);
        self.slots = before.iter().chain(&after[1..]).cloned().collect();
        if !rest.is_used_up() {
            self.occupied &= !rest.bit();
        }
    }

    fn entry(
        &mut self,
        rest: Rest,
        hash: u64,
        is: &impl Fn(&V) -> bool,
        new: &mut dyn FnMut() -> V,
    ) -> Option<&mut V> {
        let at = match self.find(rest, hash, is) {
            Ok(at) => at,
            Err(at) => {
                self.add(at, rest, Slot::Leaf { hash, value: new() });
                at
            }
        };
        let slot = Arc::make_mut(&mut self.slots).get_mut(at)?;
        if !slot.is(hash, is) {
            slot.push_down(rest.next());
        }
        match slot {
            Slot::Leaf { value, .. } => Some(value),
            Slot::Branch(branch) => branch.entry(rest.next(), hash, is, new),
        }
    }

    fn remove(&mut self, rest: Rest, hash: u64, is: &impl Fn(&V) -> bool) -> Option<V> {
        let at = self.find(rest, hash, is).ok()?;
        if self.slots[at].is(hash, is) {
            let removed = self.slots[at].value().cloned();
            self.take(at, rest);
            return removed;
        }
        if matches!(self.slots[at], Slot::Leaf { .. }) {
            return None;
        }
        let slot = &mut Arc::make_mut(&mut self.slots)[at];
        let Slot::Branch(branch) = slot else { return None };
        let removed = branch.remove(rest.next(), hash, is);
        // A leaf that is alone again moves up, so that the shape depends on the content only.
        if let [leaf @ Slot::Leaf { .. }] = &*branch.slots {
            *slot = leaf.clone();
        }
        removed
    }
}

impl<V> Map<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, hash: u64, is: impl Fn(&V) -> bool) -> Option<&V> {
        let hash = mixed(hash);
        let (mut branch, mut rest) = (&self.root, Rest::new(hash));
        loop {
            let at = branch.find(rest, hash, &is).ok()?;
            match &branch.slots[at] {
                Slot::Branch(next) => branch = next,
                leaf => return leaf.is(hash, &is).then(|| leaf.value()).flatten(),
            }
            rest = rest.next();
        }
    }

    /// Visits every value, in no particular order.
    pub(super) fn each<'a>(&'a self, mut visit: impl FnMut(&'a V)) {
        self.root.each(&mut visit);
    }
}

impl<V: Clone> Map<V> {
    /// Changes the value, which is made first if there is none.
    pub(super) fn change<R>(
        &mut self,
        hash: u64,
        is: impl Fn(&V) -> bool,
        new: impl Fn() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let hash = mixed(hash);
        let mut added = 0;
        let mut new = || {
            added = 1;
            new()
        };
        let changed = self.root.entry(Rest::new(hash), hash, &is, &mut new).map(change);
        self.len += added;
        changed
    }

    /// Removes the value and gives it back.
    pub(super) fn remove(&mut self, hash: u64, is: impl Fn(&V) -> bool) -> Option<V> {
        let hash = mixed(hash);
        let removed = self.root.remove(Rest::new(hash), hash, &is);
        self.len -= usize::from(removed.is_some());
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes with long common beginnings, and equal ones.
    fn hash(number: u64) -> u64 {
        // Undoes the mixing, so that the test decides which bits meet.
        let wanted = match number % 4 {
            0 => number << 32,
            1 => number / 64,
            2 => u64::MAX << (number % 64),
            _ => number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        wanted.wrapping_mul(0xf1de_83e1_9937_733d)
    }

    fn check(map: &Map<u64>, held: &[bool]) {
        let mut all = Vec::new();
        map.each(|number| all.push(*number));
        all.sort_unstable();
        let expected: Vec<u64> =
            (0..).zip(held).filter(|(_, held)| **held).map(|(number, _)| number).collect();
        assert_eq!(all, expected);
        assert_eq!(map.len(), expected.len());
        assert_eq!(map.is_empty(), expected.is_empty());
        for (number, held) in (0..).zip(held) {
            assert_eq!(
                map.get(hash(number), |known| *known == number).is_some(),
                *held,
                "{number}"
            );
        }
    }

    #[test]
    fn the_test_decides_which_bits_meet() {
        assert_eq!(mixed(hash(1)), 0);
        assert_eq!(mixed(hash(64 * 4)), (64 * 4) << 32);
        assert_eq!((hash(5), hash(2)), (hash(9), hash(66)));
    }

    #[test]
    fn it_holds_what_was_put_in_however_the_hashes_meet() {
        let mut map = Map::default();
        let mut held = [false; 300];
        let mut versions = Vec::new();
        for step in 0..=900_u64 {
            let number = step * 7919 % 300;
            let (is, at) = (|known: &u64| *known == number, usize::try_from(number).unwrap());
            if step % 3 == 2 || step > 600 {
                assert_eq!(map.remove(hash(number), is), held[at].then_some(number));
                held[at] = false;
            } else {
                let found = map.change(hash(number), is, || number, |known| *known);
                assert_eq!(found, Some(number));
                held[at] = true;
            }
            if step % 50 == 0 {
                check(&map, &held);
                versions.push((map.clone(), held));
            }
        }
        check(&map, &[false; 300]);
        assert_eq!((map.root.occupied, map.root.slots.len()), (0, 0));
        versions.iter().for_each(|(map, held)| check(map, held));
    }

    #[test]
    fn a_slot_is_three_words() {
        assert_eq!(size_of::<Slot<Arc<u64>>>(), 24);
    }
}
