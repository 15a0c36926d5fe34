//! The queue against one that is slow and obvious, over random scripts.

use std::time::Duration;

use nexus_events_model::{Priority, Text};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Arrival, Bounds, CLASSES, Item, Overload, Pushed, Queue, Reason};
use crate::limits::{QUEUE_AGEING_STEP, QUEUE_TURNS};

#[derive(Debug, Clone)]
struct Waiting {
    number: u64,
    since: Instant,
    item: Item<u64>,
}

impl Waiting {
    fn class(&self) -> usize {
        self.item.priority as usize
    }

    fn counts_as(&self, now: Instant) -> usize {
        let steps = (now - self.since).as_millis() / QUEUE_AGEING_STEP.as_millis();
        (self.class() + usize::try_from(steps).unwrap()).min(CLASSES - 1)
    }
}

/// All that waits in one list, in the order of arrival; every question is a scan of it.
struct Oracle {
    bounds: Bounds,
    overload: Overload,
    waiting: Vec<Waiting>,
    held: Vec<Text>,
    left: [u8; CLASSES],
    owed: [bool; CLASSES],
    newcomers: [u32; CLASSES],
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Queued,
    Instead(Vec<Item<u64>>, Reason),
    Full,
    Refused(Reason),
}

impl Oracle {
    fn new(bounds: Bounds, overload: Overload) -> Self {
        Self {
            bounds,
            overload,
            waiting: Vec::new(),
            held: Vec::new(),
            left: QUEUE_TURNS,
            owed: [false; CLASSES],
            newcomers: [0; CLASSES],
        }
    }

    fn bytes(waiting: &[Waiting]) -> usize {
        waiting.iter().map(|waiting| waiting.item.bytes).sum()
    }

    fn fits(&self, waiting: &[Waiting], bytes: usize) -> bool {
        waiting.is_empty()
            || waiting.len() < self.bounds.events
                && Self::bytes(waiting) + bytes <= self.bounds.bytes
    }

    fn push(&mut self, new: Waiting) -> Outcome {
        let (bytes, class) = (new.item.bytes, new.class());
        let critical = new.item.priority == Priority::Critical;
        if let Overload::Sample { one_in } = self.overload {
            let half = !self.waiting.is_empty()
                && (2 * self.waiting.len() >= self.bounds.events
                    || 2 * Self::bytes(&self.waiting) >= self.bounds.bytes);
            let lower = self.waiting.iter().any(|other| other.class() < class);
            if half && !(critical && lower) {
                self.newcomers[class] += 1;
                if !(self.newcomers[class] - 1).is_multiple_of(one_in.max(1)) {
                    return Outcome::Refused(Reason::Sampled);
                }
            }
        }
        if self.fits(&self.waiting, bytes) {
            self.waiting.push(new);
            return Outcome::Queued;
        }
        match self.overload {
            Overload::Block { .. } => Outcome::Full,
            Overload::Reject => Outcome::Refused(Reason::Full),
            _ if bytes > self.bounds.bytes => Outcome::Refused(Reason::TooBig),
            Overload::DropOldest => self.replace(new, false),
            Overload::Sample { .. } if !critical => Outcome::Refused(Reason::Newest),
            Overload::DropNewest | Overload::Sample { .. } => self.replace(new, true),
        }
    }

    /// Drops one after the other until the new one fits, or none at all.
    fn replace(&mut self, new: Waiting, newest: bool) -> Outcome {
        let mut waiting = self.waiting.clone();
        let mut dropped = Vec::new();
        while !self.fits(&waiting, new.item.bytes) {
            let lowest = waiting.iter().map(Waiting::class).min().unwrap();
            let at = if newest {
                waiting.iter().rposition(|other| other.class() == lowest)
            } else {
                waiting.iter().position(|other| other.class() == lowest)
            };
            if lowest > new.class() || newest && lowest == new.class() {
                let reason = if newest { Reason::Newest } else { Reason::Outranked };
                return Outcome::Refused(reason);
            }
            dropped.push(waiting.remove(at.unwrap()).item);
        }
        waiting.push(new);
        self.waiting = waiting;
        Outcome::Instead(dropped, if newest { Reason::Newest } else { Reason::Oldest })
    }

