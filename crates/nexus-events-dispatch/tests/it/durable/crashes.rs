use std::sync::Arc;

use nexus_events_dispatch::layers::DeadLetterFilter;
use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, HandlerExt};
use nexus_events_model::Event;

use super::{SECOND, consumer, number, open, pass, process, publish};
use crate::Log;

/// A handler that never comes back from this event, as if the process hung or died there.
fn poisoned_by(poison: u64, log: &Log) -> impl Fn(&Bus) + use<> {
    let log = log.clone();
    move |bus| {
        let log = log.clone();
        let handler = move |event: Event| {
            let log = log.clone();
            async move {
                let number = number(&event);
                log.add(number.to_string());
                if number == poison {
                    std::future::pending::<()>().await;
                }
            }
        };
        bus.on("order.*", handler.durable("billing")).unwrap();
    }
}

#[test]
fn d18_what_crashes_the_process_three_times_is_parked() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let subscribe = poisoned_by(3, &log);
    let mut runs = Vec::new();
    for crash in 0..4 {
        process().block_on(async {
            let bus = open(&store).await;
            subscribe(&bus);
            if crash == 0 {
                publish(&bus, 0..8).await;
            }
            pass(100 * SECOND).await;
            if crash == 3 {
                bus.idle().await;
                let stats = consumer(&bus, "billing");
                assert_eq!((stats.crash_parked, stats.acked.number()), (1, 8));
                let letters = bus.dead_letters().unwrap().list(&DeadLetterFilter::new(), 10);
                assert_eq!(letters.len(), 1);
                assert!(letters[0].error.starts_with("crash_loop"), "{}", letters[0].error);
            }
        });
        runs.push(log.take());
    }
    // It is tried three times, then the others go on.
    assert_eq!(runs, [vec!["0", "1", "2", "3"], vec!["3"], vec!["3"], vec!["4", "5", "6", "7"]]);
}

#[test]
fn what_was_handled_before_a_crash_and_acked_does_not_come_again() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    process().block_on(async {
        let bus = open(&store).await;
        poisoned_by(100, &log)(&bus);
        publish(&bus, 0..50).await;
        bus.idle().await;
        // The cursor is written behind the handlers.
        pass(SECOND).await;
    });
    assert_eq!(log.take().len(), 50);
    process().block_on(async {
        let bus = open(&store).await;
        poisoned_by(100, &log)(&bus);
        publish(&bus, 50..52).await;
        bus.idle().await;
    });
    assert_eq!(log.take(), ["50", "51"]);
}

#[test]
fn events_that_only_stood_beside_a_crash_are_not_parked() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let subscribe = |bus: &Bus, poison: bool| {
        let log = log.clone();
        let handler = move |event: Event| {
            let log = log.clone();
            async move {
                log.add(number(&event).to_string());
                if poison {
                    std::future::pending::<()>().await;
                }
            }
        };
        let handler = handler.durable("billing").with(|options| options.concurrency(16));
        bus.on("order.*", handler).unwrap();
    };
    process().block_on(async {
        let bus = open(&store).await;
        subscribe(&bus, true);
        publish(&bus, 0..16).await;
        pass(SECOND).await;
    });
    assert_eq!(log.take().len(), 16);
    process().block_on(async {
        let bus = open(&store).await;
        subscribe(&bus, false);
        bus.idle().await;
        assert_eq!(bus.dead_letters().unwrap().stats().letters, 0);
        assert_eq!(consumer(&bus, "billing").redelivered, 16);
    });
    assert_eq!(log.take().len(), 16);
}

#[test]
fn a_clean_end_is_no_crash() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let subscribe = poisoned_by(1, &log);
    for _ in 0..6 {
        process().block_on(async {
            let bus = open(&store).await;
            subscribe(&bus);
            publish(&bus, 0..2).await;
            pass(SECOND).await;
            let report = bus.shutdown(SECOND).await;
            assert_eq!((report.lost, report.redelivered), (0, 1));
        });
    }
    assert_eq!(log.take(), ["0", "1", "1", "1", "1", "1", "1"]);
}

#[test]
fn a_handler_may_stand_more_crashes_and_is_not_held_up_by_them() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let mut runs = Vec::new();
    for _ in 0..6 {
        process().block_on(async {
            let bus = open(&store).await;
            let handler = {
                let log = log.clone();
                move |event: Event| {
                    let log = log.clone();
                    async move {
                        log.add(number(&event).to_string());
                        std::future::pending::<()>().await;
                    }
                }
            };
            let durable = nexus_events_dispatch::Durable::named("billing").crashes(5);
            let handler = handler.durable(durable).with(|options| options.concurrency(2));
            bus.on("order.*", handler).unwrap();
            if runs.is_empty() {
                publish(&bus, 0..2).await;
            }
            pass(100 * SECOND).await;
            runs.push(log.take().len());
        });
    }
    // Both at a time, then one alone, which is parked at its fifth crash.
    assert_eq!(runs, [2, 2, 2, 1, 1, 1]);
}

#[test]
fn a_crash_before_a_new_handler_gets_anywhere_loses_nothing() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    process().block_on(async {
        let bus = open(&store).await;
        publish(&bus, 0..1).await;
        poisoned_by(100, &log)(&bus);
        // Nothing of the handler has run when this is stored.
        publish(&bus, 1..2).await;
    });
    log.take();
    process().block_on(async {
        let bus = open(&store).await;
        poisoned_by(100, &log)(&bus);
        bus.idle().await;
    });
    assert_eq!(log.take(), ["1"]);
}
