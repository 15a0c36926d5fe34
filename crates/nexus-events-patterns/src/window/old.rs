//! Which keys have not been used for the longest time.

use std::collections::VecDeque;

/// Least recently used keys, found an eighth of all at a time: a use costs one number in the key's
/// own place, and nothing is kept in order. So a look at all keys is paid for by the evictions of
/// an eighth of them.
#[derive(Debug)]
pub(super) struct Old {
    /// The number of the latest use.
    now: u64,
    /// The oldest places of the last look, with the use they had then; oldest first.
    oldest: VecDeque<(u32, u64)>,
}

impl Old {
    pub(super) const fn new() -> Self {
        Self { now: 0, oldest: VecDeque::new() }
    }

    /// The number of a use that is later than all before.
    #[inline]
    pub(super) fn used(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// The place used least recently. `last_use` says when one was used last, `all` lists all of
    /// them.
    pub(super) fn least<I: Iterator<Item = (u32, u64)>>(
        &mut self,
        last_use: impl Fn(u32) -> Option<u64>,
        all: impl FnOnce() -> I,
    ) -> Option<u32> {
        // What was used since is not among the oldest any more; what was not, still is.
        while let Some((place, used)) = self.oldest.pop_front() {
            if last_use(place) == Some(used) {
                return Some(place);
            }
        }
        let mut uses: Vec<(u32, u64)> = all().collect();
        let some = uses.len().div_ceil(8);
        if some == 0 {
            return None;
        }
        uses.select_nth_unstable_by_key(some - 1, |(_, used)| *used);
        uses.truncate(some);
        uses.sort_unstable_by_key(|(_, used)| *used);
        self.oldest = uses.into();
        self.oldest.pop_front().map(|(place, _)| place)
    }
}
