//! Which handler a shared lane's task is in, and whether it still is: written by the task with
//! plain stores, because that is once per handler, and read by the watch once a second.

use crate::sync::{AtomicUsize, Ordering};

/// Between two handlers.
const NOWHERE: usize = usize::MAX;

const NONE: usize = 0;
const DOUBTED: usize = 1;
const REPLACED: usize = 2;

/// Where a task is, and what the watch thinks of it.
///
/// A task that is doubted says so when it comes to its next handler, and goes on; one that does not
/// is replaced. Whichever is first has the word, so no handler is called by both.
pub(crate) struct Mark {
    place: AtomicUsize,
    doubt: AtomicUsize,
}

impl Default for Mark {
    fn default() -> Self {
        Self { place: AtomicUsize::new(NOWHERE), doubt: AtomicUsize::new(NONE) }
    }
}

impl Mark {
    /// The task calls the handler at this place. It looks whether it is doubted after that, so who
    /// doubts it and finds it at the same place later knows that it has not looked.
    pub(crate) fn is_at(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// The task is in no handler; whether it still is a lane's task.
    pub(crate) fn leave(&self) -> bool {
        self.place.store(NOWHERE, Ordering::Relaxed);
        self.goes_on()
    }

    pub(crate) fn place(&self) -> Option<usize> {
        Some(self.place.load(Ordering::SeqCst)).filter(|place| *place != NOWHERE)
    }

    /// Whether the task has not been replaced. A doubt is cleared up by that.
    pub(crate) fn goes_on(&self) -> bool {
        self.doubt.load(Ordering::SeqCst) == NONE || self.clear_up()
    }

    #[cold]
    fn clear_up(&self) -> bool {
        self.turns(DOUBTED, NONE) || !self.is_replaced()
    }

    pub(crate) fn doubt(&self) {
        self.turns(NONE, DOUBTED);
    }

    /// It is not to be replaced.
    pub(crate) fn trust(&self) {
        self.turns(DOUBTED, NONE);
    }

    /// Whether the task is replaced by this.
    pub(crate) fn replace(&self) -> bool {
        self.turns(DOUBTED, REPLACED)
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.doubt.load(Ordering::SeqCst) == REPLACED
    }

    /// Whether it was that and has become this.
    fn turns(&self, from: usize, to: usize) -> bool {
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        self.doubt.fetch_update(set, fetch, |it| (it == from).then_some(to)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_comes_back_in_time_is_not_replaced() {
        let mark = Mark::default();
        mark.is_at(3);
        mark.doubt();
        assert_eq!(mark.place(), Some(3));
        assert!(mark.leave());
        assert!(!mark.replace());
        assert_eq!(mark.place(), None);
    }

    #[test]
    fn one_that_comes_back_late_finds_itself_replaced() {
        let mark = Mark::default();
        mark.is_at(3);
        assert!(!mark.replace());
        mark.doubt();
        assert!(mark.replace());
        assert!(!mark.goes_on());
        assert!(!mark.leave());
    }
}
