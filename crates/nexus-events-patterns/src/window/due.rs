//! When to look at which key: a queue by time that never goes back.

use super::Moment;

/// Times differ in one of 64 bits first, or in none.
const BUCKETS: usize = 65;

/// What a bucket keeps of its room when it is emptied, in entries.
const ROOM_KEPT: usize = 1_024;

/// Numbers that are due at a time, given out by time. Because nothing is put in that is due before
/// what was given out, it is sorted no further than needed (a radix heap): an entry is in the
/// bucket of the highest bit in which its time differs from the present. So equal times cost one
/// write each and stay together, and others are moved to a lower bucket a few times.
#[derive(Debug)]
pub(super) struct Deadlines {
    buckets: Vec<Bucket>,
    /// Up to here everything was given out.
    now: Moment,
    len: usize,
}

#[derive(Debug)]
struct Bucket {
    entries: Vec<(Moment, u32)>,
    earliest: Moment,
}

impl Bucket {
    const fn new() -> Self {
        Self { entries: Vec::new(), earliest: Moment::MAX }
    }

    fn push(&mut self, at: Moment, number: u32) {
        self.earliest = self.earliest.min(at);
        self.entries.push((at, number));
    }

    fn take(&mut self, over: &mut Vec<(Moment, u32)>) {
        self.earliest = Moment::MAX;
        over.append(&mut self.entries);
        self.entries.shrink_to(ROOM_KEPT);
    }
}

impl Deadlines {
    pub(super) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| Bucket::new()).collect();
        Self { buckets, now: Moment::MIN, len: 0 }
    }

    pub(super) fn push(&mut self, at: Moment, number: u32) {
        let place = place(at, self.now);
        self.buckets[place].push(at, number);
        self.len += 1;
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The earliest there is.
    pub(super) fn next(&self) -> Option<Moment> {
        let first = self.buckets.iter().find(|bucket| !bucket.entries.is_empty())?;
        Some(first.earliest)
    }

    /// Gives out what is due, in no order.
    pub(super) fn advance(&mut self, now: Moment, due: &mut Vec<(Moment, u32)>) {
        let before = due.len();
        let last = place(now, self.now);
        for bucket in &mut self.buckets[..last] {
            bucket.take(due);
        }
        self.now = self.now.max(now);
        // These differ from the new present in a lower bit, or are due.
        let mut entries = std::mem::take(&mut self.buckets[last].entries);
        self.buckets[last].earliest = Moment::MAX;
        for (at, number) in entries.drain(..) {
            match at <= now {
                true => due.push((at, number)),
                false => self.buckets[place(at, now)].push(at, number),
            }
        }
        if self.buckets[last].entries.is_empty() && entries.capacity() <= ROOM_KEPT {
            self.buckets[last].entries = entries;
        }
        self.len -= due.len() - before;
    }

    /// Forgets everything, and may be given any time again.
    pub(super) fn clear(&mut self) {
        self.forget();
        self.now = Moment::MIN;
    }

    /// Forgets all entries.
    pub(super) fn forget(&mut self) {
        self.buckets.iter_mut().for_each(|bucket| *bucket = Bucket::new());
        self.len = 0;
    }
}

/// The bucket of a time: 0 when it is due.
fn place(at: Moment, now: Moment) -> usize {
    let bits = |moment: Moment| moment.micros().cast_unsigned() ^ (1 << 63);
    let differing = bits(at.max(now)) ^ bits(now);
    (u64::BITS - differing.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_out_what_is_due_as_a_sorted_list_would(
            steps in prop::collection::vec((prop::option::of(0_i64..200), 0_i64..70), 1..200),
            begin in prop::sample::select(vec![i64::MIN, -100, -1, 0, 1 << 40]),
        ) {
            let (mut queue, mut list, mut now) = (Deadlines::new(), BTreeSet::new(), begin);
            let mut due = Vec::new();
            for (number, (push, step)) in (0..).zip(steps) {
                if let Some(later) = push {
                    let at = Moment::from_micros(now.saturating_add(later));
                    queue.push(at, number);
                    list.insert((at, number));
                } else {
                    now += step;
                    let now = Moment::from_micros(now);
                    queue.advance(now, &mut due);
                    due.sort_unstable();
                    let over: Vec<_> = list.iter().take_while(|(at, _)| *at <= now).copied().collect();
                    list.retain(|(at, _)| *at > now);
                    prop_assert_eq!(std::mem::take(&mut due), over);
                }
                prop_assert_eq!(queue.next(), list.first().map(|(at, _)| *at));
                prop_assert_eq!(queue.len(), list.len());
            }
        }
    }
}
