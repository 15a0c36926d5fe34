//! Scenarios of delivery, by their ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::limits::PUBLISH_DEPTH_MAX;
use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, ManualClock, Mode, Overload, SubscriptionOptions,
};
use nexus_events_model::{Event, Priority, Text};
use parking_lot::Mutex;
use serde_json::json;
use time::macros::datetime;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::delivery::gated;
use crate::{Log, event};

/// 10x overload in short: 5,000 events at ten times the speed of the handler, in virtual time.
#[tokio::test(start_paused = true)]
async fn durability_d13_every_event_of_an_overload_is_accounted_for() {
    const EVENTS: u64 = 5_000;
    let policies = [
        Overload::Block { timeout: Duration::from_millis(50) },
        Overload::Block { timeout: Duration::from_secs(3_600) },
        Overload::Reject,
        Overload::DropOldest,
        Overload::DropNewest,
        Overload::Sample { one_in: 10 },
    ];
    for policy in policies {
        let bus = Bus::builder().history(0).build().unwrap();
        let slow = async |_: Event| tokio::time::sleep(Duration::from_millis(10)).await;
        let options =
            |options: SubscriptionOptions| options.name("slow").overload(policy).queue(64);
        bus.on("a", slow.with(options)).unwrap();
        let (mut seen_rejected, mut most) = (0, 0);
        for number in 0..EVENTS {
            let priority = Priority::ALL[usize::try_from(number).unwrap() % 4];
            seen_rejected += bus.publish(event("a").priority(priority)).await.unwrap().rejected;
            most = most.max(bus.stats().handler("slow").unwrap().queue);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bus.idle().await;
        let stats = bus.stats();
        let slow = stats.handler("slow").unwrap();
        let dropped: u64 = slow.dropped.values().sum();
        let rejected = slow.rejected_count - dropped;
        assert_eq!(slow.execution_count + dropped + rejected, EVENTS, "{policy:?} {slow:?}");
        assert_eq!(stats.events.handled_events, slow.execution_count);
        assert_eq!(stats.events.skipped_events, slow.rejected_count);
        assert!(most <= 64, "{policy:?}: {most} waited");
        assert!(slow.execution_count >= EVENTS / 10, "{policy:?}: {}", slow.execution_count);
        match policy {
            Overload::Block { timeout } if timeout > Duration::from_secs(1) => {
                assert_eq!((slow.execution_count, seen_rejected), (EVENTS, 0));
            }
            Overload::Block { .. } | Overload::Reject => assert_eq!(dropped, 0, "{policy:?}"),
            _ => assert!(rejected == 0 && dropped > EVENTS / 2, "{policy:?} {slow:?}"),
        }
    }
}

/// What ran in D14, by user and in order.
#[derive(Default)]
struct Handled {
    critical: usize,
    low: usize,
    low_wait_max: Duration,
    last: std::collections::HashMap<Text, u64>,
    out_of_order: usize,
}

/// Critical events at twice the capacity for 30 s, and ten low ones a second, which need not wait
/// for long.
#[tokio::test(start_paused = true)]
async fn durability_d14_low_events_get_their_share_under_critical_load() {
    let (bus, handled) = (Bus::new(), Arc::<Mutex<Handled>>::default());
    let (seen, start) = (handled.clone(), Instant::now());
    let handler = move |event: Event| {
        let seen = seen.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let mut seen = seen.lock();
            let number =
                |name: &str| event.payload().get(name).and_then(serde_json::Value::as_u64).unwrap();
            let user = Text::from(event.user_id().unwrap().to_string());
            let before = seen.last.insert(user, number("n"));
            seen.out_of_order += usize::from(before > Some(number("n")));
            if event.priority() == Priority::Low {
                let waited = start.elapsed() - Duration::from_millis(number("at"));
                seen.low += 1;
                seen.low_wait_max = seen.low_wait_max.max(waited);
            } else {
                seen.critical += 1;
            }
        }
    };
    let by_user = |event: &Event| event.user_id().map(|user| Text::from(user.to_string()));
    let options = |options: SubscriptionOptions| {
        options.ordered_by(by_user).concurrency(1).queue(65_536).queue_bytes(1 << 30)
    };
    bus.on("a", handler.with(options)).unwrap();
    for step in 0..6_000_u64 {
        // 200 critical ones a second, of which 100 can be handled.
        let at = start.elapsed().as_millis() as u64;
        let body = |key: &str, priority| {
            let user = format!("{key}-{}", step % 5);
            event("a").user_id(user).priority(priority).payload(json!({"n": step, "at": at}))
        };
        bus.publish(body("critical", Priority::Critical)).await.unwrap();
        if step % 20 == 0 {
            bus.publish(body("low", Priority::Low)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let handled = handled.lock();
    let share = handled.low as f64 / (handled.low + handled.critical) as f64;
    assert!(share >= 1.0 / 15.0, "{share}");
    assert!(handled.low_wait_max < Duration::from_secs(5), "{:?}", handled.low_wait_max);
    assert_eq!(handled.out_of_order, 0);
    assert!(handled.critical > 2_000, "{}", handled.critical);
}

/// A handler that publishes its own type waits for nobody, and a cycle ends.
#[tokio::test(start_paused = true)]
async fn durability_d15_a_handler_that_publishes_its_own_type_does_not_wait_for_itself() {
    for mode in [Mode::Queued, Mode::Blocking] {
        let (bus, depths) = (Bus::new(), Arc::new(Mutex::new(Vec::new())));
        let seen = depths.clone();
        let handler = move |_: Event, context: Context| {
            let seen = seen.clone();
            async move {
                seen.lock().push(context.chain().len());
                // By its context and by the bus, awaited or not: all are follow-ups.
                let error = context.publish(event("a")).err();
                match error {
                    Some(error) => assert_eq!(error.kind(), ErrorKind::TooDeep),
                    None => assert!(context.bus().publish(event("b")).await.unwrap().follow_up),
                }
            }
        };
        let options = |options: SubscriptionOptions| options.mode(mode).queue(16);
        bus.on("a", handler.with(options).named("own")).unwrap();
        for _ in 0..64 {
            let before = Instant::now();
            bus.publish(event("a")).await.unwrap();
            assert!(before.elapsed() < Duration::from_secs(2));
        }
        bus.idle().await;
        let deepest = depths.lock().iter().copied().max().unwrap();
        assert_eq!(deepest, PUBLISH_DEPTH_MAX as usize + 1, "{mode:?}");
        let (stats, depths) = (bus.stats(), depths.lock().len() as u64);
        let own = stats.handler("own").unwrap();
        assert_eq!((own.execution_count, own.panic_count, stats.events.in_flight), (depths, 0, 0));
        let events = stats.events;
        let ended = events.handled_events + events.skipped_events + events.unmatched_events;
        assert_eq!(ended, events.total_events);
    }
}

/// A handler that waits for the report of its own type is skipped there instead of waiting for
/// itself.
#[tokio::test(start_paused = true)]
async fn durability_d15_a_handler_that_waits_for_its_own_type_is_skipped_there() {
    let (bus, before) = (Bus::new(), Instant::now());
    let handler = async |_: Event, context: Context| {
        let report = context.publish_and_wait(event("a")).await?;
        let skipped = report.outcomes[0].error.clone();
        assert!(skipped.unwrap().contains("it waits for this event's report itself"));
        Ok::<(), nexus_events_dispatch::Error>(())
    };
    bus.on("a", handler.with(|options| options.queue(16))).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    assert!(before.elapsed() < Duration::from_secs(2));
}

/// One subscription that comes, sees events of its own and goes. No call after the end, none
/// missed in between.
async fn come_and_go(bus: &Bus, thread: usize, round: usize) {
    let (ended, late, seen) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let (end, lates, count) = (ended.clone(), late.clone(), seen.clone());
    let own = format!("own.{thread}-{round}");
    let handler = move |event: &Event| {
        lates.fetch_add(u64::from(end.load(Ordering::SeqCst)), Ordering::SeqCst);
        count
            .fetch_add(u64::from(event.event_type().as_str().starts_with("own")), Ordering::SeqCst);
    };
    let mode = [Mode::Inline, Mode::Queued, Mode::Blocking][round % 3];
    let mut subscriptions = Vec::new();
    for pattern in [own.as_str(), "noise.*"] {
        let handler = handler.clone().mode(mode);
        let handler = match mode {
            Mode::Inline => handler,
            _ => handler.with(|options| options.concurrency(1 + round % 4).queue(4_096)),
        };
        subscriptions.push(bus.on(pattern, handler).unwrap());
    }
    for _ in 0..3 {
        assert_eq!(bus.publish(event(&own)).await.unwrap().rejected, 0);
    }
    bus.publish_and_wait(event(&own)).await.unwrap();
    while seen.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    for subscription in subscriptions {
        subscription.unsubscribe().await;
    }
    ended.store(true, Ordering::SeqCst);
    bus.publish_and_wait(event(&own)).await.unwrap();
    bus.publish(event("noise.after")).await.unwrap();
    assert_eq!((late.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (0, 4), "{mode:?}");
}

/// Eight tasks subscribe and unsubscribe, also inside handlers, while two publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn durability_d16_no_call_after_unsubscribe_and_none_missed_before() {
    const ROUNDS: usize = 60;
    let bus = Bus::builder().history(0).build().unwrap();
    let always: [Arc<AtomicU64>; 2] = Default::default();
    for (seen, mode) in always.iter().zip([Mode::Inline, Mode::Queued]) {
        let seen = seen.clone();
        let handler = move |_: &Event| {
            seen.fetch_add(1, Ordering::Relaxed);
        };
        bus.on("noise.event", handler.mode(mode)).unwrap();
    }
    // Changes the bus from inside of a handler.
    let changes = async |_: Event, context: Context| {
        let once = context.bus().on("noise.*", (|_: &Event| {}).mode(Mode::Queued))?;
        once.unsubscribe().await;
        Ok::<(), nexus_events_dispatch::Error>(())
    };
    bus.on("change", changes).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..2)
        .map(|_| {
            let (bus, stop) = (bus.clone(), stop.clone());
            tokio::spawn(async move {
                let mut published = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(bus.publish(event("noise.event")).await.unwrap().rejected, 0);
                    published += 1;
                    if published.is_multiple_of(64) {
                        bus.publish(event("change")).await.unwrap();
                    }
                    tokio::task::yield_now().await;
                }
                published
            })
        })
        .collect();
    let changing: Vec<_> = (0..8)
        .map(|thread| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    come_and_go(&bus, thread, round).await;
                }
            })
        })
        .collect();
    for thread in changing {
        thread.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut published = 0;
    for publisher in publishers {
        published += publisher.await.unwrap();
    }
    bus.idle().await;
    for seen in always {
        assert_eq!(seen.load(Ordering::Relaxed), published);
    }
    assert_eq!(bus.stats().events.in_flight, 0);
}