    fn may_run(&self, at: usize) -> bool {
        let Some(key) = &self.waiting[at].item.key else { return true };
        let before = self.waiting[..at].iter().any(|other| other.item.key.as_ref() == Some(key));
        !before && !self.held.contains(key)
    }

    /// The first of each class that may run, lowest class first.
    fn fronts(&self) -> [Option<usize>; CLASSES] {
        std::array::from_fn(|class| {
            let of_class = |at: &usize| self.waiting[*at].class() == class && self.may_run(*at);
            (0..self.waiting.len()).find(of_class)
        })
    }

    fn take(&mut self, now: Instant) -> Option<Waiting> {
        let fronts = self.fronts();
        let at = match fronts.iter().flatten().count() {
            0 => return None,
            1 => {
                (self.left, self.owed) = (QUEUE_TURNS, [false; CLASSES]);
                *fronts.iter().flatten().next().unwrap()
            }
            _ => self.turn(&fronts, now),
        };
        let taken = self.waiting.remove(at);
        self.held.extend(taken.item.key.clone());
        Some(taken)
    }

    fn turn(&mut self, fronts: &[Option<usize>; CLASSES], now: Instant) -> usize {
        let reaches = |at: &usize, class| {
            let front = &self.waiting[*at];
            front.class() < class && front.counts_as(now) == class
        };
        let aged = |class| fronts.iter().flatten().filter(|at| reaches(at, class)).min();
        let may = |class: &usize| fronts[*class].is_some() || aged(*class).is_some();
        if !(0..CLASSES).any(|class| self.left[class] > 0 && may(&class)) {
            self.left = QUEUE_TURNS;
        }
        let class = (0..CLASSES).rev().find(|class| self.left[*class] > 0 && may(class)).unwrap();
        let (own, aged) = (fronts[class], aged(class).copied());
        self.left[class] -= 1;
        if let (Some(own), Some(aged)) = (own, aged) {
            self.owed[class] ^= true;
            return if self.owed[class] { own } else { aged };
        }
        own.or(aged).unwrap()
    }

    fn give_back(&mut self, waiting: Waiting) {
        self.release(&waiting);
        self.waiting.push(waiting);
        self.waiting.sort_by_key(|waiting| waiting.number);
    }

    fn release(&mut self, waiting: &Waiting) {
        if let Some(key) = &waiting.item.key {
            self.held.retain(|held| held != key);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(Item<u64>),
    Take,
    Done(usize),
    PutBack(usize),
    Wait(u64),
}

fn item() -> impl Strategy<Value = Item<u64>> {
    let key = prop::option::of(prop::sample::select(vec!["a", "b", "c"]).prop_map(Text::from));
    let priority = prop::sample::select(Priority::ALL.to_vec());
    (0..14_usize, priority, key).prop_map(|(bytes, priority, key)| Item {
        value: 0,
        bytes,
        priority,
        key,
    })
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => item().prop_map(Step::Push),
        5 => Just(Step::Take),
        2 => (0..8_usize).prop_map(Step::Done),
        1 => (0..8_usize).prop_map(Step::PutBack),
        2 => prop::sample::select(vec![1, 400, 1_000, 2_500]).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..9_usize, 10..60_usize).prop_map(|(events, bytes)| Bounds { events, bytes })
}

/// Both queues, and what became of every item.
struct Pair {
    queue: Queue<u64>,
    oracle: Oracle,
    now: Instant,
    pushed: u64,
    held: Vec<(Arrival, Waiting)>,
    out: Vec<u64>,
}

impl Pair {
    fn new(bounds: Bounds, overload: Overload) -> Self {
        Self {
            queue: Queue::new(bounds, overload),
            oracle: Oracle::new(bounds, overload),
            now: Instant::now(),
            pushed: 0,
            held: Vec::new(),
            out: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push(item) => self.push(item),
            Step::Take => self.take(),
            Step::Done(at) if !self.held.is_empty() => {
                let (arrival, waiting) = self.held.remove(at % self.held.len());
                self.oracle.release(&waiting);
                self.queue.done(arrival);
                self.out.push(waiting.number);
            }
            Step::PutBack(at) if !self.held.is_empty() => {
                let (arrival, waiting) = self.held.remove(at % self.held.len());
                self.queue.put_back(waiting.item.value, arrival);
                self.oracle.give_back(waiting);
            }
            Step::Done(_) | Step::PutBack(_) => {}
            Step::Wait(millis) => self.now += Duration::from_millis(millis),
        }
        self.compare();
    }

