//! Handlers that do not return, and do after all at any moment.

use std::sync::Mutex;

use nexus_events_dispatch::limits::STUCK_AFTER_DEFAULT;
use nexus_events_dispatch::model::advance;
use nexus_events_dispatch::{Bus, HandlerExt, Mode, SubscriptionOptions};
use nexus_events_model::Event;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread::{JoinHandle, yield_now};

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, Log, bus, close, forbid, number, publisher, spawn};

/// How often time passes at most: the call is seen, doubted, and given up.
const LOOKS: usize = 8;

/// Steps of others between two of those, more or less.
const STEPS: usize = 8;

/// Time passes, and at any moment of that the handler is told to go on.
fn time_passes(go: Sender<()>) -> JoinHandle<()> {
    spawn(move || {
        for _ in 0..thread_rng().gen_range(0..LOOKS) {
            (0..STEPS).for_each(|_| yield_now());
            advance(STUCK_AFTER_DEFAULT);
        }
        drop(go);
    })
}

/// Hangs at the first event until it is told to go on, and never runs twice at a time.
fn hangs(log: &Log, go: Receiver<()>) -> impl Fn(&Event) + Send + Sync + 'static {
    let (log, go, runs) = (log.clone(), Mutex::new(Some(go)), Flag::default());
    move |event: &Event| {
        forbid(runs.is_set(), || "it runs twice at a time".to_owned());
        if number(event) == 1 {
            runs.set();
            let go = go.lock().unwrap().take();
            let _ = go.map(|go| go.recv());
            runs.unset();
        }
        log.add(event);
    }
}

struct Run {
    bus: Bus,
    hung: Log,
    rejected: u64,
}

/// One handler hangs at the first of three events while time passes, and returns at any moment.
fn run(options: fn(SubscriptionOptions) -> SubscriptionOptions, others: [&Log; 2]) -> Run {
    let (bus, hung, (go, waits)) = (bus(), Log::default(), channel());
    bus.on("a", others[0].writes().with(options)).unwrap();
    bus.on("a", hangs(&hung, waits).with(options).named("hangs")).unwrap();
    bus.on("a", others[1].writes().with(options)).unwrap();
    let publisher = publisher(&bus, "a", &[1, 2, 3]);
    let time = time_passes(go);
    publisher.join().unwrap();
    time.join().unwrap();
    block_on(bus.idle());
    let rejected = bus.stats().handler("hangs").unwrap().rejected_count;
    Run { bus, hung, rejected }
}

/// Every event is seen once by all others and at most once by the one that hangs; nothing is lost
/// without being counted, and nobody waits for ever.
fn check(options: fn(SubscriptionOptions) -> SubscriptionOptions) {
    let others: [Log; 2] = Default::default();
    let Run { bus, hung, rejected } = run(options, others.each_ref());
    let stats = bus.stats();
    others.iter().for_each(|log| assert_eq!(log.all(), [1, 2, 3]));
    let events = &stats.events;
    assert_eq!((events.total_events, events.handled_events, events.in_flight), (3, 3, 0));
    let hangs = stats.handler("hangs").unwrap();
    assert_eq!(hangs.execution_count + rejected, 3, "{hangs:?}");
    assert_eq!(hangs.error_count, hangs.stuck_count, "{hangs:?}");
    assert!(hangs.stuck_count <= 1);
    assert!(close(bus).is_clean());
    assert!(hung.all().len() as u64 + rejected <= 3);
}

#[test]
fn a_handler_of_a_shared_lane_that_hangs_costs_no_other_an_event() {
    explore(SCHEDULES, || check(|options| options.mode(Mode::Queued)));
}

#[test]
fn a_handler_with_a_queue_of_its_own_that_hangs_costs_no_other_an_event() {
    explore(SCHEDULES, || check(|options| options.mode(Mode::Queued).queue(8)));
}

#[test]
fn a_blocking_handler_that_hangs_costs_no_other_an_event() {
    explore(SCHEDULES, || check(|options| options.mode(Mode::Blocking)));
}

/// Whatever becomes of the call, an unsubscribe returns after it and not before.
#[test]
fn an_unsubscribe_waits_for_a_call_that_was_given_up() {
    explore(SCHEDULES, || {
        let (bus, log, over, (go, waits)) = (bus(), Log::default(), Flag::default(), channel());
        let hangs = {
            let (hangs, over) = (hangs(&log, waits), over.clone());
            move |event: &Event| {
                hangs(event);
                forbid(over.is_set(), || format!("still in {} after its end", event.id()));
            }
        };
        let it = bus.on("a", hangs.mode(Mode::Queued)).unwrap();
        let publisher = publisher(&bus, "a", &[1, 2]);
        let time = time_passes(go);
        assert!(block_on(it.unsubscribe()));
        over.set();
        publisher.join().unwrap();
        time.join().unwrap();
        block_on(bus.idle());
        assert!(close(bus).is_clean());
    });
}
