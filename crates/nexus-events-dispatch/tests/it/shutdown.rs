//! The end of a bus.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt, Layer, Mode, Next, Published};
use nexus_events_model::Event;
use tokio::sync::Semaphore;

use crate::corners::block_on;
use crate::{Log, event};

/// Registers a handler that publishes a follow-up once this is closed.
fn publishes_when_told(bus: &Bus) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    let publishes = move |_: Event, context: Context| {
        let waits = waits.clone();
        async move {
            let _ = waits.acquire().await;
            context.publish(event("b")).map(|_| ())
        }
    };
    bus.on("a", publishes).unwrap();
    gate
}

#[tokio::test]
async fn it_closes_the_intake_and_drains_queues_and_follow_ups() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = publishes_when_told(&bus);
    bus.on("b", log.writes_async("b")).unwrap();
    for _ in 0..10 {
        bus.publish(event("a")).await.unwrap();
    }
    let shutdown = tokio::spawn({
        let bus = bus.clone();
        async move { bus.shutdown(Duration::from_secs(30)).await }
    });
    while bus.publish(event("nothing")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bus.publish(event("a")).await.unwrap_err().kind(), ErrorKind::Closed);
    gate.close();
    let report = shutdown.await.unwrap();
    assert!(report.is_clean());
    assert_eq!((report.drained, log.take().len()), (10, 10));
    assert_eq!(bus.on("a", |_: &Event| {}).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.stats().events.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_stops_what_hangs_and_counts_it() {
    let bus = Bus::new();
    bus.on("a", async |_: Event| std::future::pending::<()>().await).unwrap();
    for _ in 0..5 {
        bus.publish(event("a")).await.unwrap();
    }
    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_and_wait(event("a")).await }
    });
    tokio::task::yield_now().await;
    let before = tokio::time::Instant::now();
    let report = bus.shutdown(Duration::from_secs(5)).await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert_eq!((report.lost, report.drained), (6, 0));
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.stats().events.lost_events, 6);
}