    fn push(&mut self, mut item: Item<u64>) {
        item.value = self.pushed;
        self.pushed += 1;
        let new = Waiting { number: item.value, since: self.now, item: item.clone() };
        let outcome = match self.queue.push(item.clone(), self.now) {
            Pushed::Queued => Outcome::Queued,
            Pushed::QueuedInsteadOf { first, more, reason } => {
                let dropped: Vec<_> = std::iter::once(first).chain(more).collect();
                self.out.extend(dropped.iter().map(|item| item.value));
                Outcome::Instead(dropped, reason)
            }
            Pushed::Full(back) => {
                assert_eq!(back, item);
                self.out.push(back.value);
                Outcome::Full
            }
            Pushed::Refused(back, reason) => {
                assert_eq!(back, item);
                self.out.push(back.value);
                Outcome::Refused(reason)
            }
        };
        assert_eq!(outcome, self.oracle.push(new));
    }

    fn take(&mut self) {
        let runnable = self.queue.is_runnable();
        let taken = self.queue.take(|| self.now);
        let expected = self.oracle.take(self.now);
        assert_eq!(taken.is_some(), runnable);
        assert_eq!(
            taken.as_ref().map(|(value, _)| *value),
            expected.as_ref().map(|waiting| waiting.item.value)
        );
        let (Some((_, arrival)), Some(waiting)) = (taken, expected) else { return };
        let same_key = |other: &Waiting| other.item.key == waiting.item.key;
        assert!(waiting.item.key.is_none() || !self.held.iter().any(|(_, held)| same_key(held)));
        assert_eq!(arrival.since(), waiting.since);
        self.held.push((arrival, waiting));
    }

    fn compare(&self) {
        let waiting = &self.oracle.waiting;
        let depth = |class| waiting.iter().filter(|waiting| waiting.class() == class).count();
        assert_eq!(self.queue.len(), waiting.len());
        assert_eq!(self.queue.is_empty(), waiting.is_empty());
        assert_eq!(self.queue.bytes(), Oracle::bytes(waiting));
        assert_eq!(self.queue.depth(), std::array::from_fn(depth));
        assert_eq!(self.queue.oldest(), waiting.first().map(|waiting| waiting.since));
        assert_eq!(self.queue.is_runnable(), self.oracle.fronts().iter().any(Option::is_some));
    }

    /// Every item came out exactly once and nothing is left.
    fn finish(mut self) {
        let drained = self.queue.drain();
        let waiting = std::mem::take(&mut self.oracle.waiting);
        assert_eq!(drained, waiting.into_iter().map(|waiting| waiting.item).collect::<Vec<_>>());
        self.compare();
        self.out.extend(drained.iter().map(|item| item.value));
        for (arrival, waiting) in self.held.drain(..) {
            self.out.push(waiting.number);
            self.queue.done(arrival);
        }
        self.out.sort_unstable();
        assert_eq!(self.out, (0..self.pushed).collect::<Vec<_>>());
        assert_eq!(self.queue.keys.len(), 0);
        assert!(self.queue.take(|| self.now).is_none());
    }
}

fn run(bounds: Bounds, overload: Overload, script: Vec<Step>) {
    let mut pair = Pair::new(bounds, overload);
    script.into_iter().for_each(|step| pair.step(step));
    pair.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn as_the_slow_one_when_it_blocks(bounds in bounds(), script in script()) {
        run(bounds, Overload::default(), script);
    }

    #[test]
    fn as_the_slow_one_when_it_rejects(bounds in bounds(), script in script()) {
        run(bounds, Overload::Reject, script);
    }

    #[test]
    fn as_the_slow_one_when_it_drops_the_oldest(bounds in bounds(), script in script()) {
        run(bounds, Overload::DropOldest, script);
    }

    #[test]
    fn as_the_slow_one_when_it_drops_the_newest(bounds in bounds(), script in script()) {
        run(bounds, Overload::DropNewest, script);
    }

    #[test]
    fn as_the_slow_one_when_it_samples(bounds in bounds(), one_in in 0..4_u32, script in script()) {
        run(bounds, Overload::Sample { one_in }, script);
    }
}
