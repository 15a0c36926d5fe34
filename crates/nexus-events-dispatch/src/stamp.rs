//! Ids for events that have none: UUIDv7, made without a lock or a system call.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use nexus_events_model::{EventId, Stamp};
use uuid::Uuid;

use crate::clock::Moment;

/// What one thread, or one bus with a clock of its own, needs to make ids: its own random part, the
/// last millisecond and a counter.
#[derive(Debug)]
pub(crate) struct Maker {
    random: u64,
    millis: Cell<u64>,
    counter: Cell<u32>,
}

/// Bits of the counter; the rest of a UUIDv7's 74 free bits names the maker.
const COUNTER_BITS: u32 = 26;
const RANDOM_BITS: u32 = 74 - COUNTER_BITS;

thread_local! {
    static MAKER: Maker = Maker::new();
}

/// An id and the time it was made at, on the machine's clock.
#[inline]
pub(crate) fn stamp(now: Moment) -> Stamp {
    MAKER.with(|maker| maker.stamp(now))
}

impl Maker {
    pub(crate) fn new() -> Self {
        // Seeded by the operating system, differently for each thread and each time.
        let random = RandomState::new().hash_one(std::thread::current().id());
        Self { random, millis: Cell::new(0), counter: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn stamp(&self, now: Moment) -> Stamp {
        let millis = u64::try_from(now.unix_micros).unwrap_or(0) / 1_000;
        Stamp { id: self.next(millis), timestamp: now.time }
    }

    /// Ids of one maker sort in the order they were made.
    #[inline]
    fn next(&self, now: u64) -> EventId {
        let (millis, counter) = match self.counter.get() + 1 {
            _ if now > self.millis.get() => (now, 0),
            counter if counter >> COUNTER_BITS == 0 => (self.millis.get(), counter),
            // More than 67 million ids in a millisecond: borrow the next one.
            _ => (self.millis.get() + 1, 0),
        };
        self.millis.set(millis);
        self.counter.set(counter);
        // Version 7: 48 bits of time, then 74 free ones around those of version and variant.
        let high = (millis << 16) | 0x7000 | u64::from(counter >> (COUNTER_BITS - 12));
        let rest = u64::from(counter & ((1 << (COUNTER_BITS - 12)) - 1));
        let low = (0b10 << 62) | (rest << RANDOM_BITS) | (self.random & ((1 << RANDOM_BITS) - 1));
        EventId::from(Uuid::from_u64_pair(high, low))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use time::macros::datetime;

    use super::*;

    fn next_id(now: Moment) -> EventId {
        stamp(now).id
    }

    const NOW: Moment = Moment {
        time: datetime!(2026-01-02 03:04:05.678 UTC),
        unix_micros: datetime!(2026-01-02 03:04:05 UTC).unix_timestamp() * 1_000_000 + 678_000,
    };

    #[test]
    fn ids_are_uuid_v7_of_the_time_and_sort_as_made() {
        let ids: Vec<_> = (0..10_000).map(|_| next_id(NOW).as_uuid().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
        let (seconds, nanos) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!(
            i128::from(seconds) * 1_000 + i128::from(nanos) / 1_000_000,
            i128::from(NOW.unix_micros) / 1_000
        );
    }

    #[test]
    fn a_clock_set_back_keeps_the_order() {
        let first = next_id(Moment { unix_micros: NOW.unix_micros + 9_000_000, ..NOW });
        assert!(next_id(NOW) > first);
    }

    #[test]
    fn threads_never_make_the_same_id() {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| (0..5_000).map(|_| next_id(NOW)).collect::<Vec<_>>()))
            .collect();
        let ids: HashSet<_> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.len(), 40_000);
    }
}