/// 10,000 events wait for slow handlers when the bus is shut down.
#[tokio::test(start_paused = true)]
async fn durability_d17_a_shutdown_returns_at_its_deadline_and_counts_everything() {
    let bus = Bus::new();
    let slow = async |_: Event| tokio::time::sleep(Duration::from_millis(10)).await;
    let options = |options: SubscriptionOptions| {
        options.queue(10_000).queue_bytes(1 << 30).concurrency(2).name("slow")
    };
    bus.on("a", slow.with(options)).unwrap();
    for _ in 0..10_000 {
        assert_eq!(bus.try_publish(event("a")).unwrap().rejected, 0);
    }
    let before = Instant::now();
    let report = bus.shutdown(Duration::from_secs(2)).await;
    assert!(before.elapsed() <= Duration::from_millis(2_200), "{:?}", before.elapsed());
    assert_eq!(report.drained + report.lost, 10_000);
    // Two at a time, one hundred rounds a second.
    assert!((398..=402).contains(&report.drained), "{report:?}");
    while bus.stats().events.in_flight > 0 {
        tokio::task::yield_now().await;
    }
    let events = bus.stats().events;
    assert_eq!(events.handled_events + events.lost_events, 10_000);
    assert_eq!(events.lost_events, report.lost as u64);
}

