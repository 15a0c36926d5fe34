//! Programs that do what they should not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Wake, Waker};
use std::time::Duration;

use nexus_events_dispatch::{
    Bus, Called, Context, ErrorKind, Handler, HandlerError, HandlerExt, Mode,
};
use nexus_events_model::{Event, Filter, OutcomeStatus, Text};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{Log, event};

/// Panics when shown, or when dropped.
#[derive(Debug)]
struct Bomb {
    shown: bool,
    dropped: bool,
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.shown { panic!("shown") } else { Ok(()) }
    }
}

impl std::error::Error for Bomb {}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.dropped && !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// Ready at once; its drop panics.
struct DropsBadly;

impl Future for DropsBadly {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for DropsBadly {
    fn drop(&mut self) {
        panic!("the future's drop");
    }
}

#[tokio::test]
async fn errors_and_panics_that_panic_themselves_are_outcomes_too() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let (bus, log) = (Bus::new(), Log::default());
        let fails = |shown, dropped| {
            move |_: &Event| Err::<(), HandlerError>(Bomb { shown, dropped }.into())
        };
        bus.on("a", fails(true, false).mode(mode).named("shown")).unwrap();
        bus.on("a", fails(false, true).mode(mode).named("dropped")).unwrap();
        bus.on("a", (panics_with_a_bomb as fn(&Event)).mode(mode).named("payload")).unwrap();
        bus.on("a", (|_: Event| DropsBadly).named("future")).unwrap();
        bus.on("a", log.writes("works")).unwrap();
        for _ in 0..3 {
            let report = bus.publish_and_wait(event("a")).await.unwrap();
            for name in ["shown", "dropped", "payload", "future"] {
                assert_eq!(
                    report.outcome(name).unwrap().status,
                    OutcomeStatus::Panicked,
                    "{name} {mode:?}"
                );
            }
        }
        assert_eq!(log.take().len(), 3);
    }
}

fn panics_with_a_bomb(_: &Event) {
    std::panic::panic_any(Bomb { shown: false, dropped: true });
}

#[tokio::test]
async fn a_payload_whose_drop_uses_the_bus_locks_nothing() {
    struct Asks(Bus);
    impl serde::Serialize for Asks {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = (self.0.stats(), self.0.history(1, None));
        }
    }
    let bus = Bus::builder().history(1).build().unwrap();
    for _ in 0..2_000 {
        bus.publish(event("a").typed(Asks(bus.clone()))).await.unwrap();
    }
    assert_eq!(bus.stats().history_size, 1);
}

#[tokio::test]
async fn a_payload_that_panics_when_written_is_refused_by_filters() {
    struct Panics;
    impl serde::Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("written")
        }
    }
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).filter(Filter::parse("payload.n == 1").unwrap())).unwrap();
    bus.publish(event("a").typed(Panics)).await.unwrap();
    let events = bus.stats().events;
    assert_eq!((events.filtered_events, events.in_flight), (1, 0));
}

#[tokio::test]
async fn a_handler_whose_name_uses_the_bus_locks_nothing() {
    struct Registers(Bus);
    impl Handler for Registers {
        fn call<'a>(&'a self, _: &'a Event, _: &'a Context) -> Called<'a> {
            Called::Ready(Ok(().into()))
        }
        fn mode(&self) -> Mode {
            Mode::Inline
        }
        fn name(&self) -> Text {
            self.0.on("b", |_: &Event| {}).unwrap();
            "registers".into()
        }
    }
    let bus = Bus::new();
    assert_eq!(bus.on("a", Registers(bus.clone())).unwrap().name(), "registers");
    assert_eq!(bus.stats().handlers.len(), 2);
}

fn waits_for(
    gate: &Arc<Semaphore>,
) -> impl Fn(Event) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static {
    let gate = gate.clone();
    move |_: Event| {
        let gate = gate.clone();
        Box::pin(async move { drop(gate.acquire().await) })
    }
}

/// Polls once and drops.
async fn poll_once<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|task| {
        let _ = future.as_mut().poll(task);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn publishes_dropped_before_a_full_queue_hold_up_nothing_and_are_bounded() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(1))).unwrap();
    bus.on("b", async |_: Event, context: Context| context.publish(event("c")).map(|_| ()))
        .unwrap();
    bus.on("c", log.writes("c")).unwrap();
    for _ in 0..5_000 {
        poll_once(bus.publish(event("a"))).await;
    }
    bus.publish(event("b")).await.unwrap();
    while log.0.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // One runs, one is queued, one is next, 1,024 stand in line; the others were skipped.
    assert!(bus.stats().events.in_flight <= 1_027, "{:?}", bus.stats().events);
    gate.close();
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!(events.handled_events + events.skipped_events, events.total_events);
    assert_eq!(events.skipped_events, events.rejected);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_below_does_not_hold_up_other_events_of_a_handler() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("*", log.writes_async("fast").priority(100)).unwrap();
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(1))).unwrap();
    for _ in 0..6 {
        bus.publish(event("a")).await.unwrap();
    }
    let before = tokio::time::Instant::now();
    bus.publish_and_wait(event("z")).await.unwrap();
    assert_eq!((before.elapsed(), log.take().len()), (Duration::ZERO, 7));
    gate.close();
    bus.idle().await;
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 6);
}

