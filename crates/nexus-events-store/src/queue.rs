//! Appends and other work in line for the writer.

use std::collections::VecDeque;
use std::time::Instant;

use nexus_events_dispatch::store::{Append, Appended, Progress, Retention, Trimmed};
use nexus_events_dispatch::{Error, Result};
use nexus_events_model::Text;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::limits::{BATCH_APPENDS_MAX, BATCH_BYTES_MAX, BATCH_EVENTS_MAX};

pub(crate) type Answer<T> = oneshot::Sender<Result<T>>;

/// An append in line.
pub(crate) struct Waiting {
    pub(crate) append: Append,
    pub(crate) size: usize,
    pub(crate) answer: Answer<Appended>,
}

/// What the writer does.
pub(crate) enum Work {
    Append(Waiting),
    Trim(Retention, Answer<Trimmed>),
    Compact(Progress, Answer<u64>),
    KeyVersion(Text, Answer<u64>),
    Close,
}

/// What the writer does next.
pub(crate) enum Next {
    /// What a commit begins with.
    Appends(VecDeque<Waiting>, Filled),
    Trim(Retention, Answer<Trimmed>),
    Compact(Progress, Answer<u64>),
    KeyVersion(Text, Answer<u64>),
    Close,
    /// Nobody came for as long as was waited.
    Nothing,
}

#[derive(Default)]
struct Line {
    work: VecDeque<Work>,
    appends: usize,
    bytes: usize,
    /// The writer wants to be woken when there are so many appends.
    wanted: usize,
    in_line_at_the_end: u64,
    /// Why nothing is taken any more.
    shut: Option<fn() -> Error>,
}

#[derive(Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    grown: Condvar,
    appends_max: usize,
    bytes_max: usize,
}

impl Queue {
    pub(crate) fn new(appends_max: usize, bytes_max: usize) -> Self {
        Self { appends_max, bytes_max, ..Self::default() }
    }

    /// Puts an append in line; the error when it is not taken.
    pub(crate) fn append(&self, waiting: Waiting) -> std::result::Result<(), Error> {
        let mut line = self.line.lock();
        if let Some(why) = line.shut {
            return Err(why());
        }
        let is_full = line.appends >= self.appends_max
            || (line.appends > 0 && line.bytes + waiting.size > self.bytes_max);
        if is_full {
            let (appends, bytes) = (line.appends, line.bytes);
            drop(line);
            return Err(Error::overloaded(format!(
                "{appends} appends with {bytes} bytes wait to be committed; wait for the answers of some, or open the store with a longer queue"
            )));
        }
        line.appends += 1;
        line.bytes += waiting.size;
        line.work.push_back(Work::Append(waiting));
        let is_enough = line.appends >= line.wanted;
        drop(line);
        if is_enough {
            self.grown.notify_one();
        }
        Ok(())
    }

    /// Puts other work in line. The answer is dropped when nothing is taken any more.
    pub(crate) fn put(&self, work: Work) -> std::result::Result<(), Error> {
        let mut line = self.line.lock();
        if let Some(why) = line.shut {
            return Err(why());
        }
        line.work.push_back(work);
        drop(line);
        self.grown.notify_one();
        Ok(())
    }

    /// Takes nothing any more, and closes after what is in line.
    pub(crate) fn shut(&self, why: fn() -> Error) {
        let mut line = self.line.lock();
        if line.shut.replace(why).is_none() {
            line.in_line_at_the_end = line.appends as u64;
            line.work.push_back(Work::Close);
        }
        drop(line);
        self.grown.notify_one();
    }

    /// Forgets all that is in line: nobody is there to do it.
    pub(crate) fn abandon(&self, why: fn() -> Error) {
        let mut line = self.line.lock();
        line.shut.get_or_insert(why);
        (line.appends, line.bytes) = (0, 0);
        let abandoned = std::mem::take(&mut line.work);
        drop(line);
        drop(abandoned);
    }

    pub(crate) fn in_line_at_the_end(&self) -> u64 {
        self.line.lock().in_line_at_the_end
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.line.lock().appends as u64
    }

    /// What the writer does next, waited for, but not beyond this.
    pub(crate) fn next(&self, until: Option<Instant>) -> Next {
        let mut line = self.line.lock();
        while line.work.is_empty() {
            line.wanted = 1;
            let is_over = match until {
                Some(until) => self.grown.wait_until(&mut line, until).timed_out(),
                None => {
                    self.grown.wait(&mut line);
                    false
                }
            };
            if is_over && line.work.is_empty() {
                return Next::Nothing;
            }
        }
        let mut filled = Filled::default();
        let appends = line.appends(&mut filled);
        match appends.is_empty() {
            true => line.other(),
            false => Next::Appends(appends, filled),
        }
    }

