//! Subscriptions come while events pass.

use nexus_events_dispatch::{Bus, HandlerExt, Mode};

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, Log, bus, close, event, spawn};
use shuttle::future::block_on;

/// What has returned from `subscribe` before a publish begins sees its event.
fn a_publish_sees_every_completed_subscribe(mode: Mode) {
    let (bus, log, subscribed) = (bus(), Log::default(), Flag::default());
    let permanent = Log::default();
    bus.on("a", permanent.writes()).unwrap();
    let subscriber = spawn({
        let (bus, log, subscribed) = (bus.clone(), log.clone(), subscribed.clone());
        move || {
            let own_queue = log.writes().with(|options| match mode {
                Mode::Inline => options,
                _ => options.mode(mode).queue(8),
            });
            bus.on("a", own_queue).unwrap();
            subscribed.set();
        }
    });
    let publishers = [[1, 2], [3, 4]].map(|ids| {
        let (bus, subscribed) = (bus.clone(), subscribed.clone());
        spawn(move || {
            let publish = |id: &u32| {
                let must = subscribed.is_set();
                block_on(bus.publish(event("a", id))).unwrap();
                must.then_some(*id)
            };
            ids.iter().filter_map(publish).collect::<Vec<u32>>()
        })
    });
    subscriber.join().unwrap();
    let seen = publishers.map(|publisher| publisher.join().unwrap()).concat();
    block_on(bus.publish(event("a", 5))).unwrap();
    assert!(close(bus).is_clean());
    let all = log.sorted();
    assert!(all.is_sorted_by(|a, b| a < b), "an event came twice: {all:?}");
    assert!(seen.iter().chain([&5]).all(|id| all.contains(id)), "{seen:?} of {all:?}");
    assert_eq!(permanent.sorted(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_publish_sees_every_completed_subscribe_inline() {
    explore(SCHEDULES, || a_publish_sees_every_completed_subscribe(Mode::Inline));
}

#[test]
fn a_publish_sees_every_completed_subscribe_queued() {
    explore(SCHEDULES, || a_publish_sees_every_completed_subscribe(Mode::Queued));
}

/// Subscribes that meet each other: none is lost in a swap.
#[test]
fn subscribes_that_meet_are_all_kept() {
    explore(SCHEDULES, || {
        let bus = bus();
        let logs: [Log; 3] = Default::default();
        let first = bus.on("a", Log::default().writes()).unwrap();
        let change = |log: &Log| {
            let (bus, log): (Bus, Log) = (bus.clone(), log.clone());
            spawn(move || drop(bus.on("a", log.writes()).unwrap()))
        };
        let threads: Vec<_> = logs.iter().map(change).collect();
        assert!(block_on(first.unsubscribe()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let receipt = block_on(bus.publish(event("a", 1))).unwrap();
        assert_eq!(receipt.matched, 3);
        logs.iter().for_each(|log| assert_eq!(log.all(), [1]));
        close(bus);
    });
}
