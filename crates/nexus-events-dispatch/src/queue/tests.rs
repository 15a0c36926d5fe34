//! The rules of the queue, one by one.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use nexus_events_model::Priority::{self, Critical, High, Low, Normal};
use nexus_events_model::Text;
use tokio::time::Instant;

use super::{Arrival, Bounds, CLASSES, Class, Item, Overload, Pushed, Queue, Reason};
use crate::limits::{QUEUE_AGEING_STEP, QUEUE_EVENTS_DEFAULT, QUEUE_TURNS};

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many wait of each priority, as in [`Priority::ALL`].
    pub(super) fn depth(&self) -> [usize; CLASSES] {
        self.classes.each_ref().map(Class::len)
    }
}

const MANY: Bounds = Bounds { events: 10_000, bytes: usize::MAX };

fn item(value: u32, priority: Priority) -> Item<u32> {
    Item { value, bytes: 1, priority, key: None }
}

fn keyed(value: u32, priority: Priority, key: &str) -> Item<u32> {
    Item { key: Some(Text::from(key)), ..item(value, priority) }
}

fn sized(value: u32, priority: Priority, bytes: usize) -> Item<u32> {
    Item { bytes, ..item(value, priority) }
}

fn of(events: usize, overload: Overload) -> Queue<u32> {
    Queue::new(Bounds { events, bytes: 100 }, overload)
}

fn fill(queue: &mut Queue<u32>, items: impl IntoIterator<Item = Item<u32>>) {
    let now = Instant::now();
    for item in items {
        assert!(matches!(queue.push(item, now), Pushed::Queued));
    }
}

/// Takes one and says it ran.
fn next(queue: &mut Queue<u32>) -> Option<u32> {
    let (value, arrival) = hold(queue)?;
    queue.done(arrival);
    Some(value)
}

fn hold(queue: &mut Queue<u32>) -> Option<(u32, Arrival)> {
    queue.take(Instant::now)
}

fn all(queue: &mut Queue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| next(queue)).collect()
}

/// What gave way to the item, or why it was refused.
fn dropped(queue: &mut Queue<u32>, item: Item<u32>) -> Result<Vec<u32>, Reason> {
    match queue.push(item, Instant::now()) {
        Pushed::Queued => Ok(Vec::new()),
        Pushed::QueuedInsteadOf { first, more, .. } => {
            Ok(std::iter::once(first).chain(more).map(|item| item.value).collect())
        }
        Pushed::Full(_) => Err(Reason::Full),
        Pushed::Refused(_, reason) => Err(reason),
    }
}

#[test]
fn without_key_first_in_is_first_out() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, (0..100).map(|value| item(value, Normal)));
    assert_eq!(all(&mut queue), (0..100).collect::<Vec<_>>());
}

#[test]
fn of_one_key_one_runs_and_other_keys_go_on() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [(1, "a"), (2, "a"), (3, "b")].map(|(n, key)| keyed(n, Normal, key)));
    fill(&mut queue, [item(4, Normal)]);
    let (value, arrival) = hold(&mut queue).unwrap();
    assert_eq!(value, 1);
    assert_eq!(all(&mut queue), [3, 4]);
    assert!(!queue.is_runnable());
    queue.done(arrival);
    assert!(queue.is_runnable());
    assert_eq!(all(&mut queue), [2]);
    assert_eq!(queue.keys.len(), 0);
}

#[test]
fn a_key_keeps_its_order_whatever_the_priorities() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [keyed(1, Low, "a"), keyed(2, Critical, "a"), keyed(3, Normal, "a")]);
    assert_eq!(all(&mut queue), [1, 2, 3]);
}

#[test]
fn a_freed_key_goes_on_where_it_arrived() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [keyed(1, Normal, "a"), keyed(2, Normal, "a")]);
    fill(&mut queue, [item(3, Normal), keyed(4, Normal, "b")]);
    assert_eq!(all(&mut queue), [1, 2, 3, 4]);
}

#[test]
fn put_back_waits_again_where_it_was() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [item(1, Normal), item(2, Normal), keyed(3, Normal, "a")]);
    fill(&mut queue, [keyed(4, Normal, "a"), item(5, Normal)]);
    let since = queue.oldest();
    let held: Vec<_> = (0..3).map(|_| hold(&mut queue).unwrap()).collect();
    for (value, arrival) in held {
        queue.put_back(value, arrival);
    }
    assert_eq!((queue.len(), queue.bytes(), queue.oldest()), (5, 5, since));
    assert_eq!(all(&mut queue), [1, 2, 3, 4, 5]);
}