    /// More appends for a commit: those in line, when there are so many or it is this late.
    /// None when it is full, and where other work is in line before them.
    pub(crate) fn more(
        &self,
        filled: &mut Filled,
        wanted: usize,
        until: Instant,
    ) -> VecDeque<Waiting> {
        let mut line = self.line.lock();
        line.wanted = wanted;
        // Other work waits for the commit, so that is made at once.
        while line.appends < wanted && line.appends == line.work.len() {
            if self.grown.wait_until(&mut line, until).timed_out() {
                break;
            }
        }
        line.appends(filled)
    }

    /// Puts back what was taken from the line last.
    pub(crate) fn put_back(&self, appends: VecDeque<Waiting>) {
        let mut line = self.line.lock();
        for one in appends.into_iter().rev() {
            line.appends += 1;
            line.bytes += one.size;
            line.work.push_front(Work::Append(one));
        }
    }
}

/// How much there is in a commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filled {
    pub(crate) appends: usize,
    events: usize,
    bytes: usize,
}

impl Filled {
    /// Whether another append has its place; the first one always does.
    fn takes(&mut self, next: &Waiting) -> bool {
        let (events, bytes) = (self.events + next.append.events.len(), self.bytes + next.size);
        let is_full = self.appends >= BATCH_APPENDS_MAX
            || events > BATCH_EVENTS_MAX
            || bytes > BATCH_BYTES_MAX;
        if is_full && self.appends > 0 {
            return false;
        }
        *self = Self { appends: self.appends + 1, events, bytes };
        true
    }
}

impl Line {
    /// The appends that are first in line, as many as there is room for.
    fn appends(&mut self, filled: &mut Filled) -> VecDeque<Waiting> {
        let mut taken = VecDeque::new();
        while let Some(next) = self.work.pop_front() {
            match next {
                Work::Append(next) if filled.takes(&next) => {
                    self.appends -= 1;
                    self.bytes -= next.size;
                    taken.push_back(next);
                }
                other => {
                    self.work.push_front(other);
                    break;
                }
            }
        }
        taken
    }

    fn other(&mut self) -> Next {
        match self.work.pop_front() {
            Some(Work::Trim(retention, answer)) => Next::Trim(retention, answer),
            Some(Work::Compact(progress, answer)) => Next::Compact(progress, answer),
            Some(Work::KeyVersion(key, answer)) => Next::KeyVersion(key, answer),
            Some(Work::Close) => Next::Close,
            Some(Work::Append(_)) | None => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn put(queue: &Queue, size: usize) -> Result<()> {
        let (answer, _) = tokio::sync::oneshot::channel();
        queue.append(Waiting { append: Append::new(), size, answer })
    }

    fn sizes(appends: &VecDeque<Waiting>) -> Vec<usize> {
        appends.iter().map(|one| one.size).collect()
    }

    #[test]
    fn a_commit_takes_appends_in_order_up_to_other_work() {
        let queue = Queue::new(8, usize::MAX);
        assert!(matches!(queue.next(Some(Instant::now())), Next::Nothing));
        put(&queue, 1).unwrap();
        put(&queue, 2).unwrap();
        let Next::Appends(first, mut filled) = queue.next(None) else { panic!("no appends") };
        assert_eq!((sizes(&first), filled.appends), (vec![1, 2], 2));
        put(&queue, 3).unwrap();
        put(&queue, 5).unwrap();
        let (answer, _) = tokio::sync::oneshot::channel();
        queue.put(Work::KeyVersion(Text::from("k"), answer)).unwrap();
        put(&queue, 4).unwrap();
        // However many are wanted, other work is not kept waiting.
        let late = Instant::now() + Duration::from_secs(3600);
        let more = queue.more(&mut filled, 9, late);
        assert_eq!((sizes(&more), filled.appends), (vec![3, 5], 4));
        assert!(queue.more(&mut filled, 9, late).is_empty());
        queue.put_back(more);
        assert_eq!(queue.waiting(), 3);
        let Next::Appends(again, _) = queue.next(None) else { panic!("no appends") };
        assert_eq!(sizes(&again), [3, 5]);
        assert!(matches!(queue.next(None), Next::KeyVersion(..)));
        assert!(matches!(queue.next(None), Next::Appends(last, _) if sizes(&last) == [4]));
    }

    #[test]
    fn a_commit_takes_no_more_than_it_has_room_for() {
        let queue = Queue::new(8, usize::MAX);
        let size = BATCH_BYTES_MAX / 2 + 1;
        put(&queue, 2 * size).unwrap();
        put(&queue, size).unwrap();
        let Next::Appends(first, mut filled) = queue.next(None) else { panic!("no appends") };
        assert_eq!(sizes(&first), [2 * size]);
        assert!(queue.more(&mut filled, 1, Instant::now()).is_empty());
        assert_eq!(queue.waiting(), 1);
    }
}
