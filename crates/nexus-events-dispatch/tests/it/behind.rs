//! Handlers that wait for the bus while events stand behind them.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode, SubscriptionOptions};
use nexus_events_model::Event;
use tokio::sync::Semaphore;

use crate::corners::{block_on, within_time};
use crate::delivery::settle;
use crate::{Log, event};

type Options = fn(SubscriptionOptions) -> SubscriptionOptions;

/// A handler that waits for the bus to be idle once it is told to.
fn waits(
    log: &Log,
    go: &Arc<Semaphore>,
) -> impl Fn(Event, Context) -> nexus_events_dispatch::BoxFuture<'static, ()> + Send + Sync + use<>
{
    let (log, go) = (log.clone(), go.clone());
    move |event, context| {
        let (log, go) = (log.clone(), go.clone());
        Box::pin(async move {
            go.acquire().await.unwrap().forget();
            context.bus().idle().await;
            log.add(event.event_type().as_str());
        })
    }
}

#[track_caller]
fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    within_time(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test());
    });
}

fn by_user(event: &Event) -> Option<nexus_events_model::Text> {
    event.user_id().map(|user| user.to_string().into())
}

#[test]
fn who_waits_for_an_idle_bus_does_not_wait_for_what_stands_behind() {
    let all: [Options; 3] = [
        |options| options,
        |options| options.concurrency(2),
        |options| options.ordered_by(by_user),
    ];
    for options in all {
        run(move || async move {
            let (bus, log, go) = (Bus::new(), Log::default(), Arc::new(Semaphore::new(0)));
            bus.on("n.*", waits(&log, &go).with(options)).unwrap();
            for number in 0..4 {
                bus.publish(event(&format!("n.{number}")).user_id("ada")).await.unwrap();
            }
            settle().await;
            go.add_permits(4);
            bus.idle().await;
            let mut names = log.take();
            names.sort_unstable();
            assert_eq!(names, ["n.0", "n.1", "n.2", "n.3"]);
            assert_eq!(bus.stats().events.handled_events, 4);
        });
    }
}

#[test]
fn it_waits_for_what_others_do_and_not_for_what_comes_behind_meanwhile() {
    run(|| async {
        let (bus, log, go) = (Bus::new(), Log::default(), Arc::new(Semaphore::new(0)));
        let (other_go, other_log) = (Arc::new(Semaphore::new(0)), log.clone());
        let first = {
            let go = other_go.clone();
            move |event: Event| {
                let (go, log) = (go.clone(), other_log.clone());
                async move {
                    go.acquire().await.unwrap().forget();
                    log.add(format!("first {}", event.event_type()));
                }
            }
        };
        bus.on("n.b", first.priority(1)).unwrap();
        bus.on("n.*", waits(&log, &go)).unwrap();
        bus.publish(event("n.a")).await.unwrap();
        bus.publish(event("n.b")).await.unwrap();
        go.add_permits(2);
        settle().await;
        assert!(log.take().is_empty());
        // The other event comes to stand behind it, and nothing else is on its way.
        other_go.add_permits(1);
        bus.idle().await;
        assert_eq!(log.take(), ["first n.b", "n.a", "n.b"]);
    });
}

#[test]
fn nor_does_a_handler_of_a_shared_lane() {
    run(|| async {
        let (bus, log) = (Bus::new(), Log::default());
        let seen = log.clone();
        let waits = move |event: &Event, context: &Context| {
            if event.event_type() == "n.a" {
                block_on(context.bus().idle());
            }
            seen.add(event.event_type().as_str());
        };
        bus.on("n.*", waits.mode(Mode::Queued)).unwrap();
        // Sends its events on the long way.
        bus.on("n.long", (async |_: Event| {}).priority(-1)).unwrap();
        let names = ["n.a", "n.b", "n.long", "n.c"];
        for name in names {
            bus.try_publish(event(name)).unwrap();
        }
        bus.idle().await;
        assert_eq!(log.take(), names);
    });
}

#[test]
fn a_shutdown_loses_what_stands_behind_at_once() {
    run(|| async {
        let (bus, log) = (Bus::new(), Log::default());
        let seen = log.clone();
        let ends = move |_: Event, context: Context| {
            let log = seen.clone();
            async move {
                let report = context.bus().shutdown(Duration::from_secs(3_600)).await;
                log.add(format!("{} lost", report.lost));
            }
        };
        bus.on("n", ends).unwrap();
        for _ in 0..3 {
            bus.try_publish(event("n")).unwrap();
        }
        bus.idle().await;
        assert_eq!(log.take(), ["2 lost"]);
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.lost_events), (1, 2));
    });
}

#[test]
fn a_blocking_handler_that_waits_for_an_idle_bus_lends_its_worker() {
    run(|| async {
        let bus = Bus::builder().max_workers(1).build().unwrap();
        let [entered, may_go] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let log = Log::default();
        let handler = {
            let (log, inside, may_go) = (log.clone(), entered.clone(), may_go.clone());
            move |_: Event, context: Context| {
                let (log, inside, may_go) = (log.clone(), inside.clone(), may_go.clone());
                async move {
                    inside.add_permits(1);
                    may_go.acquire().await.unwrap().forget();
                    context.bus().idle().await;
                    log.add("a");
                }
            }
        };
        bus.on("a", handler.mode(Mode::Blocking)).unwrap();
        bus.on("b", log.writes("b").mode(Mode::Blocking)).unwrap();
        bus.publish(event("a")).await.unwrap();
        entered.acquire().await.unwrap().forget();
        // It has the one worker now.
        bus.publish(event("b")).await.unwrap();
        settle().await;
        may_go.add_permits(1);
        bus.idle().await;
        assert_eq!(log.take(), ["b", "a"]);
    });
}
