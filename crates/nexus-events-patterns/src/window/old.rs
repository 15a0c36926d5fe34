//! Which keys have not been used for the longest time.

use std::collections::VecDeque;

/// Least recently used keys, found an eighth of all at a time: a use costs one number in the key's
/// own place, and nothing is kept in order. So a look at all keys is paid for by the evictions of
/// an eighth of them.
#[derive(Debug)]
pub(super) struct Old<K> {
    /// The number of the latest use.
    now: u64,
    /// The oldest keys of the last look, with the use they had then; oldest first.
    oldest: VecDeque<(K, u64)>,
}

impl<K: Clone> Old<K> {
    pub(super) const fn new() -> Self {
        Self { now: 0, oldest: VecDeque::new() }
    }

    /// The number of a use that is later than all before.
    #[inline]
    pub(super) fn used(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// The least recently used of these keys. `last_use` says when a key was used last, `all` lists
    /// all of them.
    pub(super) fn least<'a, I: Iterator<Item = (&'a K, u64)>>(
        &mut self,
        last_use: impl Fn(&K) -> Option<u64>,
        all: impl FnOnce() -> I,
    ) -> Option<K>
    where
        K: 'a,
    {
        // What was used since is not among the oldest any more; what was not, still is.
        while let Some((key, used)) = self.oldest.pop_front() {
            if last_use(&key) == Some(used) {
                return Some(key);
            }
        }
        let mut uses: Vec<(&K, u64)> = all().collect();
        let some = uses.len().div_ceil(8);
        if some == 0 {
            return None;
        }
        uses.select_nth_unstable_by_key(some - 1, |(_, used)| *used);
        uses.truncate(some);
        uses.sort_unstable_by_key(|(_, used)| *used);
        self.oldest = uses.into_iter().map(|(key, used)| (key.clone(), used)).collect();
        self.oldest.pop_front().map(|(key, _)| key)
    }
}
