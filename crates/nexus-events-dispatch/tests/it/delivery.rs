//! The options of a handler with a queue: bounds, waiting for room, concurrency, its runtime.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use nexus_events_dispatch::limits::FOLLOW_UPS_MAX;
use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, Mode, Overload, SubscriptionOptions,
};
use nexus_events_model::{Event, OutcomeStatus, Payload, Text};
use serde_json::json;
use tokio::sync::{Barrier, Semaphore};
use tokio::time::Instant;

use crate::{Log, event};

/// A handler that waits until the semaphore has a permit for it or is closed, and then writes
/// down the event's type.
pub(crate) fn gated(
    gate: &Arc<Semaphore>,
    log: &Log,
) -> impl Fn(Event) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + Clone + 'static {
    let (gate, log) = (gate.clone(), log.clone());
    move |event: Event| {
        let (gate, log) = (gate.clone(), log.clone());
        Box::pin(async move {
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
            log.add(event.event_type().as_str());
        })
    }
}

/// Lets all tasks of a single thread come as far as they can.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn polled_once(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|task| Poll::Ready(future.as_mut().poll(task).is_pending())).await
}

fn by_user(event: &Event) -> Option<Text> {
    event.user_id().map(|user| user.to_string().into())
}

#[tokio::test]
async fn an_inline_handler_refuses_what_only_a_queue_has() {
    let options: [(&str, SubscriptionOptions); 6] = [
        ("queue", SubscriptionOptions::new().queue(8)),
        ("queue_bytes", SubscriptionOptions::new().queue_bytes(8)),
        ("overload", SubscriptionOptions::new().overload(Overload::Reject)),
        ("concurrency", SubscriptionOptions::new().concurrency(2)),
        ("group", SubscriptionOptions::new().group("workers")),
        ("ordered_by", SubscriptionOptions::new().ordered_by(by_user)),
    ];
    for (option, options) in options {
        let error = Bus::new().on("a", (|_: &Event| {}).with(|_| options.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        let text = format!("add .mode(Mode::Queued) or leave .{option}(..) out");
        assert!(error.to_string().contains(&text), "{error}");
        let queued = (|_: &Event| {}).with(|_| options.mode(Mode::Queued));
        Bus::new().on("a", queued).unwrap();
    }
}

#[tokio::test]
async fn numbers_out_of_range_are_refused_with_the_range() {
    for number in [0, FOLLOW_UPS_MAX + 1] {
        for (option, options) in [
            ("queue", SubscriptionOptions::new().queue(number)),
            ("concurrency", SubscriptionOptions::new().concurrency(number)),
        ] {
            let error = Bus::new().on("a", (async |_: Event| {}).with(|_| options)).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{option} is 1 to 65536, not {number}")),
                "{error}"
            );
        }
    }
    let empty = (async |_: Event| {}).with(|options| options.group(""));
    assert!(Bus::new().on("a", empty).unwrap_err().to_string().contains("group's name is empty"));
}

#[tokio::test]
async fn a_queue_is_bounded_by_bytes_too() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let big = bus.stamp(event("a").payload(json!("x".repeat(10_000)))).unwrap();
    let bytes = 3 * big.size() + 100;
    let options = |options: SubscriptionOptions| {
        options.name("it").queue_bytes(bytes).overload(Overload::Reject)
    };
    bus.on("a", gated(&gate, &Log::default()).with(options)).unwrap();
    for _ in 0..10 {
        bus.publish(big.clone()).await.unwrap();
        settle().await;
    }
    let stats = bus.stats();
    let it = stats.handler("it").unwrap();
    // One runs, three wait.
    assert_eq!((it.queue, it.queue_bytes, it.rejected_count), (3, 3 * big.size(), 6));
    assert!(it.queue_wait.is_some());
    gate.close();
    bus.idle().await;
    let stats = bus.stats();
    let it = stats.handler("it").unwrap();
    assert_eq!((it.queue, it.queue_bytes, it.queue_wait), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn an_event_bigger_than_the_whole_queue_waits_where_nothing_else_does() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", gated(&gate, &log).with(|options| options.queue_bytes(1_000))).unwrap();
    let big = || json!("x".repeat(10_000));
    bus.publish(event("n.first")).await.unwrap();
    settle().await;
    assert_eq!(bus.publish(event("n.big").payload(big())).await.unwrap().rejected, 0);
    // It holds all the room there is, and one as big has no room beside anything.
    assert_eq!(bus.try_publish(event("n.small")).unwrap().rejected, 1);
    let waits = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(event("n.big2").payload(big())).await.unwrap().rejected }
    });
    settle().await;
    assert!(!waits.is_finished());
    gate.close();
    assert_eq!(waits.await.unwrap(), 0);
    bus.idle().await;
    assert_eq!(log.take(), ["n.first", "n.big", "n.big2"]);
}

