//! Synchronous queued handlers, which share lanes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nexus_events_dispatch::limits::{QUEUE_WAIT_MAX, SHARED_LANE_EVENTS, SLOW_TURN};
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus, Payload};
use parking_lot::Mutex;

use crate::{Log, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_handler_sees_one_publishers_events_in_order() {
    let bus = Bus::builder().history(0).build().unwrap();
    let logs = [(); 5].map(|()| Log::default());
    for log in &logs {
        let log = log.clone();
        let seen = move |event: &Event| log.add(event.event_type().as_str());
        bus.on("n.**", seen.mode(Mode::Queued)).unwrap();
    }
    let names: Vec<String> =
        (0..5_000).map(|number| format!("n.{}.{number}", number % 3)).collect();
    for name in &names {
        assert_eq!(bus.publish(event(name)).await.unwrap().matched, 5);
    }
    bus.idle().await;
    for log in &logs {
        assert_eq!(log.take(), names);
    }
    let stats = bus.stats();
    assert_eq!((stats.events.handled_events, stats.events.processed_events), (5_000, 25_000));
    assert!(stats.handlers.iter().all(|handler| handler.execution_count == 5_000));
}

/// Waves, reports and shares meet in the same lanes, so they stay in order too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_on_the_long_way_keep_their_place() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    let writes = move |event: &Event| seen.add(event.event_type().as_str());
    bus.on("n.*", writes.mode(Mode::Queued)).unwrap();
    // Makes its event go the long way.
    bus.on("n.long", (async |_: Event| {}).priority(-1)).unwrap();
    let mut names = Vec::new();
    for round in 0..300 {
        let name = ["n.short", "n.long", "n.short"][round % 3];
        bus.publish(event(name)).await.unwrap();
        names.push(name.to_owned());
    }
    bus.idle().await;
    assert_eq!(log.take(), names);
}

