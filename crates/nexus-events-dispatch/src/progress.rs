//! Where a delivery stands, and what becomes of it.

use crate::sync::AtomicUsize;

/// Where the delivery stands. Only the driver writes; who drives next is handed over through
/// `left`.
#[derive(Default)]
pub(crate) struct Wave {
    pub(crate) start: AtomicUsize,
    pub(crate) end: AtomicUsize,
    /// Handlers elsewhere of this wave that are not done, and the driver; 0 when the wave is over.
    pub(crate) left: AtomicUsize,
}

/// What the driver of a delivery does when a queue is full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Waits for room, for a publisher or a task of its own.
    Here,
    /// Lets the event wait without anybody, for those who have other events to see to.
    Apart,
    /// Skips that handler.
    Never,
}

/// What became of an event.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Handled,
    Cancelled,
    Filtered,
    Unmatched,
    Skipped,
    Lost,
}