#[tokio::test(start_paused = true)]
async fn each_queue_waits_as_long_as_its_own_policy_says() {
    for millis in [0, 250, 5_000] {
        let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
        let timeout = Duration::from_millis(millis);
        let options = |options: SubscriptionOptions| {
            options.name("slow").queue(1).overload(Overload::Block { timeout })
        };
        bus.on("a", gated(&gate, &Log::default()).with(options)).unwrap();
        bus.publish(event("a")).await.unwrap();
        settle().await;
        bus.publish(event("a")).await.unwrap();
        let before = Instant::now();
        assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 1);
        assert_eq!(before.elapsed(), timeout);
        let outcome = bus.publish_and_wait(event("a")).await.unwrap().outcomes.remove(0);
        assert_eq!(outcome.status, OutcomeStatus::Skipped);
        assert_eq!(outcome.error.as_deref(), Some("the queue is full"));
        gate.close();
        bus.idle().await;
        assert_eq!(bus.stats().handler("slow").unwrap().rejected_count, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_without_end_waits_for_room() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let overload = Overload::Block { timeout: Duration::MAX };
    let slow = gated(&gate, &Log::default());
    bus.on("a", slow.with(|options| options.queue(1).overload(overload))).unwrap();
    for _ in 0..2 {
        bus.publish(event("a")).await.unwrap();
        settle().await;
    }
    let waits = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(event("a")).await.unwrap().rejected }
    });
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert!(!waits.is_finished());
    gate.close();
    assert_eq!(waits.await.unwrap(), 0);
}

/// Ten publishers wait in front of a full queue, the first the longest.
async fn ten_wait(bus: &Bus) -> Vec<tokio::task::JoinHandle<usize>> {
    let mut publishers = Vec::new();
    for number in 0..10 {
        let bus = bus.clone();
        publishers.push(tokio::spawn(async move {
            let name = format!("n.waits-{number}");
            bus.publish(event(&name)).await.unwrap().rejected
        }));
        settle().await;
    }
    publishers
}

