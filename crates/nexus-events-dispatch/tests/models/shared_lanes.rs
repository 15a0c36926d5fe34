//! Lanes that many handlers share, and handlers that move out of them.

use nexus_events_dispatch::limits::SLOW_TURN;
use nexus_events_dispatch::model::advance;
use nexus_events_dispatch::{HandlerExt, Mode};
use nexus_events_model::Event;
use shuttle::future::block_on;

use crate::explore::{SCHEDULES, explore};
use crate::{Log, bus, close, event, number, publisher};

#[test]
fn every_handler_of_a_shared_lane_sees_every_event_in_order() {
    explore(SCHEDULES, || {
        let bus = bus();
        let logs: [Log; 2] = Default::default();
        for log in &logs {
            bus.on("a", log.writes().mode(Mode::Queued)).unwrap();
        }
        let publishers = [publisher(&bus, "a", &[1, 2]), publisher(&bus, "a", &[11, 12])];
        publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
        block_on(bus.idle());
        let stats = bus.stats();
        assert_eq!((stats.events.total_events, stats.events.handled_events), (4, 4));
        stats.handlers.iter().for_each(|handler| assert_eq!(handler.execution_count, 4));
        assert!(close(bus).is_clean());
        for log in &logs {
            assert_eq!(log.sorted(), [1, 2, 11, 12]);
            for own in [[1, 2], [11, 12]] {
                let all: Vec<u32> = log.all().into_iter().filter(|id| own.contains(id)).collect();
                assert_eq!(all, own);
            }
        }
    });
}

/// A slow handler gets a lane of its own in the middle of its events; they stay in order, and the
/// other handler of the lane does not notice.
#[test]
fn a_slow_handler_moves_out_and_keeps_its_order() {
    explore(SCHEDULES, || {
        let bus = bus();
        let logs: [Log; 2] = Default::default();
        let log = logs[0].clone();
        let slow = move |event: &Event| {
            if number(event) == 1 {
                advance(SLOW_TURN * 2);
            }
            log.add(event);
        };
        bus.on("a", slow.mode(Mode::Queued).named("slow")).unwrap();
        bus.on("a", logs[1].writes().mode(Mode::Queued)).unwrap();
        assert_eq!(publisher(&bus, "a", &[1, 2, 3]).join().unwrap(), 0);
        block_on(bus.publish(event("a", 4))).unwrap();
        block_on(bus.idle());
        let stats = bus.stats();
        stats.handlers.iter().for_each(|handler| assert_eq!(handler.execution_count, 4));
        assert_eq!((stats.events.total_events, stats.events.handled_events), (4, 4));
        // It has moved: its queue is one of its own.
        assert!(close(bus).is_clean());
        logs.iter().for_each(|log| assert_eq!(log.all(), [1, 2, 3, 4]));
    });
}

/// It is ended while it moves.
#[test]
fn a_handler_that_ends_while_it_moves_out_runs_no_more() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), crate::Flag::default());
        let slow = {
            let (log, ended) = (log.clone(), ended.clone());
            move |event: &Event| {
                crate::forbid(ended.is_set(), || {
                    format!("called with {} after its end", event.id())
                });
                advance(SLOW_TURN * 2);
                log.add(event);
            }
        };
        let subscription = bus.on("a", slow.mode(Mode::Queued)).unwrap();
        let publisher = publisher(&bus, "a", &[1, 2, 3]);
        assert!(block_on(subscription.unsubscribe()));
        ended.set();
        assert_eq!(publisher.join().unwrap(), 0);
        assert!(close(bus).is_clean());
        assert!(log.all().is_sorted_by(|a, b| a < b));
    });
}
