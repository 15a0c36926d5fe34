//! Handlers end while events pass.

use nexus_events_dispatch::{Bus, HandlerExt, Mode, Subscription};
use nexus_events_model::Event;
use shuttle::future::block_on;

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, Log, bus, close, event, forbid, number, publisher, spawn};

/// Of the scenario: one half in each of its two tests.
const D16_SCHEDULES: usize = 50_000;

/// A handler that must not be inside of a call once `ended` is set.
fn until(ended: &Flag, log: &Log) -> impl Fn(&Event) + Send + Sync + 'static {
    let (ended, log) = (ended.clone(), log.clone());
    move |event: &Event| {
        forbid(ended.is_set(), || format!("called with {} after its end", event.id()));
        log.add(event);
        forbid(ended.is_set(), || format!("still busy with {} after its end", event.id()));
    }
}

/// Ends it on a thread of its own and says so.
fn end(subscription: Subscription, ended: &Flag) -> shuttle::thread::JoinHandle<()> {
    let ended = ended.clone();
    spawn(move || {
        assert!(block_on(subscription.unsubscribe()));
        ended.set();
    })
}

fn no_call_after_unsubscribe_returned(mode: Mode, own_queue: bool) {
    let (bus, log, ended, always) = (bus(), Log::default(), Flag::default(), Log::default());
    let options = |options: nexus_events_dispatch::SubscriptionOptions| {
        if own_queue { options.mode(mode).queue(8) } else { options.mode(mode) }
    };
    let subscription = bus.on("a", until(&ended, &log).with(options)).unwrap();
    bus.on("a", always.writes()).unwrap();
    let ending = end(subscription, &ended);
    let publishers = [publisher(&bus, "a", &[1, 2]), publisher(&bus, "a", &[3, 4])];
    publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
    ending.join().unwrap();
    assert!(close(bus).is_clean());
    assert!(log.sorted().is_sorted_by(|a, b| a < b));
    assert_eq!(always.sorted(), [1, 2, 3, 4]);
}

#[test]
fn no_call_after_unsubscribe_returned_inline() {
    explore(SCHEDULES, || no_call_after_unsubscribe_returned(Mode::Inline, false));
}

#[test]
fn no_call_after_unsubscribe_returned_queued() {
    explore(SCHEDULES, || no_call_after_unsubscribe_returned(Mode::Queued, true));
}

#[test]
fn no_call_after_unsubscribe_returned_on_a_shared_lane() {
    explore(SCHEDULES, || no_call_after_unsubscribe_returned(Mode::Queued, false));
}

#[test]
fn no_call_after_unsubscribe_returned_blocking() {
    explore(SCHEDULES, || no_call_after_unsubscribe_returned(Mode::Blocking, true));
}

/// A thread that subscribes and unsubscribes again and again.
fn comes_and_goes(bus: &Bus, mode: Mode) -> shuttle::thread::JoinHandle<()> {
    let bus = bus.clone();
    spawn(move || {
        for _ in 0..2 {
            let ended = Flag::default();
            let handler = until(&ended, &Log::default()).mode(mode);
            let subscription = bus.on("a", handler).unwrap();
            assert!(block_on(subscription.unsubscribe()));
            ended.set();
        }
    })
}

/// Handlers come and go on threads and inside of handlers, while two publish.
fn d16(mode: Mode) {
    let (bus, always) = (bus(), Log::default());
    bus.on("a", always.writes()).unwrap();
    let inside = {
        let bus = bus.clone();
        move |event: &Event| {
            if number(event) == 1 {
                let ended = Flag::default();
                let handler = until(&ended, &Log::default()).mode(mode);
                let subscription = bus.on("a", handler).unwrap();
                assert!(block_on(subscription.unsubscribe()));
                ended.set();
            }
        }
    };
    let inside = bus.on("a", inside.named("inside")).unwrap();
    let going = comes_and_goes(&bus, mode);
    let publishers = [publisher(&bus, "a", &[1, 2]), publisher(&bus, "a", &[3])];
    publishers.into_iter().for_each(|publisher| assert_eq!(publisher.join().unwrap(), 0));
    going.join().unwrap();
    // It holds the bus.
    block_on(inside.unsubscribe());
    block_on(bus.publish(event("a", 4))).unwrap();
    assert!(close(bus).is_clean());
    assert_eq!(always.sorted(), [1, 2, 3, 4]);
}

#[test]
fn d16_handlers_come_and_go_while_two_publish_inline() {
    explore(D16_SCHEDULES / 2, || d16(Mode::Inline));
}

#[test]
fn d16_handlers_come_and_go_while_two_publish_queued() {
    explore(D16_SCHEDULES / 2, || d16(Mode::Queued));
}

/// A handler earlier in the same pass has waited for the end of another one; that is over.
#[test]
fn no_call_after_unsubscribe_returned_behind_a_handler_that_has_waited() {
    explore(SCHEDULES, || {
        let (bus, log, ended) = (bus(), Log::default(), Flag::default());
        let other = bus.on("z", |_: &Event| {}).unwrap();
        bus.on("a", move |_: &Event| _ = block_on(other.unsubscribe())).unwrap();
        let ending = end(bus.on("a", until(&ended, &log)).unwrap(), &ended);
        assert_eq!(publisher(&bus, "a", &[1, 2]).join().unwrap(), 0);
        ending.join().unwrap();
        assert!(close(bus).is_clean());
    });
}