/// A handler that works for a while at the first 200 events, then hangs until it is told to go on.
fn slow_and_then_hangs(
    runs: &Arc<AtomicUsize>,
    go: mpsc::Receiver<()>,
) -> impl Fn(&Event) + Send + Sync + use<> {
    let (runs, go) = (runs.clone(), Mutex::new(go));
    move |_: &Event| {
        if runs.fetch_add(1, Ordering::SeqCst) < 200 {
            let started = Instant::now();
            while started.elapsed() < SLOW_TURN * 2 {
                std::hint::spin_loop();
            }
        } else {
            let _ = go.lock().recv();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handler_moves_out_and_holds_up_no_other() {
    let bus = Bus::new();
    let ((go, gate), slow_runs) = (mpsc::channel::<()>(), Arc::new(AtomicUsize::new(0)));
    let slow = slow_and_then_hangs(&slow_runs, gate);
    bus.on("a", slow.mode(Mode::Queued).named("slow")).unwrap();
    bus.on("b", (|_: &Event| {}).mode(Mode::Queued).named("other lane")).unwrap();
    let fast_runs = Arc::new(AtomicUsize::new(0));
    let runs = fast_runs.clone();
    let fast = move |_: &Event| {
        runs.fetch_add(1, Ordering::SeqCst);
    };
    bus.on("a", fast.mode(Mode::Queued).named("fast")).unwrap();
    // Two batches: one to be noticed, one to be moved.
    for _ in 0..200 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(fast_runs.load(Ordering::SeqCst), 200);
    for _ in 0..100 {
        bus.publish(event("a")).await.unwrap();
    }
    // It hangs now; the other one of the same lane goes on.
    while fast_runs.load(Ordering::SeqCst) < 300 {
        tokio::task::yield_now().await;
    }
    assert!(slow_runs.load(Ordering::SeqCst) <= 201);
    drop(go);
    bus.idle().await;
    assert_eq!(slow_runs.load(Ordering::SeqCst), 300);
    let stats = bus.stats();
    assert_eq!(stats.handler("slow").unwrap().execution_count, 300);
    assert_eq!((stats.events.handled_events, stats.events.in_flight), (300, 0));
}

#[tokio::test]
async fn failures_follow_ups_and_cancels_count_as_on_the_long_way() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", (|_: &Event| Err::<(), _>("broken")).mode(Mode::Queued).named("fails")).unwrap();
    let panics = |event: &Event| assert_ne!(event.event_type(), "a", "told so");
    bus.on("a", panics.mode(Mode::Queued).named("panics")).unwrap();
    let publishes = |_: &Event, context: &Context| context.publish(event("b")).map(|_| ());
    bus.on("a", publishes.mode(Mode::Queued).named("publishes")).unwrap();
    bus.on("b", log.writes("follow-up")).unwrap();
    let cancels = |_: &Event, context: &Context| context.cancel("enough");
    bus.on("c", cancels.mode(Mode::Queued)).unwrap();
    for name in ["a", "c"] {
        bus.publish(event(name)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(log.take(), ["follow-up"]);
    let stats = bus.stats();
    let errors = |name: &str| {
        let handler = stats.handler(name).unwrap();
        (handler.execution_count, handler.error_count, handler.panic_count)
    };
    assert_eq!(errors("fails"), (1, 1, 0));
    assert_eq!(errors("panics"), (1, 1, 1));
    assert_eq!(errors("publishes"), (1, 0, 0));
    let events = stats.events;
    // There was nobody left to be kept from running.
    assert_eq!((events.handled_events, events.cancelled_events), (3, 0));
    assert_eq!((events.processed_events, events.failed_events), (3, 2));
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("panics").unwrap().status, OutcomeStatus::Panicked);
}

#[tokio::test]
async fn what_waits_when_a_handler_ends_is_passed_over() {
    let (bus, log) = (Bus::new(), Log::default());
    let subscription = bus.on("a", log.writes("ends").mode(Mode::Queued).named("ends")).unwrap();
    bus.on("a", log.writes("stays").mode(Mode::Queued).named("stays")).unwrap();
    for _ in 0..10 {
        bus.try_publish(event("a")).unwrap();
    }
    assert_eq!(bus.stats().handler("stays").unwrap().queue, 10);
    assert!(subscription.unsubscribe().await);
    bus.idle().await;
    assert_eq!(log.take(), ["stays"; 10]);
    assert_eq!(bus.stats().events.unsubscribed, 10);
}

#[tokio::test]
async fn a_full_lane_makes_publishers_wait_and_others_skip() {
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).mode(Mode::Queued).named("h")).unwrap();
    let skipped: usize =
        (0..SHARED_LANE_EVENTS + 10).map(|_| bus.try_publish(event("a")).unwrap().rejected).sum();
    assert_eq!((skipped, bus.stats().handler("h").unwrap().rejected_count), (10, 10));
    assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 0);
    bus.idle().await;
    let count = bus.stats().handler("h").unwrap().execution_count;
    assert_eq!(count, SHARED_LANE_EVENTS as u64 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_at_its_deadline_counts_what_waits_as_lost() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes("ran").mode(Mode::Queued)).unwrap();
    for _ in 0..100 {
        bus.try_publish(event("a")).unwrap();
    }
    let report = bus.shutdown(Duration::ZERO).await;
    let ran = log.take().len();
    assert_eq!((report.lost, report.drained), (100 - ran, ran));
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.lost_events), (ran as u64, 100 - ran as u64));
    assert_eq!(events.in_flight, 0);
    assert_eq!(bus.publish(event("a")).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_handler_that_moved_out_is_lost_at_the_deadline_too() {
    let bus = Bus::new();
    let ((go, gate), runs) = (mpsc::channel::<()>(), Arc::new(AtomicUsize::new(0)));
    let slow = slow_and_then_hangs(&runs, gate);
    bus.on("a", slow.mode(Mode::Queued).named("slow")).unwrap();
    for _ in 0..200 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    // It hangs now; the others wait for it in its own lane.
    for _ in 0..10 {
        bus.publish(event("a")).await.unwrap();
    }
    while runs.load(Ordering::SeqCst) < 201 || bus.stats().handler("slow").unwrap().queue < 9 {
        tokio::task::yield_now().await;
    }
    let report = bus.shutdown(Duration::ZERO).await;
    // The one in hand can not be stopped, and counts as lost.
    assert_eq!((report.drained, report.lost), (0, 10));
    drop(go);
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.lost_events, events.in_flight), (200, 10, 0));
}

#[tokio::test]
async fn events_are_handled_after_the_last_handle_to_the_bus_is_gone() {
    let log = Log::default();
    let bus = Bus::new();
    bus.on("a", log.writes("ran").mode(Mode::Queued)).unwrap();
    for _ in 0..10 {
        bus.try_publish(event("a")).unwrap();
    }
    drop(bus);
    while log.0.lock().len() < 10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn after_the_end_of_its_runtime_a_handler_is_skipped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (bus, first) = (Bus::new(), runtime());
    first.block_on(async { bus.on("a", (|_: &Event| {}).mode(Mode::Queued)).unwrap() });
    bus.try_publish(event("a")).unwrap();
    drop(first);
    assert_eq!(bus.try_publish(event("a")).unwrap().rejected, 1);
    runtime().block_on(bus.idle());
    // In another runtime a handler has a lane of its own.
    let (second, log) = (runtime(), Log::default());
    second.block_on(async {
        bus.on("b", log.writes("ran").mode(Mode::Queued)).unwrap();
        bus.publish(event("b")).await.unwrap();
        bus.idle().await;
    });
    assert_eq!(log.take(), ["ran"]);
}

/// Counts how many of its kind are left.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn payload(left: &Arc<AtomicUsize>) -> Payload {
        left.fetch_add(1, Ordering::SeqCst);
        Payload::shared(Arc::new(Self(left.clone())))
    }
}