/// The clock goes back an hour and on by a day: ids still rise, events stay in order, and waits
/// last as long as they should.
#[tokio::test(start_paused = true)]
async fn durability_d19_a_clock_that_jumps_changes_no_order_and_no_wait() {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let (bus, log) = (Bus::builder().clock(clock.clone()).build().unwrap(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let overload = Overload::Block { timeout: Duration::from_secs(2) };
    let options = |options: SubscriptionOptions| options.queue(4).overload(overload).name("slow");
    bus.on("n.*", gated(&gate, &log).with(options)).unwrap();
    let times = [
        datetime!(2026-01-02 03:04:05 UTC),
        datetime!(2026-01-02 02:04:05 UTC),
        datetime!(2026-01-03 02:04:05 UTC),
        datetime!(2026-01-01 00:00:00 UTC),
    ];
    let mut ids = Vec::new();
    for (number, time) in times.into_iter().enumerate() {
        clock.set(time);
        ids.push(bus.publish(event(&format!("n.{number}"))).await.unwrap().event_id);
        tokio::task::yield_now().await;
    }
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    bus.publish(event("n.4")).await.unwrap();
    // A wait for room lasts as long, whatever the clock does meanwhile.
    let before = Instant::now();
    let waits = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(event("n.never")).await.unwrap().rejected }
    });
    tokio::task::yield_now().await;
    clock.set(datetime!(2027-01-01 00:00:00 UTC));
    assert_eq!(waits.await.unwrap(), 1);
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    assert_eq!(bus.stats().handler("slow").unwrap().queue_wait, Some(Duration::from_secs(2)));
    gate.close();
    bus.idle().await;
    assert_eq!(log.take(), ["n.0", "n.1", "n.2", "n.3", "n.4"]);
    let newest: Vec<_> = bus.history(10, None).iter().map(|event| event.id().clone()).collect();
    assert_eq!(newest.len(), 6);
    assert!(ids.iter().all(|id| newest.contains(id)));
}

