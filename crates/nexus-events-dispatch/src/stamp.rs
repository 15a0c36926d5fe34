//! Ids for events that have none: UUIDv7, made without a lock or a system call.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use nexus_events_model::{EventId, Stamp};
use time::OffsetDateTime;
use uuid::Builder;

/// What one thread needs to make ids: its own random part, the last millisecond and a counter.
struct Maker {
    thread: u64,
    millis: Cell<u64>,
    counter: Cell<u32>,
}

/// Bits of the counter; the rest of a UUIDv7's 74 free bits names the thread.
const COUNTER_BITS: u32 = 26;

thread_local! {
    static MAKER: Maker = Maker {
        // Seeded by the operating system, differently for each thread.
        thread: RandomState::new().hash_one(std::thread::current().id()),
        millis: Cell::new(0),
        counter: Cell::new(0),
    };
}

/// An id and the time it was made at.
#[inline]
pub(crate) fn stamp(now: OffsetDateTime) -> Stamp {
    Stamp { id: next_id(now), timestamp: now }
}

/// Ids made by one thread sort in the order they were made.
#[inline]
fn next_id(now: OffsetDateTime) -> EventId {
    let millis = now.unix_timestamp() * 1_000 + i64::from(now.millisecond());
    let millis = u64::try_from(millis).unwrap_or(0);
    MAKER.with(|maker| maker.next(millis))
}

impl Maker {
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
        let free = (u128::from(counter) << 48) | u128::from(self.thread & 0xffff_ffff_ffff);
        EventId::from(Builder::from_unix_timestamp_millis(millis, &spread(free)).into_uuid())
    }
}

/// Lays 74 bits around the variant and version bits of a UUID, in order.
fn spread(free: u128) -> [u8; 10] {
    let high = ((free >> 62) & 0xfff) as u16;
    let low = (free & 0x3fff_ffff_ffff_ffff) as u64;
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&high.to_be_bytes());
    bytes[2..].copy_from_slice(&low.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);

    #[test]
    fn ids_are_uuid_v7_of_the_time_and_sort_as_made() {
        let ids: Vec<_> = (0..10_000).map(|_| next_id(NOW).as_uuid().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
        let (seconds, nanos) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!(
            i128::from(seconds) * 1_000 + i128::from(nanos) / 1_000_000,
            NOW.unix_timestamp_nanos() / 1_000_000
        );
    }

    #[test]
    fn a_clock_set_back_keeps_the_order() {
        let first = next_id(NOW + std::time::Duration::from_secs(9));
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
