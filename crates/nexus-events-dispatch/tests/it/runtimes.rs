//! Several runtimes at once, some of which nobody drives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{Jitter, Retry};
use nexus_events_dispatch::{
    Bus, Configured, Context, Error, HandlerExt, Overload, SubscriptionOptions,
};
use nexus_events_model::{Event, OutcomeStatus};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::sync::Semaphore;

use crate::corners::{block_on, within_time};
use crate::delivery::{gated, polled_once, settle};
use crate::{Log, event};

/// A runtime that stands still unless somebody blocks on it.
fn still() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn running() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

async fn publishes(_: Event, context: Context) -> Result<(), Error> {
    context.publish(event("b")).map(|_| ())
}

#[test]
fn a_follow_up_is_driven_though_the_runtime_of_an_earlier_one_stands_still() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        bus.on("b", log.writes("b")).unwrap();
        let (first, second) = (still(), still());
        for (runtime, name) in [(&first, "a.first"), (&second, "a.second")] {
            runtime.block_on(async {
                bus.on(name, publishes).unwrap();
                bus.publish(event(name)).await.unwrap();
                bus.idle().await;
            });
        }
        assert_eq!(log.take(), ["b", "b"]);
    });
}

/// What a handler of this bus left behind.
fn kept_context(bus: &Bus, runtime: &Runtime) -> Context {
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keeps = kept.clone();
    runtime.block_on(async {
        let keep = move |_: Event, context: Context| {
            *keeps.lock() = Some(context);
            std::future::ready(())
        };
        bus.on("a", keep).unwrap();
        bus.publish(event("a")).await.unwrap();
        bus.idle().await;
    });
    kept.lock().take().unwrap()
}

#[test]
fn who_waits_for_the_bus_drives_the_follow_ups_of_a_runtime_that_stands_still() {
    for shuts_down in [false, true] {
        within_time(move || {
            let (bus, log) = (Bus::new(), Log::default());
            bus.on("b", log.writes("b")).unwrap();
            let first = still();
            let context = kept_context(&bus, &first);
            // Its task has no time to run.
            first.block_on(async { context.publish(event("b")) }).unwrap();
            assert!(log.take().is_empty());
            still().block_on(async {
                match shuts_down {
                    false => bus.idle().await,
                    true => assert!(bus.shutdown(Duration::from_secs(60)).await.is_clean()),
                }
            });
            assert_eq!(log.take(), ["b"]);
        });
    }
}

#[test]
fn follow_ups_stay_in_order_whichever_runtime_ends_their_wave() {
    let (bus, log) = (Bus::new(), Log::default());
    let runtimes = [running(), running()];
    for runtime in &runtimes {
        let _entered = runtime.enter();
        bus.on("a.*", async |_: Event| tokio::task::yield_now().await).unwrap();
    }
    let publishes = async |event: Event, context: Context| {
        let number = event.event_type().as_str().replace("a.", "b.");
        for part in 0..3 {
            context.publish(crate::event(&format!("{number}.{part}")))?;
        }
        Ok::<(), Error>(())
    };
    let _entered = runtimes[0].enter();
    bus.on("a.*", publishes).unwrap();
    let seen = log.clone();
    bus.on("b.**", move |event: &Event| seen.add(event.event_type().as_str())).unwrap();
    for number in 0..500 {
        block_on(bus.publish(event(&format!("a.{number}")))).unwrap();
    }
    block_on(bus.idle());
    let expected: Vec<String> =
        (0..1_500).map(|number| format!("b.{}.{}", number / 3, number % 3)).collect();
    assert_eq!(log.take(), expected);
}

#[test]
fn a_context_kept_outside_of_a_runtime_drives_what_it_publishes() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        bus.on("b", log.writes("b")).unwrap();
        let first = still();
        kept_context(&bus, &first).publish(event("b")).unwrap();
        assert_eq!(log.take(), ["b"]);
    });
}

/// An inline handler that fails at first.
fn fails_once(calls: &Arc<AtomicUsize>) -> Configured {
    let calls = calls.clone();
    let fails_once = move |_: &Event| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err("not yet"),
        _ => Ok(()),
    };
    fails_once.layer(Retry::new().base(Duration::from_millis(1)).jitter(Jitter::None))
}

#[test]
fn an_inline_handler_tries_again_on_the_runtime_in_which_it_was_registered() {
    let no_timer = Builder::new_current_thread().build().unwrap();
    for visited in [still(), no_timer] {
        let (bus, calls) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
        let home = running();
        home.block_on(async {
            bus.on("a", fails_once(&calls)).unwrap();
        });
        // The publisher's own runtime ends right after.
        visited.block_on(bus.publish(event("a"))).unwrap();
        drop(visited);
        within_time({
            let bus = bus.clone();
            move || block_on(bus.idle())
        });
        let events = bus.stats().events;
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!((events.handled_events, events.lost_events), (1, 0));
    }
}

#[test]
fn an_inline_handler_whose_runtime_has_ended_tries_again_where_the_publisher_is() {
    let (bus, calls) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
    still().block_on(async { bus.on("a", fails_once(&calls)).unwrap() });
    let report = still().block_on(bus.publish_and_wait(event("a"))).unwrap();
    assert_eq!((report.is_success(), calls.load(Ordering::SeqCst)), (true, 2));
}

/// A consumer that says in which runtime it runs.
fn consumer(seen: &Arc<Mutex<Vec<Id>>>) -> impl Fn(Event) -> std::future::Ready<()> + use<> {
    let seen = seen.clone();
    move |_: Event| {
        seen.lock().push(Handle::current().id());
        std::future::ready(())
    }
}

