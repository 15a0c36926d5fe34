//! Handlers that do not return.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nexus_events_dispatch::limits::{STUCK_AFTER_DEFAULT, STUCK_THREADS_MAX};
use nexus_events_dispatch::{Bus, ErrorKind, HandlerExt, Mode, Subscription, SubscriptionOptions};
use nexus_events_model::{Event, OutcomeStatus};
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::corners::within_time;
use crate::{Log, event};

/// Soon, because it is the machine's clock that tells the time on several threads.
const SOON: Duration = Duration::from_millis(20);

pub(crate) fn bus() -> Bus {
    Bus::builder().stuck_after(SOON).build().unwrap()
}

/// Runs this on a runtime with threads to spare; fails where it hangs.
#[track_caller]
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    within_time(move || {
        let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
        runtime.block_on(test());
    });
}

/// Hangs at the events named "hangs" until this is dropped, or told to go on.
pub(crate) struct Gate {
    pub(crate) go: mpsc::Sender<()>,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
    hanging: Arc<AtomicUsize>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (go, gate) = mpsc::channel();
        Self { go, gate: Arc::new(Mutex::new(gate)), hanging: Arc::default() }
    }

    /// A handler that writes down each event when it is through with it.
    pub(crate) fn hangs(&self, log: &Log) -> impl Fn(&Event) + Send + Sync + use<> {
        let (gate, hanging, log) = (self.gate.clone(), self.hanging.clone(), log.clone());
        move |event: &Event| {
            if event.event_type().as_str().ends_with("hangs") {
                hanging.fetch_add(1, Ordering::SeqCst);
                let _ = gate.lock().recv();
            }
            log.add(event.event_type().as_str());
        }
    }

    /// The same, but lets its thread go first until `ready` is closed, at the events that begin
    /// with "waits".
    fn waits_and_hangs(
        &self,
        ready: &Arc<Semaphore>,
        log: &Log,
    ) -> impl Fn(Event) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + use<> {
        let (ready, hangs) = (ready.clone(), Arc::new(self.hangs(log)));
        move |event: Event| {
            let (ready, hangs) = (ready.clone(), hangs.clone());
            Box::pin(async move {
                if event.event_type().as_str().starts_with("waits") {
                    let _ = ready.acquire().await;
                }
                hangs(&event);
            })
        }
    }

    pub(crate) async fn is_met_by(&self, handlers: usize) {
        until(|| self.hanging.load(Ordering::SeqCst) == handlers).await;
    }
}

pub(crate) async fn until(done: impl Fn() -> bool) {
    while !done() {
        yield_now().await;
    }
}

pub(crate) fn stuck(bus: &Bus, name: &str) -> (usize, u64) {
    let stats = bus.stats();
    let handler = stats.handler(name).unwrap();
    (handler.overdue, handler.stuck_count)
}

#[test]
fn the_others_of_a_shared_lane_go_on() {
    run(|| async {
        let (bus, gate, hung) = (bus(), Gate::new(), Log::default());
        let logs = [Log::default(), Log::default()];
        let writes = |log: &Log| {
            let log = log.clone();
            move |event: &Event| log.add(event.event_type().as_str())
        };
        bus.on("n.*", writes(&logs[0]).mode(Mode::Queued).named("before")).unwrap();
        bus.on("n.*", gate.hangs(&hung).mode(Mode::Queued).named("hangs")).unwrap();
        let after = bus.on("n.*", writes(&logs[1]).mode(Mode::Queued).named("after")).unwrap();
        let names = ["n.one", "n.hangs", "n.two", "n.three"];
        for name in names {
            bus.publish(event(name)).await.unwrap();
        }
        // Neither this nor the ends of others wait for it.
        bus.idle().await;
        logs.iter().for_each(|log| assert_eq!(log.take(), names));
        assert_eq!(hung.take(), ["n.one"]);
        let stats = bus.stats();
        let hangs = stats.handler("hangs").unwrap();
        assert_eq!((hangs.execution_count, hangs.error_count), (2, 1));
        assert_eq!((hangs.rejected_count, hangs.dropped.get("stuck")), (2, Some(&2)));
        assert_eq!((stuck(&bus, "hangs"), stats.stuck_threads), ((1, 1), 1));
        let events = stats.events;
        assert_eq!((events.handled_events, events.in_flight), (4, 0));
        bus.publish(event("n.four")).await.unwrap();
        bus.idle().await;
        assert!(after.unsubscribe().await);
        // It returns, and takes part again.
        gate.go.send(()).unwrap();
        until(|| stuck(&bus, "hangs") == (0, 1)).await;
        bus.publish(event("n.five")).await.unwrap();
        bus.idle().await;
        assert_eq!(hung.take(), ["n.hangs", "n.five"]);
        assert_eq!(logs[0].take(), ["n.four", "n.five"]);
        let stats = bus.stats();
        let hangs = stats.handler("hangs").unwrap();
        assert_eq!((hangs.execution_count, hangs.rejected_count), (3, 3));
        // Runs of the other two, and those of this one that ended in time.
        assert_eq!((stats.events.processed_events, stats.events.failed_events), (6 + 5 + 2, 1));
        assert_eq!(stats.stuck_threads, 0);
    });
}