/// What a handler publishes belongs to the conversation of its event, unless it says otherwise.
#[tokio::test]
async fn patterns_d27_a_follow_up_inherits_the_correlation_unless_it_has_its_own() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("order", |_: &Event, context: &Context| {
        context.publish(event("n.inherits"))?;
        context.publish(event("n.own").correlation_id("other"))?;
        context.bus().try_publish(event("n.by-bus")).map(|_| ())
    })
    .unwrap();
    let seen = log.clone();
    bus.on("n.*", move |event: Event| {
        let id = event.correlation_id().map(ToString::to_string);
        seen.add(format!("{} {}", event.event_type(), id.unwrap_or_default()));
        std::future::ready(())
    })
    .unwrap();
    bus.publish(event("order").correlation_id("order-7")).await.unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["n.inherits order-7", "n.own other", "n.by-bus order-7"]);
}

#[tokio::test(start_paused = true)]
async fn patterns_d27_a_slow_handler_does_not_delay_another() {
    let (bus, log) = (Bus::new(), Log::default());
    let slow = async |_: Event| tokio::time::sleep(Duration::from_secs(60)).await;
    bus.on("n.*", slow.named("slow")).unwrap();
    bus.on("n.*", log.writes_async("quick").named("quick")).unwrap();
    let before = Instant::now();
    for number in 0..100 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
    }
    while log.0.lock().len() < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!((before.elapsed(), log.take().len()), (Duration::ZERO, 100));
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 0);
}

#[tokio::test(start_paused = true)]
async fn patterns_d27_a_shutdown_waits_for_running_handlers_or_reports_at_the_deadline() {
    for (deadline, expected) in [(10, (1, 0)), (1, (0, 1))] {
        let (bus, ended) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
        let count = ended.clone();
        let slow = move |_: Event| {
            let count = count.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        bus.on("a", slow).unwrap();
        bus.publish(event("a")).await.unwrap();
        tokio::task::yield_now().await;
        let before = Instant::now();
        let report = bus.shutdown(Duration::from_secs(deadline)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(deadline.min(5)));
        assert_eq!((report.drained, report.lost), expected);
        assert_eq!(ended.load(Ordering::SeqCst), report.drained);
    }
}
