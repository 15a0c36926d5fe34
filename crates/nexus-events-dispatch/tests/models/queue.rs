//! A bounded queue: order, accounting, and publishers that wait for room.

use std::time::Duration;

use nexus_events_dispatch::limits::QUEUE_WAIT_MAX;
use nexus_events_dispatch::model::advance;
use nexus_events_dispatch::{Bus, HandlerExt, Mode, Overload};
use shuttle::future::block_on;

use crate::explore::{SCHEDULES, explore};
use crate::{Log, bus, close, event, publisher, spawn};

/// A bus with one handler behind a queue for this many events.
fn queued(events: usize, overload: Overload) -> (Bus, Log) {
    let (bus, log) = (bus(), Log::default());
    let options = |options: nexus_events_dispatch::SubscriptionOptions| {
        options.mode(Mode::Queued).queue(events).overload(overload)
    };
    bus.on("a", log.writes().named("it").with(options)).unwrap();
    (bus, log)
}

/// Each publisher's events are in the order it published them.
fn check_order(all: &[u32]) {
    for publisher in [1..=9, 11..=19] {
        let own = all.iter().filter(|id| publisher.contains(*id));
        assert!(own.is_sorted_by(|a, b| a < b), "{all:?}");
    }
}

/// Time stands still, so a publisher that nobody lets in waits for ever.
#[test]
fn publishers_that_wait_for_room_are_let_in_in_order() {
    explore(SCHEDULES, || {
        let (bus, log) = queued(1, Overload::Block { timeout: QUEUE_WAIT_MAX });
        let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11, 12])];
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        assert!(close(bus).is_clean());
        check_order(&log.all());
        assert_eq!(log.sorted(), [1, 2, 3, 11, 12]);
    });
}

/// The same where publishers give up at any moment, and one goes away while it waits.
#[test]
fn what_is_handled_dropped_and_rejected_is_all_that_was_published() {
    explore(SCHEDULES, || {
        let (bus, log) = queued(1, Overload::Block { timeout: QUEUE_WAIT_MAX });
        let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11, 12])];
        let time = spawn(|| advance(QUEUE_WAIT_MAX));
        let rejected: usize = publishers.map(|publisher| publisher.join().unwrap()).iter().sum();
        time.join().unwrap();
        assert_eq!(check_sum(bus, &log, 5), rejected as u64);
    });
}

#[test]
fn what_gives_way_is_counted() {
    for overload in [Overload::DropOldest, Overload::DropNewest, Overload::Reject] {
        explore(SCHEDULES / 4, move || {
            let (bus, log) = queued(1, overload);
            let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11, 12])];
            publishers.into_iter().for_each(|publisher| assert!(publisher.join().unwrap() <= 3));
            check_sum(bus, &log, 5);
        });
    }
}

/// Gives back how many the handler lost.
fn check_sum(bus: Bus, log: &Log, published: u64) -> u64 {
    block_on(bus.idle());
    let stats = bus.stats();
    let handler = stats.handler("it").unwrap();
    let handled = log.all();
    check_order(&handled);
    let lost = handler.rejected_count;
    assert_eq!(handled.len() as u64 + lost, published, "{handled:?}");
    assert_eq!(handler.execution_count, handled.len() as u64);
    let events = stats.events;
    assert_eq!((events.in_flight, events.total_events), (0, published));
    assert_eq!((events.handled_events, events.skipped_events), (handled.len() as u64, lost));
    assert!(close(bus).is_clean());
    lost
}

/// A publisher whose future is dropped while it waits leaves its turn to the next.
#[test]
fn a_publisher_that_goes_away_leaves_its_turn() {
    explore(SCHEDULES, || {
        let (bus, log) = queued(1, Overload::Block { timeout: QUEUE_WAIT_MAX });
        let fickle = {
            let bus = bus.clone();
            spawn(move || {
                let mut publish = Box::pin(bus.publish(event("a", 11)));
                let mut task = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = publish.as_mut().poll(&mut task);
                // Another moment in which it may be let in.
                shuttle::thread::yield_now();
            })
        };
        let patient = publisher(&bus, "a", &[1, 2, 3]);
        assert_eq!(patient.join().unwrap(), 0);
        fickle.join().unwrap();
        block_on(bus.idle());
        assert!(close(bus).is_clean());
        let all = log.all();
        check_order(&all);
        assert!([1, 2, 3].iter().all(|id| all.contains(id)), "{all:?}");
    });
}

/// Events of one key one at a time and in order, others beside them.
#[test]
fn events_of_one_key_stay_in_order() {
    explore(SCHEDULES / 2, || {
        let (bus, log) = (bus(), Log::default());
        let key = |event: &nexus_events_model::Event| {
            Some(if crate::number(event) < 10 { "one".into() } else { "two".into() })
        };
        let options = move |options: nexus_events_dispatch::SubscriptionOptions| {
            options.mode(Mode::Queued).queue(2).concurrency(2).ordered_by(key)
        };
        bus.on("a", log.writes().with(options)).unwrap();
        let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11, 12])];
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        assert!(close(bus).is_clean());
        check_order(&log.all());
        assert_eq!(log.sorted(), [1, 2, 3, 11, 12]);
    });
}

/// An event that has waited in a higher wave stands in line before a full queue below, and so
/// does a publisher that comes last out of the higher wave: its order holds there.
#[test]
fn events_of_a_higher_wave_stand_in_line_in_order() {
    explore(SCHEDULES / 2, || {
        let (bus, low) = queued(1, Overload::Block { timeout: Duration::from_secs(3600) });
        let high = Log::default();
        let options = |options: nexus_events_dispatch::SubscriptionOptions| {
            options.mode(Mode::Queued).queue(1).priority(10)
        };
        bus.on("a", high.writes().with(options)).unwrap();
        assert_eq!(publisher(&bus, "a", &[1, 2, 3]).join().unwrap(), 0);
        assert!(close(bus).is_clean());
        assert_eq!((high.all(), low.all()), (vec![1, 2, 3], vec![1, 2, 3]));
    });
}
