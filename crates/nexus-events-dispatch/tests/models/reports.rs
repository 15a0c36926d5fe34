//! Publishers that wait for what becomes of their events.

use std::sync::{Arc, Mutex};

use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode, SubscriptionOptions};
use nexus_events_model::{Event, OutcomeStatus};
use shuttle::future::block_on;
use shuttle::thread::JoinHandle;

use crate::explore::{SCHEDULES, explore};
use crate::{Log, bus, close, event, number, spawn};

fn on_own_queue(options: SubscriptionOptions) -> SubscriptionOptions {
    options.mode(Mode::Queued).queue(1)
}

/// Publishes these and waits for each; gives back how many outcomes each report has, and how many
/// of them are of handlers that ran.
fn waits(bus: &Bus, ids: &'static [u32]) -> JoinHandle<Vec<(usize, usize)>> {
    let bus = bus.clone();
    spawn(move || {
        let wait = |id: &u32| {
            let report = block_on(bus.publish_and_wait(event("a", id))).unwrap();
            let ran = report.outcomes.iter().filter(|it| it.status == OutcomeStatus::Success);
            (report.outcomes.len(), ran.count())
        };
        ids.iter().map(wait).collect()
    })
}

/// Three waves of three kinds, of which one handler goes meanwhile.
#[test]
fn every_report_arrives_while_a_handler_of_a_wave_goes() {
    for goes in 0..3 {
        explore(SCHEDULES / 3, move || {
            let bus = bus();
            let log = Log::default();
            let mut subscriptions = vec![
                bus.on("a", log.writes().with(on_own_queue).priority(20)).unwrap(),
                bus.on("a", log.writes().priority(10)).unwrap(),
                bus.on("a", log.writes().mode(Mode::Queued)).unwrap(),
            ];
            let going = subscriptions.swap_remove(goes);
            let going = spawn(move || assert!(block_on(going.unsubscribe())));
            let publishers = [waits(&bus, &[1, 2]), waits(&bus, &[11])];
            let reports = publishers.map(|publisher| publisher.join().unwrap()).concat();
            going.join().unwrap();
            assert!(reports.iter().all(|(all, ran)| [2, 3].contains(all) && ran + 1 >= *all));
            let ran: usize = reports.iter().map(|(_, ran)| ran).sum();
            assert_eq!(ran, log.all().len());
            assert!(close(bus).is_clean());
        });
    }
}

/// A handler waits for the report of what it publishes, while its worker works for another.
#[test]
fn a_handler_that_waits_for_a_report_gets_it() {
    explore(SCHEDULES, || {
        let bus = Bus::builder().history(0).max_workers(1).build().unwrap();
        let log = Log::default();
        let asks = |event: &Event, context: &Context| {
            let inner = crate::event("b", number(event) + 100);
            block_on(context.publish_and_wait(inner)).map(|_| ())
        };
        bus.on("a", asks.mode(Mode::Blocking)).unwrap();
        bus.on("b", log.writes().mode(Mode::Blocking)).unwrap();
        let publishers = [waits(&bus, &[1, 2]), waits(&bus, &[11])];
        let reports = publishers.map(|publisher| publisher.join().unwrap()).concat();
        assert_eq!(reports, [(1, 1); 3]);
        assert_eq!(log.sorted(), [101, 102, 111]);
        assert!(close(bus).is_clean());
    });
}

/// One handler cancels; those after it do not run, those with it do.
#[test]
fn what_a_cancel_stops_is_in_no_log_and_in_every_report() {
    explore(SCHEDULES, || {
        let bus = bus();
        let logs: [Log; 2] = Default::default();
        let cancels = |event: &Event, context: &Context| {
            if number(event) == 1 {
                context.cancel("the first");
            }
        };
        bus.on("a", cancels.priority(10)).unwrap();
        bus.on("a", logs[0].writes().with(on_own_queue).priority(10)).unwrap();
        bus.on("a", logs[1].writes().mode(Mode::Queued)).unwrap();
        let publishers = [waits(&bus, &[1, 2]), waits(&bus, &[11])];
        let reports = publishers.map(|publisher| publisher.join().unwrap()).concat();
        assert_eq!(reports, [(3, 2), (3, 3), (3, 3)]);
        assert_eq!((logs[0].sorted(), logs[1].sorted()), (vec![1, 2, 11], vec![2, 11]));
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.cancelled_events), (2, 1));
        assert!(close(bus).is_clean());
    });
}

/// Whoever waits for an idle bus finds everything done, follow-ups included.
#[test]
fn an_idle_bus_has_nothing_left() {
    explore(SCHEDULES, || {
        let bus = bus();
        let logs: [Log; 2] = Default::default();
        let follows_up = {
            let log = logs[0].clone();
            move |event: &Event, context: &Context| {
                log.add(event);
                context.publish(crate::event("b", number(event) + 100)).map(|_| ())
            }
        };
        bus.on("a", follows_up.mode(Mode::Queued)).unwrap();
        bus.on("b", logs[1].writes().with(on_own_queue)).unwrap();
        let publishers = [[1, 2], [11, 12]].map(|ids| {
            let (bus, logs) = (bus.clone(), logs.clone());
            spawn(move || {
                for id in ids {
                    block_on(bus.publish(event("a", id))).unwrap();
                }
                block_on(bus.idle());
                let all = [logs[0].all(), logs[1].all()].concat();
                assert!(ids.iter().all(|id| all.contains(id) && all.contains(&(id + 100))));
            })
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        assert!(close(bus).is_clean());
    });
}

/// The last clone goes without a shutdown: no task is left behind.
#[test]
fn a_bus_that_is_dropped_leaves_nothing_running() {
    explore(SCHEDULES, || {
        let (bus, log) = (bus(), Log::default());
        bus.on("a", log.writes().mode(Mode::Queued)).unwrap();
        bus.on("a", log.writes().with(on_own_queue)).unwrap();
        let publisher = crate::publisher(&bus, "a", &[1, 2]);
        drop(bus);
        assert_eq!(publisher.join().unwrap(), 0);
    });
}

/// A context that outlives its call publishes while its event comes to an end.
#[test]
fn a_follow_up_of_the_last_moment_is_handled() {
    for mode in [Mode::Inline, Mode::Blocking] {
        explore(SCHEDULES / 2, move || {
            let (bus, log) = (bus(), Log::default());
            let late: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
            let publishes_late = {
                let late = late.clone();
                move |event: &Event, context: &Context| {
                    let (context, id) = (context.clone(), number(event) + 100);
                    let publish = move || drop(context.publish(crate::event("b", id)).unwrap());
                    late.lock().unwrap().push(spawn(publish));
                }
            };
            bus.on("a", publishes_late.mode(mode)).unwrap();
            bus.on("b", log.writes()).unwrap();
            block_on(bus.publish_and_wait(event("a", 1))).unwrap();
            let late: Vec<_> = late.lock().unwrap().drain(..).collect();
            late.into_iter().for_each(|thread| thread.join().unwrap());
            block_on(bus.idle());
            assert_eq!(log.all(), [101]);
            assert!(close(bus).is_clean());
        });
    }
}
