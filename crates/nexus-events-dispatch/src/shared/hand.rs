//! What the task of a lane has taken, as those see it who end the lane meanwhile.

use nexus_events_model::EventId;

use crate::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};

/// The shares of one batch, by event, and how far the task is.
#[derive(Default)]
pub(super) struct Hand {
    events: Mutex<Vec<EventId>>,
    /// Twice as many as are done, and one more while one runs.
    progress: AtomicUsize,
    stopped: AtomicBool,
}

/// A hand that nobody looks into meanwhile.
pub(super) struct Taking<'a> {
    events: MutexGuard<'a, Vec<EventId>>,
    progress: &'a AtomicUsize,
}

impl Taking<'_> {
    /// The task has taken these; gives back how many they are.
    pub(super) fn take<'a>(mut self, events: impl Iterator<Item = &'a EventId>) -> usize {
        self.events.clear();
        self.events.extend(events.cloned());
        self.progress.store(0, Ordering::SeqCst);
        self.events.len()
    }
}

impl Hand {
    pub(super) fn lock(&self) -> Taking<'_> {
        Taking { events: self.events.lock(), progress: &self.progress }
    }

    /// Whether the next share may run. Only the task asks.
    ///
    /// It says so before it looks whether it is stopped, and who stops it looks the other way
    /// round, in one total order: a share that is told to be lost never begins after that.
    pub(super) fn begin(&self) -> bool {
        // One that panicked outside of its handlers did not say that it was done.
        let done = self.progress.load(Ordering::Relaxed).next_multiple_of(2);
        self.progress.swap(done + 1, Ordering::SeqCst);
        !self.stopped.load(Ordering::SeqCst)
    }

    /// The share that ran is done.
    pub(super) fn end(&self) {
        self.progress.store(self.progress.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Lets no further share begin; gives back those that are not done.
    pub(super) fn stop(&self) -> Vec<EventId> {
        let hand = self.events.lock();
        self.stopped.store(true, Ordering::SeqCst);
        let done = self.progress.load(Ordering::SeqCst) / 2;
        hand.get(done..).map(<[EventId]>::to_vec).unwrap_or_default()
    }

    /// Those that are not done.
    pub(super) fn left(&self) -> Vec<EventId> {
        let hand = self.events.lock();
        let done = self.progress.load(Ordering::SeqCst) / 2;
        hand.get(done..).map(<[EventId]>::to_vec).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_done_when_it_is_stopped_is_left() {
        let ids = ["a", "b", "c"].map(|id| EventId::new(id).unwrap());
        let hand = Hand::default();
        assert_eq!(hand.lock().take(ids.iter()), 3);
        assert!(hand.begin());
        hand.end();
        assert!(hand.begin());
        assert_eq!(hand.left(), ids[1..]);
        assert_eq!(hand.stop(), ids[1..]);
        hand.end();
        assert!(!hand.begin());
        assert_eq!(hand.left(), ids[2..]);
    }

    #[test]
    fn a_share_that_never_said_it_is_done_shifts_no_other() {
        let ids = ["a", "b"].map(|id| EventId::new(id).unwrap());
        let hand = Hand::default();
        hand.lock().take(ids.iter());
        assert!(hand.begin());
        assert!(hand.begin());
        assert_eq!(hand.left(), ids[1..]);
        hand.end();
        assert!(hand.left().is_empty());
    }
}