#[tokio::test]
async fn events_that_stand_in_line_stay_in_order() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", (async |_: Event| {}).priority(1)).unwrap();
    let (seen, waits) = (log.clone(), gate.clone());
    let slow = move |event: Event| {
        let (seen, waits) = (seen.clone(), waits.clone());
        async move {
            drop(waits.acquire().await);
            seen.add(event.event_type().as_str());
        }
    };
    bus.on("n.*", slow.with(|options| options.queue(2))).unwrap();
    let names: Vec<String> = (0..100).map(|number| format!("n.{number}")).collect();
    for name in &names {
        bus.publish(event(name)).await.unwrap();
    }
    gate.close();
    bus.idle().await;
    assert_eq!(log.take(), names);
}

#[tokio::test]
async fn waiting_for_a_report_can_be_given_up_without_a_loss() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("b", waits_for(&gate).priority(1).with(|options| options.queue(1))).unwrap();
    bus.on("b", log.writes("b")).unwrap();
    bus.on("a", async |_: Event, context: Context| {
        poll_once(context.publish_and_wait(event("b"))).await;
    })
    .unwrap();
    for _ in 0..2 {
        bus.publish(event("b")).await.unwrap();
        tokio::task::yield_now().await;
    }
    bus.publish_and_wait(event("a")).await.unwrap();
    gate.close();
    bus.idle().await;
    assert_eq!((log.take().len(), bus.stats().events.lost_events), (3, 0));
}

#[tokio::test]
async fn events_nobody_could_take_are_skipped_and_not_handled() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    let subscription =
        bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(3))).unwrap();
    bus.try_publish(event("a")).unwrap();
    while bus.stats().handler("slow").unwrap().queue > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..9 {
        bus.try_publish(event("a")).unwrap();
    }
    let ending = tokio::spawn(async move { subscription.unsubscribe().await });
    gate.close();
    ending.await.unwrap();
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.skipped_events, events.total_events), (1, 9, 10));
    assert_eq!((events.rejected, events.unsubscribed), (6, 3));
}

