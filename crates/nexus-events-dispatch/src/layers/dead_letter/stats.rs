//! What became of dead letters so far, in numbers.

use super::letters::DeadLetters;
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Counts {
    pub(super) parked: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// What became of dead letters so far.
///
/// ```
/// use nexus_events_dispatch::layers::DeadLetters;
/// let stats = DeadLetters::new().stats();
/// assert_eq!((stats.letters, stats.letters_max), (0, 10_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterStats {
    /// How many there are.
    pub letters: usize,
    /// The most there can be.
    pub letters_max: usize,
    /// About how many bytes they hold.
    pub bytes: usize,
    /// The most they can hold.
    pub bytes_max: usize,
    /// Events parked, one that failed again after a replay included.
    pub parked: u64,
    /// Events that could not be parked.
    pub refused: u64,
    /// Events that a replay got through.
    pub replayed: u64,
    /// Events that were discarded.
    pub discarded: u64,
    /// Events that were discarded because they had become too old.
    pub expired: u64,
    /// Events that went to make room for others, with [`OnFull::DropOldest`](super::OnFull).
    pub dropped: u64,
}

impl DeadLetters {
    /// How many there are and what became of others.
    #[must_use]
    pub fn stats(&self) -> DeadLetterStats {
        let (letters, bytes) = self.state(|state| (state.len(), state.bytes));
        let (bounds, counts) = (self.bounds(), self.counts());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeadLetterStats {
            letters,
            letters_max: bounds.letters,
            bytes,
            bytes_max: bounds.bytes,
            parked: read(&counts.parked),
            refused: read(&counts.refused),
            replayed: read(&counts.replayed),
            discarded: read(&counts.discarded),
            expired: read(&counts.expired),
            dropped: read(&counts.dropped),
        }
    }
}