#[test]
fn who_waits_for_a_report_of_a_shared_lane_gets_it() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        bus.on("n.*", gate.hangs(&log).mode(Mode::Queued).named("hangs")).unwrap();
        bus.on("n.*", log.writes("other").mode(Mode::Queued).named("other")).unwrap();
        let report = bus.publish_and_wait(event("n.hangs")).await.unwrap();
        let hangs = report.outcome("hangs").unwrap();
        assert_eq!(hangs.status, OutcomeStatus::TimedOut);
        let error = hangs.error.as_deref().unwrap();
        assert!(error.contains("not waited for") && !error.contains(" 0 s"), "{error}");
        assert_eq!(report.outcome("other").unwrap().status, OutcomeStatus::Success);
        let report = bus.publish_and_wait(event("n.next")).await.unwrap();
        let error = report.outcome("hangs").unwrap().error.clone();
        assert_eq!(error.as_deref(), Some("the handler does not return from an earlier event"));
        bus.idle().await;
        assert_eq!(log.take(), ["other", "other"]);
        drop(gate.go);
        until(|| stuck(&bus, "hangs") == (0, 1)).await;
        let report = bus.publish_and_wait(event("n.again")).await.unwrap();
        assert_eq!(report.outcome("hangs").unwrap().status, OutcomeStatus::Success);
    });
}

pub(crate) fn own_queue(options: SubscriptionOptions) -> SubscriptionOptions {
    options.mode(Mode::Queued).queue(8).name("hangs")
}

#[test]
fn a_handler_with_a_queue_of_its_own_drops_what_waits_until_it_returns() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        bus.on("n.*", gate.hangs(&log).with(own_queue)).unwrap();
        bus.on("n.*", log.writes("lower").priority(-1)).unwrap();
        for name in ["n.hangs", "n.waits", "n.waits"] {
            bus.publish(event(name)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(log.take(), ["lower", "lower", "lower"]);
        assert_eq!(bus.publish(event("n.late")).await.unwrap().rejected, 1);
        let stats = bus.stats();
        let hangs = stats.handler("hangs").unwrap();
        assert_eq!((hangs.execution_count, hangs.error_count, hangs.queue), (1, 1, 0));
        assert_eq!(hangs.dropped.get("stuck"), Some(&3));
        drop(gate.go);
        until(|| stuck(&bus, "hangs") == (0, 1)).await;
        bus.publish(event("n.again")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["lower", "n.hangs", "n.again", "lower"]);
    });
}

#[test]
fn an_unsubscribe_waits_for_the_call_that_hangs() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        for options in [own_queue, |options: SubscriptionOptions| options.mode(Mode::Queued)] {
            let it = bus.on("n.*", gate.hangs(&log).with(options)).unwrap();
            bus.publish(event("n.hangs")).await.unwrap();
            bus.idle().await;
            let ends = tokio::spawn(async move { it.unsubscribe().await });
            until(|| bus.stats().handlers.is_empty()).await;
            assert!(!ends.is_finished());
            gate.go.send(()).unwrap();
            assert!(ends.await.unwrap());
            assert_eq!(log.take(), ["n.hangs"]);
        }
    });
}

#[test]
fn a_key_that_hangs_holds_up_no_other_and_its_events_are_dropped() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        let by_user = |event: &Event| event.user_id().map(|user| user.to_string().into());
        let options = |options| own_queue(options).ordered_by(by_user).concurrency(2);
        bus.on("**", gate.hangs(&log).with(options)).unwrap();
        for (name, user) in [("hangs", "ada"), ("a", "ada"), ("b", "bob"), ("c", "bob")] {
            bus.publish(event(name).user_id(user)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(log.take(), ["b", "c"]);
        assert_eq!(bus.stats().handler("hangs").unwrap().dropped.get("stuck"), Some(&1));
        drop(gate.go);
        until(|| stuck(&bus, "hangs") == (0, 1)).await;
        bus.publish(event("d").user_id("ada")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["hangs", "d"]);
    });
}