impl serde::Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_lane_at_rest_holds_no_event_and_no_handler() {
    let (bus, left) = (Bus::builder().history(0).build().unwrap(), Arc::new(AtomicUsize::new(0)));
    let handlers = Arc::new(());
    let held = handlers.clone();
    let handler = move |_: &Event| assert!(Arc::strong_count(&held) > 0);
    let subscription = bus.on("a", handler.mode(Mode::Queued)).unwrap();
    for _ in 0..3 * SHARED_LANE_EVENTS {
        let event = event("a").payload(Counted::payload(&left));
        assert_eq!(bus.publish(event).await.unwrap().rejected, 0);
    }
    bus.idle().await;
    while left.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    subscription.unsubscribe().await;
    drop(subscription);
    while Arc::strong_count(&handlers) > 1 {
        tokio::task::yield_now().await;
    }
}

/// Publishes, and then panics, when it is dropped.
struct Hostile(Bus);

impl serde::Serialize for Hostile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.0.try_publish(event("b"));
        panic!("dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drops_that_publish_and_panic_are_not_felt_by_who_publishes_next() {
    let (bus, dropped) = (Bus::builder().history(0).build().unwrap(), Log::default());
    bus.on("*", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
    bus.on("b", dropped.writes("dropped")).unwrap();
    const EVENTS: usize = 500;
    for _ in 0..EVENTS {
        let event = event("a").payload(Payload::shared(Arc::new(Hostile(bus.clone()))));
        assert_eq!(bus.publish(event).await.unwrap().rejected, 0);
    }
    while dropped.0.lock().len() < EVENTS {
        tokio::task::yield_now().await;
    }
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.failed_events), (2 * EVENTS as u64, 0));
}

#[tokio::test]
async fn publishers_without_room_wait_and_keep_their_order() {
    let (bus, log) = (Bus::builder().history(0).build().unwrap(), Log::default());
    let seen = log.clone();
    let writes = move |event: &Event| seen.add(event.event_type().as_str());
    bus.on("n.**", writes.mode(Mode::Queued)).unwrap();
    const EACH: usize = 2 * SHARED_LANE_EVENTS;
    let publisher = |name: &'static str| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                let receipt = bus.publish(event(&format!("n.{name}.{number}"))).await.unwrap();
                assert_eq!(receipt.rejected, 0);
            }
        })
    };
    for publisher in [publisher("a"), publisher("b")] {
        publisher.await.unwrap();
    }
    bus.idle().await;
    let all = log.take();
    for name in ["a", "b"] {
        let own = all.iter().filter(|seen| seen.starts_with(&format!("n.{name}.")));
        assert!(own.eq(&(0..EACH).map(|number| format!("n.{name}.{number}")).collect::<Vec<_>>()));
    }
}

/// The lane's runtime stands still, so only the publisher's own can tell the time.
#[test]
fn a_publisher_waits_for_room_no_longer_than_it_may() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (bus, lanes) = (Bus::new(), runtime());
    lanes.block_on(async { bus.on("a", (|_: &Event| {}).mode(Mode::Queued)).unwrap() });
    for _ in 0..SHARED_LANE_EVENTS {
        assert_eq!(bus.try_publish(event("a")).unwrap().rejected, 0);
    }
    assert_eq!(bus.try_publish(event("a")).unwrap().rejected, 1);
    let receipt = runtime().block_on(async {
        let start = tokio::time::Instant::now();
        let receipt = bus.publish(event("a")).await.unwrap();
        assert_eq!(start.elapsed(), QUEUE_WAIT_MAX);
        receipt
    });
    assert_eq!((receipt.matched, receipt.rejected), (1, 1));
    lanes.block_on(bus.idle());
    let stats = bus.stats();
    let handler = &stats.handlers[0];
    assert_eq!(handler.execution_count, SHARED_LANE_EVENTS as u64);
    assert_eq!((handler.rejected_count, stats.events.skipped_events), (2, 2));
}

/// A publish given up before the event was in has not happened.
#[test]
fn a_publish_given_up_before_a_full_lane_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let bus = Bus::new();
    runtime.block_on(async { bus.on("a", (|_: &Event| {}).mode(Mode::Queued)).unwrap() });
    for _ in 0..SHARED_LANE_EVENTS {
        bus.try_publish(event("a")).unwrap();
    }
    let other = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    other.block_on(async {
        let mut publish = std::pin::pin!(bus.publish(event("a")));
        let polled = std::future::poll_fn(|task| {
            std::task::Poll::Ready(publish.as_mut().poll(task).is_pending())
        });
        assert!(polled.await);
    });
    runtime.block_on(bus.idle());
    assert_eq!(bus.stats().events.total_events, SHARED_LANE_EVENTS as u64);
}