#[tokio::test(start_paused = true)]
async fn publishers_that_wait_are_served_in_order_and_nobody_passes_them() {
    for bound in ["count", "bytes"] {
        let (bus, log) = (Bus::new(), Log::default());
        let gate = Arc::new(Semaphore::new(0));
        let size = bus.stamp(event("n.a")).unwrap().size();
        let options = |options: SubscriptionOptions| match bound {
            "count" => options.queue(2),
            _ => options.queue_bytes(2 * size + size / 2),
        };
        bus.on("n.*", gated(&gate, &log).with(options).named("slow")).unwrap();
        for name in ["n.runs", "n.queued-0", "n.queued-1"] {
            bus.publish(event(name)).await.unwrap();
            settle().await;
        }
        let publishers = ten_wait(&bus).await;
        for _ in 0..13 {
            // Not even at the moment when there is room.
            gate.add_permits(1);
            assert_eq!(bus.try_publish(event("n.late")).unwrap().rejected, 1, "{bound}");
            settle().await;
            if bus.stats().handler("slow").unwrap().queue < 2 {
                break;
            }
        }
        gate.close();
        for publisher in publishers {
            assert_eq!(publisher.await.unwrap(), 0, "{bound}");
        }
        bus.idle().await;
        let waited = (0..10).map(|number| format!("n.waits-{number}"));
        let expected = ["n.runs", "n.queued-0", "n.queued-1"].map(str::to_owned);
        assert_eq!(log.take(), expected.into_iter().chain(waited).collect::<Vec<_>>(), "{bound}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_gives_up_or_times_out_does_not_hold_up_those_behind_it() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", gated(&gate, &log).with(|options| options.queue(1))).unwrap();
    for name in ["n.runs", "n.queued"] {
        bus.publish(event(name)).await.unwrap();
        settle().await;
    }
    let mut publishers = ten_wait(&bus).await;
    for gone in [7, 4, 0] {
        let publisher = publishers.remove(gone);
        publisher.abort();
        assert!(publisher.await.unwrap_err().is_cancelled());
    }
    gate.close();
    bus.idle().await;
    for publisher in publishers {
        assert_eq!(publisher.await.unwrap(), 0);
    }
    // What was given up has kept its place.
    let waited = (0..10).map(|number| format!("n.waits-{number}"));
    let expected = ["n.runs", "n.queued"].map(str::to_owned).into_iter().chain(waited);
    assert_eq!(log.take(), expected.collect::<Vec<_>>());
    assert_eq!(bus.stats().events.handled_events, 12);
}

#[tokio::test]
async fn an_event_let_in_before_its_publisher_gave_up_is_not_queued_twice() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", gated(&gate, &log).priority(5).with(|options| options.queue(1))).unwrap();
    bus.on("n.*", log.writes("lower")).unwrap();
    for name in ["n.0", "n.1"] {
        bus.publish(event(name)).await.unwrap();
        settle().await;
    }
    {
        let mut third = pin!(bus.publish(event("n.2")));
        assert!(polled_once(third.as_mut()).await, "the queue is full, so it waits");
        gate.add_permits(1);
        settle().await;
        // It is in the queue by now, and nobody has told its publisher.
    }
    gate.close();
    bus.idle().await;
    let seen = log.take();
    let of = |name: &str| seen.iter().filter(|line| *line == name).count();
    assert_eq!((of("n.0"), of("n.1"), of("n.2"), of("lower")), (1, 1, 1, 3), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_publishers_before_a_queue_of_one_lose_no_wake_up() {
    const EVENTS: usize = 100;
    let (bus, seen) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
    let counts = seen.clone();
    let handler = move |_: &Event| {
        counts.fetch_add(1, Ordering::Relaxed);
    };
    let overload = Overload::Block { timeout: Duration::from_secs(3_600) };
    let options =
        |options: SubscriptionOptions| options.mode(Mode::Queued).queue(1).overload(overload);
    bus.on("a", handler.with(options)).unwrap();
    let publishers: Vec<_> = (0..64)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for _ in 0..EVENTS {
                    assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 0);
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    bus.idle().await;
    assert_eq!(seen.load(Ordering::Relaxed), 64 * EVENTS);
}

#[tokio::test]
async fn a_full_queue_lets_other_tasks_run() {
    let (bus, seen) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
    let counts = seen.clone();
    let handler = move |_: &Event| {
        counts.fetch_add(1, Ordering::Relaxed);
    };
    bus.on("a", handler.with(|options| options.mode(Mode::Queued).queue(10_000))).unwrap();
    for _ in 0..10_000 {
        bus.try_publish(event("a")).unwrap();
    }
    let other = tokio::spawn({
        let seen = seen.clone();
        async move { seen.load(Ordering::Relaxed) }
    });
    let seen_by_other = other.await.unwrap();
    assert!(seen_by_other < 1_000, "{seen_by_other} events before another task ran");
    bus.idle().await;
    assert_eq!(seen.load(Ordering::Relaxed), 10_000);
}

#[tokio::test]
async fn as_many_run_at_once_as_its_concurrency_says_and_no_more() {
    let bus = Bus::builder().max_workers(64).build().unwrap();
    for (name, mode) in [("n.queued", Mode::Queued), ("n.blocking", Mode::Blocking)] {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let barrier = Arc::new(Barrier::new(4));
        let (now, maximum) = (running.clone(), most.clone());
        let handler = move |_: Event| {
            let (now, maximum, barrier) = (now.clone(), maximum.clone(), barrier.clone());
            async move {
                maximum.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Goes on only when four of them have come here.
                barrier.wait().await;
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
        };
        bus.on(name, handler.with(|options| options.mode(mode).concurrency(4))).unwrap();
        for _ in 0..40 {
            bus.publish(event(name)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(most.load(Ordering::SeqCst), 4, "{mode:?}");
    }
}

#[tokio::test]
async fn concurrency_of_a_blocking_handler_ends_at_max_workers() {
    let bus = Bus::builder().max_workers(2).build().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, maximum) = (running.clone(), most.clone());
    let handler = move |_: &Event| {
        maximum.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..200).for_each(|_| std::thread::yield_now());
        now.fetch_sub(1, Ordering::SeqCst);
    };
    let options = |options: SubscriptionOptions| options.mode(Mode::Blocking).concurrency(8);
    bus.on("a", handler.with(options).named("it")).unwrap();
    for _ in 0..60 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at once");
    assert_eq!(bus.stats().handler("it").unwrap().execution_count, 60);
}

#[tokio::test]
async fn cancel_stops_lower_waves_of_every_mode() {
    let (bus, log) = (Bus::new(), Log::default());
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let cancel = |_: &Event, context: &Context| context.cancel("no");
        let validator = bus.on("a", cancel.mode(mode).priority(9).named("validator")).unwrap();
        let lower = [
            bus.on("a", log.writes("inline").priority(1)),
            bus.on("a", log.writes_async("queued").with(|options| options.concurrency(4))),
            bus.on("a", log.writes("blocking").mode(Mode::Blocking)),
            bus.on("a", log.writes_async("group").with(|options| options.group("g")).named("c")),
            bus.on("a", log.writes_async("keyed").with(|options| options.ordered_by(by_user))),
        ];
        let report = bus.publish_and_wait(event("a").user_id("u")).await.unwrap();
        assert!(log.take().is_empty(), "{mode:?}");
        let cancelled =
            report.outcomes.iter().filter(|outcome| outcome.status == OutcomeStatus::Cancelled);
        assert_eq!(cancelled.count(), lower.len(), "{mode:?} {report:?}");
        validator.unsubscribe().await;
        bus.publish_and_wait(event("a").user_id("u")).await.unwrap();
        assert_eq!(log.take().len(), lower.len());
        for subscription in lower {
            subscription.unwrap().unsubscribe().await;
        }
    }
}

/// Its drop panics.
#[derive(serde::Serialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_panics_when_dropped_does_not_stop_the_line_behind_it() {
    let (bus, log) = (Bus::builder().history(0).build().unwrap(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    // What comes from a higher wave stands in line.
    bus.on("n.*", (async |_: Event| {}).priority(1)).unwrap();
    bus.on("n.*", gated(&gate, &log).with(|options| options.queue(1))).unwrap();
    for name in ["n.runs", "n.waits"] {
        bus.publish(event(name)).await.unwrap();
        settle().await;
    }
    bus.publish(event("n.bomb").payload(Payload::typed(Bomb))).await.unwrap();
    settle().await;
    tokio::time::advance(Duration::from_millis(900)).await;
    bus.publish(event("n.behind")).await.unwrap();
    settle().await;
    // The bomb's time is up, and the one behind it has some left.
    tokio::time::advance(Duration::from_millis(200)).await;
    settle().await;
    gate.close();
    bus.idle().await;
    assert_eq!(log.take(), ["n.runs", "n.waits", "n.behind"]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn a_runtime_that_ends_while_events_wait_loses_them_and_says_so() {
    let bus = Bus::new();
    let first = runtime();
    first.block_on(async {
        let hangs = (async |_: Event| std::future::pending::<()>().await).named("hangs");
        bus.on("a", hangs.with(|options| options.concurrency(2))).unwrap();
        for _ in 0..7 {
            bus.publish(event("a")).await.unwrap();
        }
    });
    drop(first);
    let events = bus.stats().events;
    assert_eq!((events.lost_events, events.in_flight, events.total_events), (7, 0, 7));
    let report = runtime().block_on(bus.publish_and_wait(event("a"))).unwrap();
    let error = report.outcome("hangs").unwrap().error.clone().unwrap();
    assert!(error.contains("its runtime has ended"), "{error}");
}

#[test]
fn a_publisher_that_waits_for_room_is_told_when_the_runtime_of_the_handler_ends() {
    let bus = Bus::new();
    let first = runtime();
    first.block_on(async {
        let hangs = async |_: Event| std::future::pending::<()>().await;
        let overload = Overload::Block { timeout: Duration::from_secs(3_600) };
        bus.on("a", hangs.with(|options| options.queue(1).overload(overload))).unwrap();
        bus.publish(event("a")).await.unwrap();
        while bus.stats().handlers[0].queue > 0 {
            tokio::task::yield_now().await;
        }
        bus.publish(event("a")).await.unwrap();
    });
    let second = runtime();
    let waits = second.spawn({
        let bus = bus.clone();
        async move { bus.publish(event("a")).await.unwrap() }
    });
    while bus.stats().events.in_flight < 3 {
        std::thread::yield_now();
    }
    drop(first);
    assert_eq!(second.block_on(waits).unwrap().rejected, 1);
}

#[test]
fn publishers_that_race_the_end_of_a_runtime_come_back() {
    for _ in 0..50 {
        let (bus, first) = (Bus::new(), runtime());
        first.block_on(async {
            let quick = async |_: Event| tokio::task::yield_now().await;
            bus.on("a", quick.with(|options| options.concurrency(64))).unwrap();
        });
        let publisher = std::thread::spawn({
            let bus = bus.clone();
            move || {
                (0..2_000).for_each(|_| {
                    bus.try_publish(event("a")).unwrap();
                });
            }
        });
        while bus.stats().events.total_events < 20 {
            std::thread::yield_now();
        }
        drop(first);
        publisher.join().unwrap();
        let events = bus.stats().events;
        let ended = events.handled_events + events.skipped_events + events.lost_events;
        assert_eq!((ended, events.in_flight), (2_000, 0), "{events:?}");
    }
}
