//! What the task of a lane has taken, as those see it who end the lane or the task meanwhile.

use std::collections::VecDeque;

use nexus_events_model::{Event, EventId};

use super::done::let_go;
use super::lane::{Share, Work};
use crate::delivery::Delivery;
use crate::mark::Mark;
use crate::route::Route;
use crate::sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering};

/// One batch, and how far the task is.
#[derive(Default)]
pub(super) struct Hand {
    held: Mutex<Held>,
    /// The number of the last share that is done.
    done: AtomicU64,
}

#[derive(Default)]
pub(super) struct Held {
    pub(super) batch: VecDeque<Work>,
    /// How many shares were in it.
    pub(super) shares: usize,
    /// The route of the share taken last, and which of its shares that is.
    pub(super) route: Option<Arc<Route>>,
    pub(super) share: usize,
    /// Whether it has several handlers.
    several: bool,
    /// Shares so far.
    number: u64,
    /// The event of the share that runs, or ran last.
    running: Option<EventId>,
    /// The same, where other handlers need it should one of them not return.
    pub(super) event: Option<Event>,
    /// The places of its handlers that have it elsewhere.
    pub(super) elsewhere: Vec<usize>,
    /// Whether nothing more may be taken.
    over: bool,
}

/// What the share before had, where it may be the last of it.
struct Before {
    event: Option<Event>,
    route: Option<Arc<Route>>,
}

impl Before {
    /// Payloads and handlers may go with it, so not under the lock.
    #[inline]
    fn let_go(self) {
        if self.event.is_some() || self.route.is_some() {
            let_go(self);
        }
    }
}

impl Hand {
    /// What a task goes on with that takes the place of another.
    pub(super) fn of(held: Held) -> Self {
        Self { held: Mutex::new(held), done: AtomicU64::new(0) }
    }

    /// So that nobody looks into it meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.lock().batch.is_empty()
    }

    /// Whether its batch is not done.
    pub(super) fn is_busy(&self) -> bool {
        let held = self.held.lock();
        !held.batch.is_empty() || held.running.is_some()
    }

    /// The turns of single handlers in it.
    pub(super) fn jobs(&self) -> Vec<Arc<Delivery>> {
        self.held.lock().batch.iter().filter_map(Work::job).collect()
    }

    /// What is next. A share that is told to be lost, or goes to another task, is never taken
    /// after that.
    pub(super) fn next(&self) -> Option<Work> {
        let mut held = self.held.lock();
        let mut work = held.batch.pop_front()?;
        if let Work::Share(share) = &mut work {
            let before = held.run(share);
            drop(held);
            before.let_go();
        }
        Some(work)
    }

    /// The same if it is a share.
    #[inline]
    pub(super) fn next_share(&self) -> Option<Share> {
        let mut held = self.held.lock();
        match held.batch.pop_front()? {
            Work::Share(mut share) => {
                let before = held.run(&mut share);
                drop(held);
                before.let_go();
                Some(share)
            }
            job => {
                held.batch.push_front(job);
                None
            }
        }
    }

    /// The share of this number is done.
    pub(super) fn end(&self, number: u64) {
        self.done.store(number, Ordering::Release);
    }

    /// The batch is done; gives back how many shares it had.
    pub(super) fn settle(&self) -> usize {
        let mut held = self.held.lock();
        held.running = None;
        let event = held.event.take();
        let shares = std::mem::take(&mut held.shares);
        drop(held);
        let_go(event);
        shares
    }

    /// The task is about to wait for more.
    pub(super) fn leave(&self) {
        let route = self.held.lock().route.take();
        let_go(route);
    }

    /// Lets no further share begin; gives back the events of those that are not done, and what is
    /// to be dropped.
    pub(super) fn stop(&self) -> (Vec<EventId>, VecDeque<Work>) {
        let mut held = self.held.lock();
        held.over = true;
        let left = self.left_of(&held);
        (left, std::mem::take(&mut held.batch))
    }

    /// The events of the shares that are not done.
    pub(super) fn left(&self) -> Vec<EventId> {
        self.left_of(&self.held.lock())
    }

    fn left_of(&self, held: &Held) -> Vec<EventId> {
        let running = held.running.iter().filter(|_| !self.is_done(held)).cloned();
        let waiting = held.batch.iter().filter_map(Work::share);
        running.chain(waiting.map(|share| share.event.id().clone())).collect()
    }

    /// Whether the share taken last is.
    fn is_done(&self, held: &Held) -> bool {
        self.done.load(Ordering::SeqCst) == held.number
    }

    /// The share that runs, and its route.
    pub(super) fn running(&self) -> Option<(u64, Arc<Route>)> {
        let held = self.held.lock();
        held.running.as_ref().filter(|_| !self.is_done(&held))?;
        Some((held.number, held.route.clone()?))
    }

    /// Takes everything away from a task that does not return from a handler: in the share of this
    /// number at this place, or in a job.
    pub(super) fn take_away(&self, share: Option<(u64, usize)>, mark: &Mark) -> Option<Held> {
        let mut held = self.held.lock();
        if let Some((number, place)) = share {
            let is_there = held.running.is_some() && held.number == number;
            if held.over || !is_there || mark.place() != Some(place) || !mark.replace() {
                mark.trust();
                return None;
            }
        }
        let mut taken = std::mem::replace(&mut *held, Held { over: true, ..Held::default() });
        // It is given up, or was done before.
        taken.running = None;
        Some(taken)
    }
}