#[test]
fn put_back_is_let_in_even_when_full() {
    let mut queue = of(2, Overload::Reject);
    fill(&mut queue, [item(1, Normal), item(2, Normal)]);
    let (value, arrival) = hold(&mut queue).unwrap();
    fill(&mut queue, [item(3, Normal)]);
    queue.put_back(value, arrival);
    assert_eq!(queue.len(), 3);
    assert_eq!(dropped(&mut queue, item(4, Normal)), Err(Reason::Full));
    assert_eq!(all(&mut queue), [1, 2, 3]);
}

#[test]
fn the_bound_met_first_holds() {
    let mut queue = of(3, Overload::Reject);
    fill(&mut queue, [sized(1, Normal, 60), sized(2, Normal, 40)]);
    assert!(!queue.has_room(1));
    assert_eq!(dropped(&mut queue, item(3, Normal)), Err(Reason::Full));
    assert_eq!(next(&mut queue), Some(1));
    fill(&mut queue, [item(4, Normal), item(5, Normal)]);
    assert_eq!(queue.bytes(), 42);
    assert_eq!(dropped(&mut queue, item(6, Normal)), Err(Reason::Full));
}

#[test]
fn what_is_bigger_than_the_queue_goes_into_an_empty_one() {
    for overload in [Overload::DropOldest, Overload::DropNewest, Overload::Sample { one_in: 1 }] {
        let mut queue = of(3, overload);
        fill(&mut queue, [sized(1, Critical, 101)]);
        assert_eq!(next(&mut queue), Some(1));
        fill(&mut queue, [item(2, Low)]);
        assert_eq!(dropped(&mut queue, sized(3, Critical, 101)), Err(Reason::TooBig));
        assert_eq!(all(&mut queue), [2]);
    }
}

#[test]
fn block_hands_the_item_back_until_there_is_room() {
    let mut queue = of(1, Overload::default());
    fill(&mut queue, [item(1, Low)]);
    let Pushed::Full(back) = queue.push(item(2, Critical), Instant::now()) else { panic!() };
    assert_eq!(next(&mut queue), Some(1));
    fill(&mut queue, [back]);
    assert_eq!(all(&mut queue), [2]);
}

#[test]
fn drop_oldest_drops_of_the_lowest_that_waits() {
    let mut queue = of(3, Overload::DropOldest);
    fill(&mut queue, [item(1, High), item(2, Normal), item(3, Normal)]);
    assert_eq!(dropped(&mut queue, item(4, High)), Ok(vec![2]));
    assert_eq!(dropped(&mut queue, item(5, Low)), Err(Reason::Outranked));
    assert_eq!(dropped(&mut queue, item(6, Normal)), Ok(vec![3]));
    assert_eq!(dropped(&mut queue, item(7, Critical)), Ok(vec![6]));
    assert_eq!(dropped(&mut queue, item(8, High)), Ok(vec![1]));
    assert_eq!(all(&mut queue), [7, 4, 8]);
}

#[test]
fn drop_newest_drops_the_newcomer_unless_lower_ones_wait() {
    let mut queue = of(3, Overload::DropNewest);
    fill(&mut queue, [item(1, Normal), item(2, Low), item(3, Low)]);
    assert_eq!(dropped(&mut queue, item(4, Low)), Err(Reason::Newest));
    assert_eq!(dropped(&mut queue, item(5, Critical)), Ok(vec![3]));
    assert_eq!(dropped(&mut queue, item(6, Normal)), Ok(vec![2]));
    assert_eq!(dropped(&mut queue, item(7, Normal)), Err(Reason::Newest));
    assert_eq!(all(&mut queue), [5, 1, 6]);
}

#[test]
fn as_many_make_room_as_it_takes_or_none() {
    let mut queue = of(9, Overload::DropOldest);
    fill(&mut queue, [sized(1, High, 50), sized(2, Low, 20), sized(3, Low, 20)]);
    assert_eq!(dropped(&mut queue, sized(4, Normal, 51)), Err(Reason::Outranked));
    assert_eq!(queue.depth(), [2, 0, 1, 0]);
    assert_eq!(dropped(&mut queue, sized(5, Normal, 50)), Ok(vec![2, 3]));
    assert_eq!(all(&mut queue), [1, 5]);
}

