//! The end of a bus while others publish.

use std::time::Duration;

use nexus_events_dispatch::model::advance;
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt, Mode, ShutdownReport};
use nexus_events_model::Event;
use shuttle::future::block_on;
use shuttle::thread::JoinHandle;

use crate::explore::{SCHEDULES, explore};
use crate::{Flag, Log, WRONG, bus, event, forbid, spawn};

const DEADLINE: Duration = Duration::from_secs(5);

/// A handler that publishes one follow-up for each event, and is not called once `over` is set.
fn follows_up(
    log: &Log,
    over: &Flag,
) -> impl Fn(&Event, &Context) -> Result<(), nexus_events_dispatch::Error> + Send + Sync + 'static {
    let (log, over) = (log.clone(), over.clone());
    move |event: &Event, context: &Context| {
        forbid(over.is_set(), || format!("called with {} after the end", event.id()));
        log.add(event);
        context.publish(crate::event("b", crate::number(event) + 100)).map(|_| ())
    }
}

/// Publishes until the bus is closed; gives back how many events were accepted.
fn publisher(bus: &Bus, ids: &'static [u32]) -> JoinHandle<u64> {
    let bus = bus.clone();
    spawn(move || {
        let publish = |id: &&u32| match block_on(bus.publish(event("a", id))) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                false
            }
        };
        ids.iter().take_while(publish).count() as u64
    })
}

struct Run {
    bus: Bus,
    /// Of the first events and of the follow-ups.
    logs: [Log; 2],
    accepted: u64,
    report: ShutdownReport,
}

/// Two publishers meet a shutdown. Queued handlers without a queue of their own share a lane.
fn run(mode: Mode, queue: Option<usize>, time: Duration) -> Run {
    let (bus, over) = (bus(), Flag::default());
    let logs: [Log; 2] = Default::default();
    let options = |options: nexus_events_dispatch::SubscriptionOptions| match queue {
        Some(events) => options.mode(mode).queue(events),
        None => options.mode(mode),
    };
    bus.on("a", follows_up(&logs[0], &over).with(options)).unwrap();
    bus.on("b", logs[1].writes().with(options)).unwrap();
    let publishers = [publisher(&bus, &[1, 2]), publisher(&bus, &[11])];
    let ends = {
        let (bus, over) = (bus.clone(), over.clone());
        spawn(move || {
            let report = block_on(bus.shutdown(DEADLINE));
            if report.is_clean() {
                over.set();
            }
            report
        })
    };
    let time = spawn(move || advance(time));
    let accepted = publishers.map(|publisher| publisher.join().unwrap()).iter().sum();
    time.join().unwrap();
    let report = ends.join().unwrap();
    Run { bus, logs, accepted, report }
}

/// What was accepted is handled, its follow-ups too, and then nothing runs any more.
fn check_drained(mode: Mode, queue: Option<usize>) {
    let Run { bus, logs: [first, follow_ups], accepted, report } = run(mode, queue, Duration::ZERO);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(WRONG.take(), [""; 0]);
    assert_eq!(first.all().len() as u64, accepted);
    let expected: Vec<u32> = first.sorted().iter().map(|id| id + 100).collect();
    assert_eq!(follow_ups.sorted(), expected);
    let events = bus.stats().events;
    assert_eq!(events.total_events, 2 * accepted);
    assert_eq!((events.handled_events, events.lost_events), (2 * accepted, 0));
    assert_eq!((events.in_flight, events.follow_ups_waiting), (0, 0));
    assert!(report.drained as u64 <= 2 * accepted, "{report:?}");
    assert_eq!(block_on(bus.publish(event("a", 9))).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn what_is_accepted_is_handled_before_a_shutdown_returns_inline() {
    explore(SCHEDULES, || check_drained(Mode::Inline, None));
}

#[test]
fn what_is_accepted_is_handled_before_a_shutdown_returns_queued() {
    explore(SCHEDULES, || check_drained(Mode::Queued, Some(8)));
}

#[test]
fn what_is_accepted_is_handled_before_a_shutdown_returns_blocking() {
    explore(SCHEDULES, || check_drained(Mode::Blocking, Some(8)));
}

#[test]
fn what_is_accepted_is_handled_before_a_shutdown_returns_on_shared_lanes() {
    explore(SCHEDULES, || check_drained(Mode::Queued, None));
}

/// The deadline passes at any moment: every event is either handled or lost, and counted once.
fn check_deadline(queue: Option<usize>) {
    let Run { bus, accepted, .. } = run(Mode::Queued, queue, DEADLINE);
    // A handler that was busy may end after the deadline, and so does its event.
    block_on(bus.idle());
    let events = bus.stats().events;
    let fates = events.handled_events
        + events.cancelled_events
        + events.filtered_events
        + events.unmatched_events
        + events.skipped_events
        + events.lost_events;
    assert_eq!((fates, events.in_flight), (events.total_events, 0), "{events:?}");
    assert!(events.total_events >= accepted, "{events:?}");
}

#[test]
fn at_the_deadline_every_event_is_accounted_for() {
    explore(SCHEDULES, || check_deadline(Some(8)));
}

#[test]
fn at_the_deadline_every_event_is_accounted_for_on_shared_lanes() {
    explore(SCHEDULES, || check_deadline(None));
}

/// Two shutdowns at once both return, and so does one from inside of a handler.
#[test]
fn shutdowns_do_not_wait_for_each_other() {
    explore(SCHEDULES, || {
        let (bus, log) = (bus(), Log::default());
        let inside = {
            let log = log.clone();
            move |event: Event, context: Context| {
                log.add(&event);
                async move { assert!(context.bus().shutdown(DEADLINE).await.is_clean()) }
            }
        };
        bus.on("a", inside.with(|options| options.concurrency(2))).unwrap();
        let publishers = [publisher(&bus, &[1]), publisher(&bus, &[11])];
        let report = block_on(bus.shutdown(DEADLINE));
        let accepted: u64 = publishers.map(|publisher| publisher.join().unwrap()).iter().sum();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(log.all().len() as u64, accepted);
    });
}

/// One event that becomes two, and nothing else, so that few steps are between any two.
#[test]
fn a_shutdown_that_meets_one_event_waits_for_its_follow_up() {
    explore(SCHEDULES * 4, || {
        let (bus, over, log) = (bus(), Flag::default(), Log::default());
        bus.on("a", follows_up(&log, &over)).unwrap();
        bus.on("b", log.writes()).unwrap();
        let publisher = publisher(&bus, &[1]);
        assert!(block_on(bus.shutdown(DEADLINE)).is_clean());
        let handled = log.all();
        over.set();
        let accepted = publisher.join().unwrap();
        assert_eq!(WRONG.take(), [""; 0]);
        assert_eq!(handled, if accepted == 1 { vec![1, 101] } else { vec![] });
    });
}
