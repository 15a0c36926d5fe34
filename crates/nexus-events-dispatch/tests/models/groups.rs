//! Consumers of one group: each event goes to one of them, also while one leaves.

use nexus_events_dispatch::{Bus, HandlerExt, Mode, Subscription, SubscriptionOptions};
use shuttle::future::block_on;

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, Log, bus, close, forbid, publisher, spawn};

fn in_group(options: SubscriptionOptions) -> SubscriptionOptions {
    options.mode(Mode::Queued).queue(2).group("workers")
}

/// A consumer that must not be called once `ended` is set.
fn consumer(bus: &Bus, log: &Log, ended: &Flag) -> Subscription {
    let (log, ended) = (log.clone(), ended.clone());
    let handler = move |event: &nexus_events_model::Event| {
        forbid(ended.is_set(), || format!("called with {} after its end", event.id()));
        log.add(event);
    };
    bus.on("a", handler.with(in_group)).unwrap()
}

#[test]
fn each_event_goes_to_one_consumer_while_another_leaves() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), Flag::default());
        consumer(&bus, &log, &Flag::default());
        let leaves = consumer(&bus, &log, &ended);
        let leaving = spawn(move || {
            assert!(block_on(leaves.unsubscribe()));
            ended.set();
        });
        let publishers = [publisher(&bus, "a", &[1, 2, 3]), publisher(&bus, "a", &[11])];
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        leaving.join().unwrap();
        assert!(close(bus).is_clean());
        assert_eq!(log.sorted(), [1, 2, 3, 11]);
    });
}

/// One consumer comes while another leaves: the group goes on.
#[test]
fn a_group_is_handed_over_from_one_consumer_to_the_next() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), Flag::default());
        let leaves = consumer(&bus, &log, &ended);
        let hand_over = {
            let (bus, log) = (bus.clone(), log.clone());
            spawn(move || {
                consumer(&bus, &log, &Flag::default());
                assert!(block_on(leaves.unsubscribe()));
                ended.set();
            })
        };
        assert_eq!(publisher(&bus, "a", &[1, 2, 3]).join().unwrap(), 0);
        hand_over.join().unwrap();
        assert!(close(bus).is_clean());
        assert_eq!(log.sorted(), [1, 2, 3]);
    });
}

/// The last consumer leaves while events wait: what nobody takes is counted as that.
#[test]
fn what_waits_when_the_last_consumer_leaves_is_counted() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), Flag::default());
        let last = consumer(&bus, &log, &ended);
        let leaving = spawn(move || {
            assert!(block_on(last.unsubscribe()));
            ended.set();
        });
        assert_eq!(publisher(&bus, "a", &[1, 2, 3]).join().unwrap(), 0);
        leaving.join().unwrap();
        block_on(bus.idle());
        let events = bus.stats().events;
        assert_eq!((events.total_events, events.in_flight), (3, 0));
        let handled = log.all().len() as u64;
        assert_eq!(events.handled_events, handled);
        assert_eq!(handled + events.skipped_events + events.unmatched_events, 3);
        assert!(close(bus).is_clean());
        assert!(log.all().is_sorted_by(|a, b| a < b));
    });
}

/// The last one leaves while another comes: whoever is there at the end gets the next event.
#[test]
fn a_group_survives_an_end_that_meets_a_beginning() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), Flag::default());
        let leaves = consumer(&bus, &Log::default(), &ended);
        let leaving = spawn(move || {
            assert!(block_on(leaves.unsubscribe()));
            ended.set();
        });
        consumer(&bus, &log, &Flag::default());
        leaving.join().unwrap();
        assert_eq!(publisher(&bus, "a", &[1]).join().unwrap(), 0);
        assert!(close(bus).is_clean());
        assert_eq!(log.all(), [1]);
    });
}