#[test]
fn what_is_dropped_leaves_its_key_in_order() {
    let mut queue = of(4, Overload::DropOldest);
    fill(&mut queue, [keyed(1, High, "a"), keyed(2, Low, "a"), keyed(3, High, "a")]);
    fill(&mut queue, [keyed(4, Low, "a")]);
    assert_eq!(dropped(&mut queue, keyed(5, High, "a")), Ok(vec![2]));
    assert_eq!(dropped(&mut queue, keyed(6, High, "a")), Ok(vec![4]));
    // The first of the key: the second may run now.
    assert_eq!(dropped(&mut queue, keyed(7, High, "a")), Ok(vec![1]));
    assert_eq!(all(&mut queue), [3, 5, 6, 7]);
    assert_eq!(queue.keys.len(), 0);
}

#[test]
fn sample_lets_one_in_so_many_of_each_priority_in() {
    let mut queue = of(8, Overload::Sample { one_in: 3 });
    fill(&mut queue, (0..4).map(|value| item(value, Normal)));
    let outcomes = |queue: &mut Queue<u32>, priority| {
        (0..6).map(|value| dropped(queue, item(value, priority)).is_ok()).collect::<Vec<_>>()
    };
    let third = [true, false, false, true, false, false];
    assert_eq!(outcomes(&mut queue, Low), third);
    assert_eq!(outcomes(&mut queue, High), third);
    assert_eq!(dropped(&mut queue, item(9, High)), Err(Reason::Newest));
    assert_eq!(dropped(&mut queue, item(9, High)), Err(Reason::Sampled));
    assert_eq!(queue.depth(), [2, 4, 2, 0]);
}

#[test]
fn sample_passes_over_no_critical_one_while_lower_ones_wait() {
    let mut queue = of(4, Overload::Sample { one_in: 1_000 });
    fill(&mut queue, [item(1, Low), item(2, Normal), item(3, Critical), item(4, Critical)]);
    assert_eq!(dropped(&mut queue, item(5, Critical)), Ok(vec![1]));
    assert_eq!(dropped(&mut queue, item(6, Critical)), Ok(vec![2]));
    assert_eq!(dropped(&mut queue, item(7, Critical)), Err(Reason::Newest));
    assert_eq!(dropped(&mut queue, item(8, Critical)), Err(Reason::Sampled));
    assert_eq!(all(&mut queue), [3, 4, 5, 6]);
}

#[test]
fn no_policy_drops_a_critical_one_before_a_lower_one() {
    for overload in [Overload::DropOldest, Overload::DropNewest, Overload::Sample { one_in: 2 }] {
        let mut queue = of(10, overload);
        let mut waiting = 0;
        for value in 0..200 {
            let priority = Priority::ALL[value as usize * 7 % 4];
            let lower = queue.len() > queue.depth()[3];
            match queue.push(item(value, priority), Instant::now()) {
                Pushed::QueuedInsteadOf { first, .. } if first.priority == Critical => {
                    assert!(!lower);
                }
                Pushed::Refused(back, _) if back.priority == Critical => assert!(!lower),
                _ => waiting += 1,
            }
        }
        assert_eq!(queue.depth(), [0, 0, 0, 10], "{overload:?}");
        assert!(waiting > 10);
    }
}

#[test]
fn a_round_gives_each_priority_its_turns() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    let now = Instant::now();
    fill(&mut queue, (0..400).map(|value| item(value % 4, Priority::ALL[value as usize % 4])));
    let round: Vec<u32> = (0..15).map(|_| queue.take(|| now).unwrap().0).collect();
    assert_eq!(round, [3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 0]);
    let next: Vec<u32> = (0..15).map(|_| queue.take(|| now).unwrap().0).collect();
    assert_eq!(next, round);
    assert_eq!(QUEUE_TURNS, [1, 2, 4, 8]);
}

/// How many of so many turns each priority gets when all are crowded and low and normal items
/// are this old.
fn shares(age: Duration, turns: usize) -> [usize; 4] {
    let mut queue = Queue::new(MANY, Overload::Reject);
    let start = Instant::now();
    for value in 0..1_000 {
        let _ = queue.push(item(value, Low), start);
    }
    for value in 0..1_000 {
        let _ = queue.push(item(value, Critical), start + age);
    }
    let mut shares = [0; 4];
    for _ in 0..turns {
        let (_, arrival) = queue.take(|| start + age).unwrap();
        shares[arrival.priority as usize] += 1;
    }
    shares
}

#[test]
fn who_waited_counts_higher_and_shuts_nobody_out() {
    assert_eq!(shares(Duration::ZERO, 90), [10, 0, 0, 80]);
    // The turns of normal ones beside their own, then those of high ones.
    assert_eq!(shares(QUEUE_AGEING_STEP, 99), [27, 0, 0, 72]);
    assert_eq!(shares(QUEUE_AGEING_STEP * 2, 91), [35, 0, 0, 56]);
    // Every second turn of the critical ones.
    assert_eq!(shares(QUEUE_AGEING_STEP * 3, 90), [50, 0, 0, 40]);
    assert_eq!(shares(QUEUE_AGEING_STEP * 300, 90), [50, 0, 0, 40]);
}