#[tokio::test]
async fn two_handlers_may_end_each_other() {
    let bus = Bus::new();
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let subscriptions: Arc<Mutex<Vec<nexus_events_dispatch::Subscription>>> = Arc::default();
    let ends = |other: usize| {
        let (barrier, subscriptions) = (barrier.clone(), subscriptions.clone());
        move |_: Event| {
            let (barrier, subscriptions) = (barrier.clone(), subscriptions.clone());
            async move {
                barrier.wait().await;
                let other = subscriptions.lock()[other].clone();
                other.unsubscribe().await;
            }
        }
    };
    let both = [bus.on("a", ends(1)).unwrap(), bus.on("a", ends(0)).unwrap()];
    subscriptions.lock().extend(both);
    bus.publish(event("a")).await.unwrap();
    bus.idle().await;
    assert!(bus.stats().handlers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_shuts_the_bus_down_is_not_stopped_by_it() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("hangs", async |_: Event| std::future::pending::<()>().await).unwrap();
    let seen = log.clone();
    bus.on("stop", move |_: Event, context: Context| {
        let seen = seen.clone();
        async move {
            let report = context.bus().shutdown(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            seen.add(format!("lost {}", report.lost));
        }
    })
    .unwrap();
    bus.publish(event("hangs")).await.unwrap();
    bus.publish(event("stop")).await.unwrap();
    while log.0.lock().is_empty() {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(log.take(), ["lost 1"]);
}

#[tokio::test]
async fn two_handlers_may_shut_the_bus_down_together() {
    let bus = Bus::new();
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    for _ in 0..2 {
        let barrier = barrier.clone();
        bus.on("stop", move |_: Event, context: Context| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                assert!(context.bus().shutdown(Duration::from_secs(60)).await.is_clean());
            }
        })
        .unwrap();
    }
    assert!(bus.publish_and_wait(event("stop")).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn the_report_of_a_shutdown_and_the_statistics_agree() {
    let bus = Bus::new();
    bus.on("a", async |_: Event| std::future::pending::<()>().await).unwrap();
    bus.on("a", (|_: &Event| {}).priority(-1)).unwrap();
    for _ in 0..7 {
        bus.publish(event("a")).await.unwrap();
    }
    let report = bus.shutdown(Duration::from_secs(1)).await;
    while bus.stats().events.in_flight > 0 {
        tokio::task::yield_now().await;
    }
    let events = bus.stats().events;
    assert_eq!((report.lost, events.lost_events, events.handled_events), (7, 7, 0));
}

#[tokio::test]
async fn two_buses_that_publish_into_each_other_end_with_an_error() {
    let (one, two) = (Bus::new(), Bus::new());
    let into = |bus: &Bus| {
        let bus = bus.clone();
        move |_: &Event| bus.try_publish(event("ball")).map(|_| ())
    };
    one.on("ball", into(&two)).unwrap();
    two.on("ball", into(&one)).unwrap();
    one.publish(event("ball")).await.unwrap();
    one.idle().await;
    two.idle().await;
    assert!(one.stats().events.total_events <= 66, "{:?}", one.stats().events);
    assert_eq!(one.stats().events.failed_events + two.stats().events.failed_events, 1);
}

#[test]
fn a_handler_lives_on_the_runtime_it_was_registered_in() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    };
    let (bus, log) = (Bus::new(), Log::default());
    let first = runtime();
    first.block_on(async {
        bus.on("a", log.writes_async("first").named("first")).unwrap();
        bus.publish_and_wait(event("a")).await.unwrap();
    });
    drop(first);
    runtime().block_on(async {
        bus.on("a", log.writes_async("second").named("second")).unwrap();
        let report = bus.publish_and_wait(event("a")).await.unwrap();
        assert!(
            report
                .outcome("first")
                .unwrap()
                .error
                .as_deref()
                .unwrap()
                .contains("its runtime has ended")
        );
        assert_eq!(report.outcome("second").unwrap().status, OutcomeStatus::Success);
    });
    assert_eq!(
        (log.take(), bus.stats().events.rejected),
        (vec!["first".to_owned(), "second".to_owned()], 1)
    );
}

#[test]
fn a_runtime_without_timer_is_refused() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let error = Bus::new().on("a", async |_: Event| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        assert!(error.to_string().contains("enable_time"), "{error}");
    });
}

#[test]
fn a_context_kept_outside_of_a_runtime_still_publishes() {
    let (bus, log) = (Bus::new(), Log::default());
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keeps = kept.clone();
    bus.on("a", move |_: &Event, context: &Context| *keeps.lock() = Some(context.clone())).unwrap();
    bus.on("b", log.writes("b")).unwrap();
    bus.try_publish(event("a")).unwrap();
    let context = kept.lock().take().unwrap();
    context.publish(event("b")).unwrap();
    assert_eq!((log.take().len(), bus.stats().events.lost_events), (1, 0));
}

/// Runs a future on a thread that tokio knows nothing of.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Task::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_outside_of_tokio_waits_for_room_too() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(1))).unwrap();
    let publisher = std::thread::spawn({
        let bus = bus.clone();
        move || (0..4).map(|_| block_on(bus.publish(event("a"))).unwrap().rejected).sum::<usize>()
    });
    while bus.stats().events.in_flight < 3 {
        tokio::task::yield_now().await;
    }
    gate.close();
    tokio::task::spawn_blocking(move || assert_eq!(publisher.join().unwrap(), 0)).await.unwrap();
    bus.idle().await;
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 4);
}

#[tokio::test]
async fn follow_ups_are_bounded_and_the_error_says_so() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("b", waits_for(&gate).with(|options| options.queue(1))).unwrap();
    bus.on("a", |_: &Event, context: &Context| {
        let error = (0..100_000).find_map(|_| context.publish(event("b")).err());
        let error = error.ok_or("no bound")?;
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        Ok::<(), HandlerError>(())
    })
    .unwrap();
    gate.close();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    bus.idle().await;
    assert_eq!(bus.stats().events.follow_ups_waiting, 0);
    assert_eq!(bus.stats().events.total_events, 65_537);
}

#[tokio::test]
async fn two_thousand_handlers_without_a_name_get_one_each() {
    let bus = Bus::new();
    for _ in 0..2_000 {
        bus.on("a", |_: &Event| {}).unwrap();
    }
    let names: std::collections::HashSet<String> =
        bus.stats().handlers.iter().map(|handler| handler.handler_id.clone()).collect();
    assert_eq!(names.len(), 2_000);
    assert_eq!(bus.publish(event("a")).await.unwrap().matched, 2_000);
}
