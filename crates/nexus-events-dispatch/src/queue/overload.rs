//! What gives way when a queue is full.

use std::time::Duration;

use crate::limits::QUEUE_WAIT_MAX;
use crate::queue::Item;

/// What gives way when the queue of a subscription is full. The default is [`Overload::Block`]
/// for a second.
///
/// A queue is full when one event more would break one of its two bounds, the number of events or
/// their bytes. An event bigger than all the bytes a queue may hold has room only while nothing
/// else waits, and nothing is dropped for its sake.
///
/// A critical event is never dropped while one of lower priority waits in the same queue.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Overload;
///
/// assert_eq!(Overload::default(), Overload::Block { timeout: Duration::from_secs(1) });
///
/// // A gauge: only the latest readings are of use.
/// let gauge = Overload::DropOldest;
/// // A trace: a tenth is enough once the handler falls behind.
/// let trace = Overload::Sample { one_in: 10 };
/// assert_ne!(gauge, trace);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overload {
    /// The publisher waits for room, at most this long. Then the handler is skipped.
    Block {
        /// Zero does not wait at all.
        timeout: Duration,
    },
    /// The handler is skipped at once.
    Reject,
    /// The oldest event of the lowest priority that waits makes room. When only events of higher
    /// priority wait, the new one is dropped.
    DropOldest,
    /// The new event is dropped. When events of lower priority wait, the newest of the lowest
    /// priority makes room instead.
    DropNewest,
    /// From half full on, one in so many new events of each priority is let in and the others are
    /// dropped, and all are when the queue is full. A critical event is let in as long as events
    /// of lower priority wait; in a full queue it takes the place of the newest of the lowest.
    Sample {
        /// One in this many; 0 counts as 1.
        one_in: u32,
    },
}

impl Default for Overload {
    fn default() -> Self {
        Self::Block { timeout: QUEUE_WAIT_MAX }
    }
}

/// What became of an item that was pushed.
#[derive(Debug)]
#[must_use]
pub(crate) enum Pushed<T> {
    /// It waits.
    Queued,
    /// It waits, and these do not any more.
    QueuedInsteadOf { first: Item<T>, more: Vec<Item<T>>, reason: Reason },
    /// There is no room; whoever pushes waits for some and pushes again.
    Full(Item<T>),
    /// It is not queued.
    Refused(Item<T>, Reason),
}

/// Why an item does not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// The queue is full and takes nothing more.
    Full,
    /// It was the oldest.
    Oldest,
    /// It was the newest.
    Newest,
    /// Only items of higher priority wait, and they stay.
    Outranked,
    /// It was not the one of so many.
    Sampled,
    /// It is bigger than the whole queue, and others wait.
    TooBig,
    /// Its handler does not return from an earlier one.
    Stuck,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] = [
        Self::Full,
        Self::Oldest,
        Self::Newest,
        Self::Outranked,
        Self::Sampled,
        Self::TooBig,
        Self::Stuck,
    ];

    /// For statistics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Oldest => "oldest",
            Self::Newest => "newest",
            Self::Outranked => "outranked",
            Self::Sampled => "sampled",
            Self::TooBig => "too_big",
            Self::Stuck => "stuck",
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Full => "the queue is full",
            Self::Oldest => "a newer event took its place in a full queue",
            Self::Newest => "it was the newest of a full queue",
            Self::Outranked => "only events of higher priority wait in the full queue",
            Self::Sampled => "it was not part of the sample",
            Self::TooBig => "it is bigger than the whole queue",
            Self::Stuck => "the handler does not return from an earlier event",
        }
    }
}
