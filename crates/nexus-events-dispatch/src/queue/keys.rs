//! The keys in use, and who waits behind whom.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use nexus_events_model::Text;

/// Room for this many is kept without a look at how many wait.
const SPARE: usize = 16;

/// A key is here while it has a first item: the one that may run, or the one that was taken.
#[derive(Default)]
pub(super) struct Keys {
    /// Those behind the first, in the order of arrival.
    behind: HashMap<Text, VecDeque<Spot>>,
}

/// Where a blocked item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) number: u64,
    pub(super) class: usize,
}

impl Keys {
    /// A newcomer; whether it is the first of its key.
    pub(super) fn join(&mut self, key: &Text, spot: Spot) -> bool {
        match self.behind.entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(VecDeque::new());
                true
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().push_back(spot);
                false
            }
        }
    }

    /// The first of the key is gone; who is first now.
    pub(super) fn advance(&mut self, key: &Text) -> Option<Spot> {
        let behind = self.behind.get_mut(key)?;
        let next = behind.pop_front();
        if next.is_none() {
            self.behind.remove(key);
        } else {
            trim(behind);
        }
        next
    }

    /// One that waited behind the first is gone.
    pub(super) fn leave(&mut self, key: &Text, number: u64) {
        let Some(behind) = self.behind.get_mut(key) else { return };
        if let Ok(at) = behind.binary_search_by_key(&number, |spot| spot.number) {
            behind.remove(at);
            trim(behind);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.behind.len()
    }
}

/// A key that was busy once does not keep the memory of that time.
fn trim(behind: &mut VecDeque<Spot>) {
    if behind.capacity() > SPARE && behind.len() < behind.capacity() / 4 {
        behind.shrink_to(behind.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Text = Text::from_static("k");

    fn spot(number: u64) -> Spot {
        Spot { number, class: 0 }
    }

    #[test]
    fn the_next_is_the_one_that_came_next() {
        let mut keys = Keys::default();
        assert!(keys.join(&KEY, spot(1)));
        assert!((2..6).all(|number| !keys.join(&KEY, spot(number))));
        keys.leave(&KEY, 3);
        keys.leave(&KEY, 5);
        assert_eq!(keys.advance(&KEY), Some(spot(2)));
        assert_eq!(keys.advance(&KEY), Some(spot(4)));
        assert_eq!(keys.advance(&KEY), None);
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn memory_follows_what_waits() {
        let mut keys = Keys::default();
        assert_eq!((0..1_000).filter(|number| keys.join(&KEY, spot(*number))).count(), 1);
        assert!((0..990).all(|_| keys.advance(&KEY).is_some()));
        assert!(keys.behind[&KEY].capacity() < 64);
        (995..1_000).for_each(|number| keys.leave(&KEY, number));
        assert_eq!(keys.advance(&KEY), Some(spot(991)));
    }
}
