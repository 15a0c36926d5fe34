//! What one thread has published and the history has not filed yet.

use nexus_events_model::Event;

use super::leaving::Returned;
use crate::limits::HISTORY_STAGED_EVENTS;
use crate::sync::{Mutex, MutexGuard, Tick};

/// Filled by its own thread, so its lock is free but for the moments in which another one files
/// what is in it.
#[derive(Default)]
pub(crate) struct Stage {
    /// Which one it is. 0 is no thread's own.
    number: usize,
    staged: Mutex<Staged>,
}

#[derive(Default)]
pub(super) struct Staged {
    events: Vec<Accepted>,
    bytes: usize,
    /// Events of this thread that the history has pushed out, to be dropped by it.
    leaving: Vec<Event>,
}

/// An event that came in.
pub(super) struct Accepted {
    /// When; `None` is before all others.
    pub(super) at: Option<Tick>,
    pub(super) event: Event,
    pub(super) bytes: usize,
    /// Whose publisher drops it, by the number of its stage; 0 where that is not to wait.
    pub(super) stage: usize,
}

/// How much one stage holds before it is filed.
#[derive(Debug, Clone, Copy)]
pub(super) struct StageMax {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// Whether a stage is to be filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Room,
    /// If nobody else is filing or reading.
    Full,
    /// In any case.
    Twice,
}

impl Stage {
    pub(crate) fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    /// Adds an event. Gives back one or two to be dropped.
    #[inline]
    pub(super) fn push(
        &self,
        event: &Event,
        now: impl FnOnce() -> Option<Tick>,
        max: StageMax,
    ) -> (Fill, [Option<Event>; 2]) {
        let (event, bytes) = (event.clone(), event.size());
        let mut staged = self.lock();
        // The time is told under the lock: once somebody has emptied all stages, whatever comes
        // then is later than all he has seen.
        staged.events.push(Accepted { at: now(), event, bytes, stage: self.number });
        staged.bytes += bytes;
        (staged.fill(max), staged.let_some_go())
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock()
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl Staged {
    #[inline]
    fn fill(&self, max: StageMax) -> Fill {
        let fills =
            |times| self.events.len() >= times * max.events || self.bytes >= times * max.bytes;
        if !fills(1) {
            Fill::Room
        } else if !fills(2) {
            Fill::Full
        } else {
            Fill::Twice
        }
    }

    #[inline]
    fn let_some_go(&mut self) -> [Option<Event>; 2] {
        let many = self.leaving.len() > HISTORY_STAGED_EVENTS;
        [self.leaving.pop(), if many { self.leaving.pop() } else { None }]
    }

    /// Empties it; its memory stays.
    pub(super) fn move_to(&mut self, taken: &mut Vec<Accepted>) {
        taken.append(&mut self.events);
        self.bytes = 0;
    }

    /// Takes what was returned, in place of what is left of the time before.
    pub(super) fn take_back(&mut self, returned: &mut Returned, out: &mut Vec<Event>) {
        out.append(&mut self.leaving);
        returned.swap(&mut self.leaving);
        // The oldest is the first to go: memory is reused in the order in which it lies there.
        self.leaving.reverse();
    }

    pub(super) fn end(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.leaving);
    }
}