#[test]
fn each_consumer_of_a_group_runs_on_the_runtime_in_which_it_was_registered() {
    let (bus, seen) = (Bus::new(), Arc::<Mutex<Vec<Id>>>::default());
    let runtimes = [running(), running()];
    let mut consumers = Vec::new();
    for runtime in &runtimes {
        let _entered = runtime.enter();
        let consumer = consumer(&seen).with(|options| options.group("workers"));
        consumers.push(bus.on("a", consumer).unwrap());
    }
    let publish = |times: usize| {
        for _ in 0..times {
            block_on(bus.publish_and_wait(event("a"))).unwrap();
        }
    };
    // Each may be the one that is free.
    while seen.lock().iter().filter(|id| **id == runtimes[1].handle().id()).count() < 3 {
        publish(1);
    }
    // Alone it runs there.
    let before = seen.lock().len();
    block_on(consumers[0].unsubscribe());
    publish(5);
    assert_eq!(seen.lock()[before..], [runtimes[1].handle().id(); 5]);
}

#[test]
fn a_group_goes_on_when_one_of_its_runtimes_ends_and_its_event_in_hand_is_counted() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        let (first, second) = (running(), running());
        let began = Arc::new(Semaphore::new(0));
        let begins = began.clone();
        let hangs = move |_: Event| {
            begins.add_permits(1);
            std::future::pending::<()>()
        };
        first.block_on(async {
            bus.on("n.*", hangs.with(|options| options.group("workers").name("hangs"))).unwrap();
            bus.publish(event("n.0")).await.unwrap();
            began.acquire().await.unwrap().forget();
        });
        second.block_on(async {
            let goes_on = log.writes_async("n");
            bus.on("n.*", goes_on.with(|options| options.group("workers").name("goes on")))
                .unwrap();
        });
        drop(first);
        for number in 1..6 {
            let report = block_on(bus.publish_and_wait(event(&format!("n.{number}")))).unwrap();
            assert_eq!(report.outcome("goes on").unwrap().status, OutcomeStatus::Success);
        }
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.lost_events, events.in_flight), (5, 1, 0));
        assert_eq!(log.take().len(), 5);
    });
}

#[test]
fn a_consumer_on_a_runtime_that_stands_still_holds_up_no_other() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        let (first, second) = (still(), still());
        let group = |options: SubscriptionOptions| options.group("workers");
        first.block_on(async {
            bus.on("a", (async |_: Event| {}).with(group).named("stands still")).unwrap();
            // Its task is the first one to wait for an event.
            settle().await;
        });
        second.block_on(async {
            bus.on("a", log.writes_async("a").with(group).named("runs")).unwrap();
            settle().await;
            let report = bus.publish_and_wait(event("a")).await.unwrap();
            assert_eq!(report.outcome("runs").unwrap().status, OutcomeStatus::Success);
        });
    });
}

#[test]
fn what_waits_for_a_group_goes_to_the_consumer_whose_runtime_is_left() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        let (first, second) = (still(), running());
        let group = |options: SubscriptionOptions| {
            let overload = Overload::Block { timeout: Duration::from_secs(3_600) };
            options.group("workers").queue(1).overload(overload)
        };
        first.block_on(async {
            bus.on("a", (async |_: Event| {}).with(group).named("stands still")).unwrap();
        });
        block_on(bus.publish(event("a"))).unwrap();
        let mut waits = std::pin::pin!(bus.publish(event("a")));
        assert!(block_on(polled_once(waits.as_mut())), "there is no room");
        second.block_on(async {
            bus.on("a", log.writes_async("a").with(group).named("runs")).unwrap();
        });
        drop(first);
        assert_eq!(block_on(waits).unwrap().rejected, 0);
        block_on(bus.idle());
        assert_eq!(log.take(), ["a", "a"]);
    });
}

#[test]
fn a_publisher_waits_no_longer_than_it_should_for_a_runtime_that_stands_still() {
    within_time(|| {
        let (bus, first) = (Bus::new(), still());
        first.block_on(async {
            let overload = Overload::Block { timeout: Duration::from_millis(1) };
            let few = (async |_: Event| {}).with(|options| options.queue(1).overload(overload));
            bus.on("a", few).unwrap();
        });
        still().block_on(async {
            assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 0);
            assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 1);
            settle().await;
        });
    });
}

#[test]
fn an_event_goes_on_without_the_handlers_whose_runtime_ends() {
    within_time(|| {
        let (bus, log) = (Bus::new(), Log::default());
        let (first, second) = (running(), running());
        let (began, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let begins = began.clone();
        let hangs = move |_: Event| {
            begins.add_permits(1);
            std::future::pending::<()>()
        };
        first.block_on(async { bus.on("n.*", hangs.named("hangs")).unwrap() });
        let stays = gated(&gate, &Log::default()).with(|options| options.concurrency(2));
        second.block_on(async { bus.on("n.*", stays.named("stays")).unwrap() });
        bus.on("n.*", log.writes("lower").priority(-1)).unwrap();
        // One is in hand, the other waits.
        let reports = ["n.0", "n.1"].map(|name| {
            let bus = bus.clone();
            second.spawn(async move { bus.publish_and_wait(event(name)).await.unwrap() })
        });
        block_on(began.acquire()).unwrap().forget();
        while bus.stats().handler("stays").unwrap().queue > 0 || bus.stats().events.in_flight < 2 {
            std::thread::yield_now();
        }
        drop(first);
        gate.close();
        for report in reports {
            let report = second.block_on(report).unwrap();
            let gone = report.outcome("hangs").unwrap().error.clone().unwrap();
            assert!(gone.contains("its runtime has ended"), "{gone}");
            assert_eq!(report.outcome("stays").unwrap().status, OutcomeStatus::Success);
        }
        assert_eq!(log.take(), ["lower", "lower"]);
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.lost_events, events.rejected), (2, 0, 2));
    });
}
