//! The recent events a bus remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nexus_events_dispatch::{Bus, ManualClock};
use nexus_events_model::{Event, Pattern, Payload};
use time::macros::datetime;

use crate::event;

#[tokio::test]
async fn it_keeps_ten_thousand_and_answers_by_type_and_limit() {
    let bus = Bus::new();
    for number in 0..10_500 {
        let name = if number % 2 == 0 { "even.number" } else { "odd.number" };
        bus.publish(event(name).id(format!("evt-{number}"))).await.unwrap();
    }
    assert_eq!(bus.stats().history_size, 10_000);
    assert_eq!(bus.history(usize::MAX, None).len(), 10_000);
    let odd = Pattern::new("odd.*").unwrap();
    let last: Vec<String> =
        bus.history(2, Some(&odd)).iter().map(|event| event.id().to_string()).collect();
    assert_eq!(last, ["evt-10497", "evt-10499"]);
    assert_eq!(bus.history(0, None).len(), 0);
    assert_eq!(bus.history(9, Some(&Pattern::new("none").unwrap())).len(), 0);
}

#[tokio::test]
async fn its_size_is_an_option() {
    let bus = Bus::builder().history(3).build().unwrap();
    for _ in 0..10 {
        bus.publish(event("a")).await.unwrap();
    }
    assert_eq!(bus.history(100, None).len(), 3);
    let without = Bus::builder().history(0).build().unwrap();
    without.publish(event("a")).await.unwrap();
    assert_eq!(without.stats().history_size, 0);
}

/// Publishes the events with these numbers.
fn publish(bus: &Bus, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        bus.try_publish(event("a").id(number.to_string())).unwrap();
    }
}

fn numbers(bus: &Bus) -> Vec<usize> {
    let events = bus.history(usize::MAX, None);
    events.iter().map(|event| event.id().to_string().parse().unwrap()).collect()
}

/// Events of all threads are there in the order in which they were published, when each thread
/// waits for the one before.
#[test]
fn threads_that_take_turns_are_in_order() {
    const THREADS: usize = 4;
    const TURNS: usize = 2_000;
    let bus = Bus::builder().history(THREADS * TURNS).build().unwrap();
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    senders[0].send(0).unwrap();
    senders.rotate_left(1);
    thread::scope(|scope| {
        for (next, turns) in senders.into_iter().zip(receivers) {
            scope.spawn(|| {
                let next = next;
                for number in turns.into_iter().take(TURNS) {
                    publish(&bus, [number]);
                    // Nobody is there any more at the end.
                    let _ = next.send(number + 1);
                }
            });
        }
    });
    assert_eq!(numbers(&bus), Vec::from_iter(0..THREADS * TURNS));
}

/// What is read while others publish: everything whose publish has returned, each publisher's in
/// order, and nothing that comes in before what was read earlier.
#[test]
fn a_reader_sees_all_that_was_published_and_later_only_more() {
    const PUBLISHERS: usize = 4;
    const EVENTS: usize = 3_000;
    let bus = Bus::builder().history(PUBLISHERS * EVENTS).build().unwrap();
    let published: [AtomicUsize; PUBLISHERS] = Default::default();
    thread::scope(|scope| {
        for (publisher, published) in published.iter().enumerate() {
            let bus = &bus;
            scope.spawn(move || {
                for number in 0..EVENTS {
                    publish(bus, [number * PUBLISHERS + publisher]);
                    published.store(number + 1, Ordering::Release);
                }
            });
        }
        let mut before = Vec::new();
        while before.len() < PUBLISHERS * EVENTS {
            let least = published.each_ref().map(|published| published.load(Ordering::Acquire));
            let seen = numbers(&bus);
            assert!(seen.starts_with(&before));
            for (publisher, least) in least.into_iter().enumerate() {
                let own = seen.iter().filter(|number| *number % PUBLISHERS == publisher);
                let own: Vec<usize> = own.map(|number| number / PUBLISHERS).collect();
                assert!(own.len() >= least);
                assert_eq!(own, Vec::from_iter(0..own.len()));
            }
            before = seen;
        }
    });
    assert_eq!(bus.stats().history_size, PUBLISHERS * EVENTS);
}

#[test]
fn a_clock_that_is_set_back_changes_no_order() {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let bus = Bus::builder().clock(clock.clone()).build().unwrap();
    for turn in 0..100 {
        clock.set(datetime!(2026-01-02 03:04:05 UTC) - turn * Duration::from_secs(1));
        publish(&bus, [2 * turn as usize]);
        thread::scope(|scope| scope.spawn(|| publish(&bus, [2 * turn as usize + 1])).join())
            .unwrap();
    }
    assert_eq!(numbers(&bus), Vec::from_iter(0..200));
}

/// A thread keeps nothing of a bus that is gone.
#[test]
fn what_is_in_the_history_goes_with_the_bus() {
    let bus = Bus::builder().history(1_000).build().unwrap();
    let body = Arc::new(7);
    for _ in 0..1_500 {
        bus.try_publish(event("a").payload(Payload::shared(body.clone()))).unwrap();
    }
    assert!(Arc::strong_count(&body) > 1_000);
    drop(bus);
    assert_eq!(Arc::strong_count(&body), 1);
}

/// A payload that looks at the bus when it is dropped.
#[derive(serde::Serialize)]
struct Looks {
    #[serde(skip)]
    bus: Bus,
    #[serde(skip)]
    found: Arc<AtomicUsize>,
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.bus.try_publish(event("dropped")).unwrap();
        self.found.fetch_add(self.bus.history(1, None).len(), Ordering::Relaxed);
    }
}

#[test]
fn a_handler_finds_its_own_event_last() {
    let bus = Bus::new();
    let found = Arc::new(AtomicUsize::new(0));
    let looks = {
        let (bus, found) = (bus.clone(), found.clone());
        move |event: &Event| {
            let is_last = bus.history(1, None) == [event.clone()];
            found.fetch_add(usize::from(is_last), Ordering::Relaxed);
        }
    };
    bus.on("a", looks).unwrap();
    publish(&bus, 0..200);
    assert_eq!(found.load(Ordering::Relaxed), 200);
}

#[test]
fn a_payload_that_leaves_may_read_and_publish() {
    let bus = Bus::builder().history(70).build().unwrap();
    let found = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let payload = Looks { bus: bus.clone(), found: found.clone() };
        bus.try_publish(event("a").payload(Payload::typed(payload))).unwrap();
    }
    // Those that are left make way.
    publish(&bus, 0..70);
    assert_eq!(found.load(Ordering::Relaxed), 100);
}