/// Each of them is dropped by the one task that finds them, one after another.
#[test]
fn very_many_events_may_wait_behind_a_key_that_hangs() {
    run(|| async {
        const WAITING: usize = 20_000;
        let bus = Bus::builder().stuck_after(SOON * 2).build().unwrap();
        let (gate, log, ready) = (Gate::new(), Log::default(), Arc::new(Semaphore::new(0)));
        let options =
            |options| own_queue(options).ordered_by(|_: &Event| Some("one".into())).queue(WAITING);
        bus.on("**", gate.waits_and_hangs(&ready, &log).with(options)).unwrap();
        bus.publish(event("waits.hangs")).await.unwrap();
        until(|| bus.stats().handler("hangs").unwrap().queue == 0).await;
        for _ in 0..WAITING {
            assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 0);
        }
        // It hangs only now, so that all of them are there when it is given up.
        ready.close();
        bus.idle().await;
        let stats = bus.stats();
        let hangs = stats.handler("hangs").unwrap();
        assert_eq!((hangs.dropped.get("stuck"), hangs.queue), (Some(&(WAITING as u64)), 0));
        drop(gate.go);
        until(|| stuck(&bus, "hangs") == (0, 1)).await;
        bus.publish(event("b")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["waits.hangs", "b"]);
        assert_eq!(bus.stats().handler("hangs").unwrap().panic_count, 0);
    });
}

#[test]
fn the_other_consumers_of_a_group_go_on() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        for _ in 0..2 {
            let options = |options| SubscriptionOptions::mode(options, Mode::Queued).group("jobs");
            bus.on("**", gate.hangs(&log).with(options)).unwrap();
        }
        for name in ["hangs", "a", "b"] {
            bus.publish(event(name)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(log.take(), ["a", "b"]);
        // Now both of them hang.
        for name in ["hangs", "c"] {
            bus.publish(event(name)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!((log.take(), bus.stats().events.rejected), (vec![], 1));
        drop(gate.go);
        until(|| bus.stats().stuck_threads == 0).await;
        bus.publish(event("d")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["hangs", "hangs", "d"]);
    });
}

fn in_group(options: SubscriptionOptions) -> SubscriptionOptions {
    options.mode(Mode::Queued).group("jobs")
}

#[test]
fn a_group_whose_last_consumer_hangs_drops_its_events() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        let ready = Arc::new(Semaphore::new(0));
        let joins = |name| {
            let handler = gate.waits_and_hangs(&ready, &log).with(in_group);
            (name, bus.on("**", handler.named(name)).unwrap())
        };
        let members = ["x", "y"].map(joins);
        bus.publish(event("hangs")).await.unwrap();
        bus.idle().await;
        let free = members.into_iter().find(|(name, _)| stuck(&bus, name).0 == 0);
        leaves_the_one_that_hangs(&bus, free.unwrap().1, &ready).await;
        drop(gate.go);
        until(|| bus.stats().stuck_threads == 0).await;
        bus.publish(event("d")).await.unwrap();
        bus.idle().await;
        let mut seen = log.take();
        seen.sort_unstable();
        assert_eq!(seen, ["d", "hangs", "waits"]);
    });
}

#[test]
fn a_consumer_that_joins_one_that_hangs_may_leave_again() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        let ready = Arc::new(Semaphore::new(0));
        bus.on("**", gate.hangs(&log).with(in_group).named("x")).unwrap();
        bus.publish(event("hangs")).await.unwrap();
        bus.idle().await;
        let handler = gate.waits_and_hangs(&ready, &log).with(in_group);
        let joined = bus.on("**", handler.named("y")).unwrap();
        bus.publish(event("a")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["a"]);
        leaves_the_one_that_hangs(&bus, joined, &ready).await;
        // Somebody takes events again.
        let handler = log.writes("z").with(in_group);
        bus.on("**", handler).unwrap();
        bus.publish(event("b")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["waits", "z"]);
        drop(gate.go);
        until(|| bus.stats().stuck_threads == 0).await;
    });
}

/// Ends the last consumer that takes events, while one waits behind the one it has.
async fn leaves_the_one_that_hangs(bus: &Bus, free: Subscription, ready: &Semaphore) {
    let queue = || bus.stats().handlers[0].queue;
    bus.publish(event("waits")).await.unwrap();
    until(|| queue() == 0).await;
    bus.publish(event("behind")).await.unwrap();
    assert_eq!((queue(), bus.stats().events.rejected), (1, 0));
    let ends = tokio::spawn(async move { free.unsubscribe().await });
    until(|| bus.stats().handlers.len() == 1).await;
    ready.close();
    assert!(ends.await.unwrap());
    bus.idle().await;
    assert_eq!(bus.publish(event("late")).await.unwrap().rejected, 1);
    bus.idle().await;
    let stats = bus.stats();
    assert_eq!((stats.events.rejected, stats.events.in_flight), (2, 0));
    assert_eq!(stats.handlers[0].dropped.get("stuck"), Some(&2));
}

fn blocking(options: SubscriptionOptions) -> SubscriptionOptions {
    options.mode(Mode::Blocking)
}