impl Held {
    /// Whether a batch may be put into it.
    pub(super) fn is_free(&self) -> bool {
        self.batch.is_empty() && !self.over
    }

    /// The task has put one in; gives back the route of its last share.
    pub(super) fn is_filled(&mut self) -> Option<Arc<Route>> {
        self.shares = self.batch.iter().filter_map(Work::share).count();
        self.batch.iter().rev().find_map(|work| work.share()?.route.clone())
    }

    /// The share runs now; gives back what nobody needs any more.
    #[inline]
    fn run(&mut self, share: &mut Share) -> Before {
        self.number += 1;
        share.turn = self.number;
        self.elsewhere.clear();
        self.elsewhere.extend_from_slice(&share.moved);
        self.running = Some(share.event.id().clone());
        let route = match &share.route {
            Some(route) => self.follow(route, share.number),
            None => None,
        };
        let event = if self.several { Some(share.event.clone()) } else { None };
        Before { event: std::mem::replace(&mut self.event, event), route }
    }

    /// Shares are of this route from here on.
    #[cold]
    fn follow(&mut self, route: &Arc<Route>, share: usize) -> Option<Arc<Route>> {
        self.share = share;
        self.several = route.shares().get(share).is_some_and(|share| share.places.len() > 1);
        self.route.replace(route.clone())
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn share(id: &str) -> Work {
        let event =
            Event::builder("a").id(id).timestamp(OffsetDateTime::UNIX_EPOCH).build().unwrap();
        Work::Share(Share {
            event,
            route: None,
            number: 0,
            first: 0,
            moved: Box::default(),
            turn: 0,
            bytes: 0,
        })
    }

    fn hand(ids: &[&str]) -> Hand {
        let hand = Hand::default();
        hand.lock().batch.extend(ids.iter().map(|id| share(id)));
        assert!(hand.lock().is_filled().is_none());
        hand
    }

    #[test]
    fn what_is_not_done_when_it_is_stopped_is_left() {
        let hand = hand(&["a", "b", "c"]);
        let first = hand.next_share().unwrap();
        hand.end(first.turn);
        let second = hand.next_share().unwrap();
        assert_eq!(hand.left(), ["b", "c"]);
        let (left, dropped) = hand.stop();
        assert_eq!((left.len(), dropped.len()), (2, 1));
        hand.end(second.turn);
        assert!(hand.next().is_none());
        assert!(hand.left().is_empty());
        assert_eq!(hand.settle(), 3);
    }

    #[test]
    fn a_share_that_never_said_it_is_done_shifts_no_other() {
        let hand = hand(&["a", "b"]);
        assert!(hand.next().is_some());
        let second = hand.next_share().unwrap();
        assert_eq!(hand.left(), ["b"]);
        hand.end(second.turn);
        assert!(hand.left().is_empty());
    }

    #[test]
    fn what_is_taken_away_is_not_settled() {
        let (hand, mark) = (hand(&["a", "b", "c"]), Mark::default());
        let first = hand.next_share().unwrap();
        mark.is_at(2);
        // Nobody has doubted it.
        assert!(hand.take_away(Some((first.turn, 2)), &mark).is_none());
        mark.doubt();
        let taken = hand.take_away(Some((first.turn, 2)), &mark).unwrap();
        assert_eq!((taken.batch.len(), taken.shares), (2, 3));
        assert!(!mark.leave());
        assert!(hand.next().is_none());
        assert_eq!(hand.settle(), 0);
        let next = Hand::of(taken);
        assert_eq!(next.left(), ["b", "c"]);
        assert!(next.running().is_none());
        while let Some(share) = next.next_share() {
            next.end(share.turn);
        }
        assert!(next.left().is_empty());
        assert_eq!(next.settle(), 3);
        assert!(!next.is_busy());
    }
}