#[tokio::test]
async fn a_handler_may_shut_the_bus_down() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("stop", move |_: Event, context: Context| {
        let seen = seen.clone();
        async move {
            let report = context.bus().shutdown(Duration::from_secs(30)).await;
            assert!(report.is_clean());
            seen.add("stopped");
        }
    })
    .unwrap();
    bus.on("stop", log.writes("lower").priority(-1)).unwrap();
    assert!(bus.publish_and_wait(event("stop")).await.unwrap().is_success());
    assert_eq!(log.take()[0], "stopped");
    assert_eq!(bus.publish(event("stop")).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn shutting_down_twice_is_no_mistake() {
    let bus = Bus::new();
    assert!(bus.shutdown(Duration::ZERO).await.is_clean());
    assert!(bus.shutdown(Duration::ZERO).await.is_clean());
}

/// Everything that was published is accounted for, and the report says the same.
#[track_caller]
fn check_account(bus: &Bus, total: u64, handled: u64, lost: u64) {
    let events = bus.stats().events;
    assert_eq!((events.in_flight, events.total_events), (0, total), "{events:?}");
    assert_eq!((events.handled_events, events.lost_events), (handled, lost), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn the_event_of_a_handler_that_shuts_down_is_handled_and_not_lost() {
    for hanging in [0, 3] {
        let (bus, log) = (Bus::new(), Log::default());
        bus.on("hangs", async |_: Event| std::future::pending::<()>().await).unwrap();
        let seen = log.clone();
        bus.on("stop", move |_: Event, context: Context| {
            let seen = seen.clone();
            async move {
                let report = context.bus().shutdown(Duration::from_secs(1)).await;
                seen.add(format!("{} {}", report.drained, report.lost));
            }
        })
        .unwrap();
        for _ in 0..hanging {
            bus.publish(event("hangs")).await.unwrap();
        }
        bus.publish(event("stop")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), [format!("0 {hanging}")]);
        check_account(&bus, hanging + 1, 1, hanging);
    }
}

#[test]
fn an_inline_handler_that_shuts_down_has_handled_its_event() {
    for tracked in [false, true] {
        let bus = Bus::new();
        bus.on("stop", move |_: &Event, context: &Context| {
            let _kept = tracked.then(|| context.clone());
            assert!(block_on(context.bus().shutdown(Duration::ZERO)).is_clean());
        })
        .unwrap();
        bus.try_publish(event("stop")).unwrap();
        check_account(&bus, 1, 1, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_that_wait_for_the_one_that_shuts_down_have_handled_their_events() {
    let bus = Bus::new();
    bus.on("asks", async |_: Event, context: Context| {
        context.publish_and_wait(event("stop")).await.map(|report| assert!(report.is_success()))
    })
    .unwrap();
    bus.on("stop", async |_: Event, context: Context| {
        assert!(context.bus().shutdown(Duration::from_secs(1)).await.is_clean());
    })
    .unwrap();
    assert!(bus.publish_and_wait(event("asks")).await.unwrap().is_success());
    check_account(&bus, 2, 2, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_on_a_thread_that_cannot_be_stopped_is_lost_in_both() {
    let bus = Bus::new();
    let (began, begun) = std::sync::mpsc::channel::<()>();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    let blocks = move |_: &Event| {
        began.send(()).unwrap();
        let _ = gate.lock().recv();
    };
    bus.on("a", blocks.mode(Mode::Blocking)).unwrap();
    bus.publish(event("a")).await.unwrap();
    while begun.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let report = bus.shutdown(Duration::ZERO).await;
    assert_eq!((report.drained, report.lost), (0, 1));
    drop(go);
    bus.idle().await;
    check_account(&bus, 1, 0, 1);
}

#[tokio::test]
async fn an_event_on_its_publishers_stack_goes_on_and_is_not_lost() {
    let bus = Bus::new();
    let (began, begun) = std::sync::mpsc::channel::<()>();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    bus.on("a", move |_: &Event| {
        began.send(()).unwrap();
        let _ = gate.lock().recv();
    })
    .unwrap();
    let publisher = std::thread::spawn({
        let bus = bus.clone();
        move || bus.try_publish(event("a")).unwrap()
    });
    begun.recv().unwrap();
    let report = bus.shutdown(Duration::ZERO).await;
    assert_eq!((report.drained, report.lost), (0, 0));
    assert_eq!(bus.stats().events.in_flight, 1);
    drop(go);
    publisher.join().unwrap();
    check_account(&bus, 1, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn what_got_through_counts_though_its_follow_ups_did_not() {
    let bus = Bus::new();
    let gate = publishes_when_told(&bus);
    bus.on("b", async |_: Event| std::future::pending::<()>().await).unwrap();
    for _ in 0..4 {
        bus.publish(event("a")).await.unwrap();
    }
    let opens = tokio::spawn(async move {
        tokio::task::yield_now().await;
        gate.close();
    });
    let report = bus.shutdown(Duration::from_secs(1)).await;
    opens.await.unwrap();
    assert_eq!((report.drained, report.lost), (4, 4));
    bus.idle().await;
    check_account(&bus, 8, 4, 4);
}

/// The handlers of shared lanes have lost an event together once, wherever it waits for them.
#[tokio::test(start_paused = true)]
async fn an_event_that_waits_for_several_queued_handlers_is_lost_once() {
    let bus = Bus::new();
    for name in ["one", "two", "three"] {
        bus.on("a", (|_: &Event| {}).mode(Mode::Queued).named(name)).unwrap();
    }
    for _ in 0..5 {
        bus.try_publish(event("a")).unwrap();
    }
    let report = bus.shutdown(Duration::ZERO).await;
    assert_eq!((report.drained, report.lost), (0, 5));
    bus.idle().await;
    check_account(&bus, 5, 0, 5);
}

#[tokio::test]
async fn events_given_to_one_handler_from_inside_another_count_once() {
    let bus = Bus::new();
    bus.on("a", async |event: Event, context: Context| {
        context.bus().redeliver("again", event).await.map(|_| ())
    })
    .unwrap();
    bus.on("b", (async |_: Event| {}).named("again")).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    check_account(&bus, 2, 2, 0);
}

/// Lets no event pass but those of the program.
struct Holds;

impl Layer for Holds {
    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        match event.causation_id() {
            None => next.run(event),
            Some(_) => Published::Pending(Box::pin(std::future::pending())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_that_waits_in_a_layer_at_the_deadline_is_lost() {
    let bus = Bus::builder().layer(Holds).build().unwrap();
    bus.on("a", async |event: Event, context: Context| {
        context.publish(crate::event("b").caused_by(&event)).map(|_| ())
    })
    .unwrap();
    bus.on("b", (|_: &Event| {}).named("never")).unwrap();
    for _ in 0..3 {
        assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    }
    let report = bus.shutdown(Duration::from_secs(1)).await;
    assert_eq!((report.drained, report.lost), (0, 3));
    bus.idle().await;
    check_account(&bus, 6, 3, 3);
    assert_eq!(bus.stats().events.refused, 0);
}

#[test]
fn a_follow_up_that_waits_in_a_layer_is_lost_with_its_runtime() {
    let bus = Bus::builder().layer(Holds).build().unwrap();
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        bus.on("a", async |event: Event, context: Context| {
            context.publish(crate::event("b").caused_by(&event)).map(|_| ())
        })
        .unwrap();
        bus.publish_and_wait(event("a")).await.unwrap();
    });
    check_account(&bus, 2, 1, 1);
}
