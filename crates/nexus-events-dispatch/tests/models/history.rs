//! The history: what each thread has staged, the ring, and those who read.

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;
use shuttle::thread::JoinHandle;

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, close, event, number, publisher, spawn};

/// Room for more events than are published, of which a thread stages two, or four while somebody
/// else is at the ring.
const EVENTS: usize = 128;

/// Room for fewer than are published.
const FEW: usize = 3;

fn with_history(events: usize) -> Bus {
    Bus::builder().history(events).build().unwrap()
}

fn numbers(events: &[Event]) -> Vec<u32> {
    events.iter().map(number).collect()
}

/// Reads twice; gives back what it read.
fn reader(bus: &Bus) -> JoinHandle<[Vec<u32>; 2]> {
    let bus = bus.clone();
    spawn(move || [(); 2].map(|()| numbers(&bus.history(usize::MAX, None))))
}

/// Each publisher's own, in order.
fn of(all: &[u32], publisher: u32) -> Vec<u32> {
    all.iter().copied().filter(|id| id / 10 == publisher).collect()
}

#[test]
fn all_is_read_in_order_and_later_only_more() {
    explore(SCHEDULES, || {
        let bus = with_history(EVENTS);
        let publishers =
            [publisher(&bus, "a", &[1, 2, 3, 4, 5]), publisher(&bus, "a", &[11, 12, 13])];
        let [first, second] = reader(&bus).join().unwrap();
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        let all = numbers(&bus.history(usize::MAX, None));
        assert!(second.starts_with(&first) && all.starts_with(&second));
        assert_eq!((of(&all, 0), of(&all, 1)), (vec![1, 2, 3, 4, 5], vec![11, 12, 13]));
        assert_eq!(all.len(), bus.stats().history_size);
        assert!(close(bus).is_clean());
    });
}

/// What is published after another publish has returned comes after it, and whoever reads the one
/// reads the other.
#[test]
fn what_came_before_is_before_it() {
    explore(SCHEDULES, || {
        let (bus, returned) = (with_history(EVENTS), Flag::default());
        let first = {
            let (bus, returned) = (bus.clone(), returned.clone());
            spawn(move || {
                bus.try_publish(event("a", 1)).unwrap();
                returned.set();
                bus.try_publish(event("a", 2)).unwrap();
            })
        };
        let second = {
            let bus = bus.clone();
            spawn(move || {
                bus.try_publish(event("a", 11)).unwrap();
                let is_after = returned.is_set();
                bus.try_publish(event("a", 12)).unwrap();
                is_after
            })
        };
        let reads = reader(&bus).join().unwrap();
        first.join().unwrap();
        let is_after = second.join().unwrap();
        let all = numbers(&bus.history(usize::MAX, None));
        for read in [&reads[0], &reads[1], &all] {
            let at = |id| read.iter().position(|it| *it == id);
            if is_after && let Some(later) = at(12) {
                assert!(at(1).is_some_and(|earlier| earlier < later), "{read:?}");
            }
        }
        assert_eq!(all.len(), 4);
        assert!(close(bus).is_clean());
    });
}

#[test]
fn a_small_one_has_the_last() {
    explore(SCHEDULES / 2, || {
        let bus = with_history(FEW);
        let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11, 12, 13])];
        let reads = reader(&bus).join().unwrap();
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        let all = numbers(&bus.history(usize::MAX, None));
        assert!(reads.iter().all(|read| read.len() <= FEW));
        // The end of what each of them has published.
        assert!([1, 2, 3].ends_with(&of(&all, 0)) && [11, 12, 13].ends_with(&of(&all, 1)));
        assert_eq!(all.len(), FEW);
        assert!(close(bus).is_clean());
    });
}