/// The time is the test's here: only threads that may block are held up.
#[tokio::test(start_paused = true)]
async fn a_blocking_handler_that_hangs_gives_its_worker_back() {
    let bus = Bus::builder().max_workers(1).stuck_after(STUCK_AFTER_DEFAULT).build().unwrap();
    let (gate, log) = (Gate::new(), Log::default());
    bus.on("a.hangs", gate.hangs(&log).with(blocking).named("hangs")).unwrap();
    bus.on("b", log.writes("other").with(blocking)).unwrap();
    bus.publish(event("a.hangs")).await.unwrap();
    gate.is_met_by(1).await;
    bus.publish(event("b")).await.unwrap();
    tokio::time::advance(STUCK_AFTER_DEFAULT / 2).await;
    yield_now().await;
    assert_eq!((stuck(&bus, "hangs"), bus.stats().events.in_flight), ((0, 0), 2));
    passes(STUCK_AFTER_DEFAULT).await;
    bus.idle().await;
    assert_eq!((log.take(), stuck(&bus, "hangs")), (vec!["other".to_owned()], (1, 1)));
    assert!(bus.shutdown(Duration::from_secs(1)).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_has_any_time_unless_asked_otherwise() {
    let (bus, gate, log) = (Bus::new(), Gate::new(), Log::default());
    bus.on("hangs", gate.hangs(&log).with(blocking).named("hangs")).unwrap();
    bus.publish(event("hangs")).await.unwrap();
    gate.is_met_by(1).await;
    passes(STUCK_AFTER_DEFAULT * 3).await;
    assert_eq!((stuck(&bus, "hangs"), bus.stats().events.in_flight), ((0, 0), 1));
    drop(gate.go);
    bus.idle().await;
    assert_eq!(log.take(), ["hangs"]);
}

/// Second for second, so that whoever looks now and then does.
async fn passes(time: Duration) {
    for _ in 0..time.as_secs() + 2 {
        tokio::time::advance(Duration::from_secs(1)).await;
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_threads_than_so_many_are_left_to_handlers_that_hang() {
    let bus = Bus::builder().max_workers(STUCK_THREADS_MAX + 1).stuck_after(STUCK_AFTER_DEFAULT);
    let bus = bus.build().unwrap();
    let (gates, log) = ([(); STUCK_THREADS_MAX + 1].map(|()| Gate::new()), Log::default());
    for gate in &gates {
        bus.on("hangs", gate.hangs(&log).with(blocking)).unwrap();
    }
    bus.publish(event("hangs")).await.unwrap();
    for gate in &gates {
        gate.is_met_by(1).await;
    }
    passes(STUCK_AFTER_DEFAULT * 3).await;
    let stats = bus.stats();
    let given_up: u64 = stats.handlers.iter().map(|handler| handler.stuck_count).sum();
    assert_eq!((stats.stuck_threads, given_up), (STUCK_THREADS_MAX, STUCK_THREADS_MAX as u64));
    assert_eq!(stats.events.in_flight, 1);
    drop(gates);
    bus.idle().await;
    until(|| bus.stats().stuck_threads == 0).await;
    assert_eq!(log.take().len(), STUCK_THREADS_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_without_holding_up_its_thread_has_time() {
    let (bus, log) = (Bus::new(), Log::default());
    let waits = |log: &Log| {
        let log = log.clone();
        move |_: Event| {
            let log = log.clone();
            async move {
                let time = tokio::time::sleep(STUCK_AFTER_DEFAULT * 2);
                log.add("waits");
                time.await;
                log.add("done");
            }
        }
    };
    bus.on("a", waits(&log).named("queued")).unwrap();
    bus.on("a", waits(&log).named("blocking").mode(Mode::Blocking)).unwrap();
    bus.publish(event("a")).await.unwrap();
    until(|| log.0.lock().len() == 2).await;
    passes(STUCK_AFTER_DEFAULT * 3).await;
    bus.idle().await;
    assert_eq!(log.take(), ["waits", "waits", "done", "done"]);
    assert_eq!((stuck(&bus, "queued"), stuck(&bus, "blocking")), ((0, 0), (0, 0)));
}

#[test]
fn handlers_may_take_some_time() {
    let error = Bus::builder().stuck_after(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}

/// As long as it is not given up.
#[test]
fn a_shutdown_at_its_deadline_does_not_wait_for_it() {
    run(|| async {
        let (bus, gate, log) = (Bus::new(), Gate::new(), Log::default());
        bus.on("n.*", gate.hangs(&log).with(own_queue)).unwrap();
        bus.publish(event("n.hangs")).await.unwrap();
        gate.is_met_by(1).await;
        let report = bus.shutdown(Duration::from_millis(1)).await;
        assert_eq!((report.drained, report.lost), (0, 1));
        drop(gate.go);
    });
}