#[test]
fn a_new_critical_one_does_not_wait_for_a_crowd_that_aged() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    let start = Instant::now();
    for value in 1..=1_000 {
        let _ = queue.push(item(value, Low), start);
    }
    let now = start + Duration::from_secs(60);
    let _ = queue.push(item(0, Critical), now);
    let place = std::iter::from_fn(|| queue.take(|| now)).position(|(value, _)| value == 0);
    assert!(place.unwrap() <= 1);
}

/// Critical events at twice what the handler gets through, ten low ones a second, for 30 seconds.
#[test]
fn d14_low_events_get_their_share_under_full_critical_load() {
    const PER_SECOND: u32 = 100;
    let mut queue = Queue::new(MANY, Overload::Reject);
    let start = Instant::now();
    let keys = ["a", "b", "c", "x", "y", "z"];
    let (mut low, mut wait_max, mut last) = (0, Duration::ZERO, [0; 6]);
    for turn in 0..30 * PER_SECOND {
        let now = start + Duration::from_secs(1) * turn / PER_SECOND;
        for number in [3 * turn + 1, 3 * turn + 2] {
            let _ = queue.push(keyed(number, Critical, keys[number as usize % 3]), now);
        }
        if turn % 10 == 0 {
            let _ = queue.push(keyed(3 * turn + 3, Low, keys[3 + turn as usize / 10 % 3]), now);
        }
        let (value, arrival) = queue.take(|| now).unwrap();
        let key = keys.iter().position(|key| arrival.key.as_deref() == Some(*key)).unwrap();
        assert!(last[key] < value, "{value} after {}", last[key]);
        last[key] = value;
        if arrival.priority == Low {
            low += 1;
            wait_max = wait_max.max(now - arrival.since());
        }
        queue.done(arrival);
    }
    assert!(low >= 30 * PER_SECOND / 15, "{low} low events");
    assert!(wait_max < Duration::from_secs(5), "{wait_max:?}");
}

#[test]
fn the_clock_is_only_asked_when_priorities_compete() {
    let asked = Cell::new(0);
    let clock = || {
        asked.set(asked.get() + 1);
        Instant::now()
    };
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [item(1, High), item(2, High), item(3, Low)]);
    while queue.take(clock).is_some() {}
    assert_eq!(asked.get(), 2);
}

#[test]
fn drained_in_the_order_of_arrival() {
    let mut queue = Queue::new(MANY, Overload::Reject);
    fill(&mut queue, [keyed(1, Low, "a"), keyed(2, Critical, "a"), item(3, High)]);
    fill(&mut queue, [keyed(4, Normal, "b"), keyed(5, High, "a")]);
    let (_, arrival) = hold(&mut queue).unwrap();
    let values: Vec<u32> = queue.drain().into_iter().map(|item| item.value).collect();
    assert_eq!(values, [1, 2, 4, 5]);
    assert!(queue.is_empty() && queue.oldest().is_none());
    queue.done(arrival);
    assert_eq!(queue.keys.len(), 0);
}

/// Ten times what the handler gets through, with every policy: what waits stays bounded and every
/// event is accounted for.
#[test]
fn d13_overload_is_bounded_and_accounted_for() {
    let sample = Overload::Sample { one_in: 10 };
    for overload in
        [Overload::Reject, Overload::DropOldest, Overload::DropNewest, sample, Overload::default()]
    {
        let bounds = Bounds { events: QUEUE_EVENTS_DEFAULT, bytes: 64 * 1024 };
        let mut queue = Queue::new(bounds, overload);
        let (mut handled, mut dropped, mut blocked) = (0, 0, VecDeque::new());
        for value in 0..100_000 {
            let item = Item { bytes: 100, ..item(value, Priority::ALL[value as usize % 4]) };
            match queue.push(item, Instant::now()) {
                Pushed::Queued => {}
                Pushed::QueuedInsteadOf { more, .. } => dropped += 1 + more.len(),
                Pushed::Full(item) => blocked.push_back(item),
                Pushed::Refused(..) => dropped += 1,
            }
            handled += usize::from(value % 10 == 0 && next(&mut queue).is_some());
            assert!(queue.len() <= bounds.events && queue.bytes() <= bounds.bytes);
        }
        assert_eq!(handled + dropped + blocked.len() + queue.len(), 100_000);
        assert_eq!(handled, 10_000);
        assert!(queue.len() > 300, "{overload:?}");
    }
}
