//! Shared lanes where something ends: handlers, runtimes, the bus; and what that drops.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nexus_events_dispatch::{Bus, HandlerExt, Mode, Subscription};
use nexus_events_model::{Event, Payload};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{block_in_place, yield_now};

use crate::{Log, event};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Without history, so that the bus holds no event longer than it needs it.
fn bus() -> Bus {
    Bus::builder().history(0).build().unwrap()
}

/// Panics when it is dropped and armed.
struct Hostile(Arc<AtomicBool>);

impl Hostile {
    fn payload() -> Payload {
        Payload::shared(Arc::new(Self(Arc::new(AtomicBool::new(true)))))
    }
}

impl serde::Serialize for Hostile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::SeqCst) || std::thread::panicking(), "dropped");
    }
}

#[tokio::test]
async fn a_handler_whose_drop_panics_costs_no_other_its_lane_or_its_events() {
    let (bus, log, armed) = (bus(), Log::default(), Arc::new(AtomicBool::new(false)));
    let hostile = Hostile(armed.clone());
    let holds = move |_: &Event| {
        let _ = &hostile;
    };
    let first = bus.on("t.0", holds.mode(Mode::Queued)).unwrap();
    // As many routes as a lane remembers.
    for number in 1..16 {
        let seen = log.clone();
        let handler = move |event: &Event| seen.add(format!("{number}:{}", event.event_type()));
        bus.on(format!("t.{number}").as_str(), handler.mode(Mode::Queued)).unwrap();
    }
    let seen = log.clone();
    let handler = move |event: &Event| seen.add(format!("u:{}", event.event_type()));
    bus.on("u", handler.mode(Mode::Queued)).unwrap();
    for number in 0..16 {
        bus.try_publish(event(&format!("t.{number}"))).unwrap();
    }
    armed.store(true, Ordering::SeqCst);
    let mut ends = Box::pin(async move { first.unsubscribe().await });
    let once = |task: &mut std::task::Context<'_>| {
        std::task::Poll::Ready(ends.as_mut().poll(task).is_ready())
    };
    std::future::poll_fn(once).await;
    drop(ends);
    for _ in 0..3 {
        assert_eq!(bus.try_publish(event("u")).unwrap().rejected, 0);
    }
    bus.idle().await;
    // At rest the lane lets go of what has ended.
    yield_now().await;
    assert_eq!(bus.publish(event("u")).await.unwrap().rejected, 0);
    bus.idle().await;
    let mut expected: Vec<String> = (1..16).map(|number| format!("{number}:t.{number}")).collect();
    expected.extend([(); 4].map(|()| "u:u".to_owned()));
    assert_eq!(log.take(), expected);
}

#[test]
fn what_waits_when_the_runtime_ends_is_lost_and_counted_so() {
    let (bus, runtime) = (bus(), runtime());
    runtime.block_on(async {
        bus.on("a", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
    });
    for _ in 0..10 {
        bus.try_publish(event("a").payload(Hostile::payload())).unwrap();
    }
    drop(runtime);
    let stats = bus.stats();
    let (events, handler) = (&stats.events, &stats.handlers[0]);
    assert_eq!((events.handled_events, events.lost_events, events.in_flight), (0, 10, 0));
    assert_eq!((handler.execution_count, handler.rejected_count), (0, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_at_its_deadline_loses_what_is_in_hand_and_tells_who_waits() {
    let (bus, (go, gate)) = (bus(), mpsc::channel::<()>());
    let (gate, runs) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let counted = runs.clone();
    let handler = move |_: &Event| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = gate.lock().recv();
    };
    bus.on("a", handler.mode(Mode::Queued)).unwrap();
    let reach = async |count| {
        while runs.load(Ordering::SeqCst) < count {
            yield_now().await;
        }
    };
    bus.publish(event("a")).await.unwrap();
    reach(1).await;
    for _ in 0..100 {
        bus.try_publish(event("a").payload(Hostile::payload())).unwrap();
    }
    go.send(()).unwrap();
    // A batch is in hand now, and its first share blocks.
    reach(2).await;
    let report = bus.shutdown(Duration::ZERO).await;
    assert_eq!((report.drained, report.lost), (0, 100));
    drop(go);
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.lost_events), (1, 100));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn what_was_handled_is_not_in_flight_though_the_runtime_stands_still() {
    let (bus, first) = (bus(), Builder::new_current_thread());
    let first = { first }.enable_time().start_paused(true).build().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    first.block_on(async {
        let handler = move |_: &Event| {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        bus.on("a", handler.mode(Mode::Queued)).unwrap();
        yield_now().await;
        bus.try_publish(event("a")).unwrap();
        while runs.load(Ordering::SeqCst) < 1 {
            yield_now().await;
        }
    });
    runtime().block_on(bus.idle());
    assert_eq!(bus.stats().events.in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_may_wait_for_the_bus_to_be_idle_or_to_shut_down() {
    for ends in [false, true] {
        let (bus, waited) = (bus(), Log::default());
        let (inner, done) = (bus.clone(), waited.clone());
        let waits = move |_: &Event| {
            block_in_place(|| {
                Handle::current().block_on(async {
                    match ends {
                        true => done.add(format!("{:?}", inner.shutdown(Duration::MAX).await)),
                        false => inner.idle().await,
                    }
                });
            });
            done.add("went on");
        };
        bus.on("a", waits.mode(Mode::Queued)).unwrap();
        let publisher = bus.clone();
        tokio::spawn(async move { publisher.publish(event("a")).await.unwrap() }).await.unwrap();
        bus.idle().await;
        assert_eq!(waited.take().last().unwrap(), "went on");
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.lost_events), (1, 0));
    }
}

/// Sixteen handlers fill the first lane, the next one is on the second.
fn fill_a_lane(bus: &Bus, handlers: usize) {
    for _ in 0..handlers {
        bus.on("fill", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
    }
}

/// Both worker threads have published before the lanes are there, which once hid the lanes'
/// own marks.
#[test]
fn handlers_of_two_lanes_end_each_others_neighbours() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let bus = bus();
        bus.on("warm", |_: &Event| {}).unwrap();
        let both = Arc::new(std::sync::Barrier::new(2));
        let warms = [(); 2].map(|()| {
            let (bus, both) = (bus.clone(), both.clone());
            tokio::spawn(async move {
                both.wait();
                bus.try_publish(event("warm")).unwrap();
            })
        });
        for warm in warms {
            warm.await.unwrap();
        }
        let slots: Arc<Mutex<Vec<Option<Subscription>>>> = Arc::default();
        let ender = |which: usize| {
            let (both, slots) = (both.clone(), slots.clone());
            move |_: &Event| {
                both.wait();
                let ends = slots.lock()[which].take().unwrap();
                block_in_place(|| Handle::current().block_on(ends.unsubscribe()));
            }
        };
        bus.on("go", ender(1).mode(Mode::Queued)).unwrap();
        let first = bus.on("x", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
        fill_a_lane(&bus, 14);
        bus.on("go", ender(0).mode(Mode::Queued)).unwrap();
        let second = bus.on("x", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
        *slots.lock() = vec![Some(first), Some(second)];
        bus.publish(event("go")).await.unwrap();
        bus.idle().await;
        assert_eq!(bus.stats().events.handled_events, 3);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_on_two_lanes_is_one_event_in_the_report() {
    let (bus, open) = (bus(), Arc::new(AtomicBool::new(false)));
    let handler = || {
        let open = open.clone();
        move |_: &Event| {
            while !open.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
    };
    bus.on("a", handler().mode(Mode::Queued)).unwrap();
    fill_a_lane(&bus, 15);
    bus.on("a", handler().mode(Mode::Queued)).unwrap();
    for _ in 0..10 {
        bus.try_publish(event("a")).unwrap();
    }
    let shutdown = bus.shutdown(Duration::MAX);
    let mut shutdown = std::pin::pin!(shutdown);
    // It has looked how much there is.
    let pending = std::future::poll_fn(|task| {
        std::task::Poll::Ready(shutdown.as_mut().poll(task).is_pending())
    });
    assert!(pending.await);
    open.store(true, Ordering::SeqCst);
    let report = shutdown.await;
    assert_eq!((report.drained, report.lost), (10, 0));
}

/// What a lane is done with goes back to those who publish, but not a payload whose drop is the
/// program's own code: it might need what the publisher holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_is_not_dropped_under_the_locks_of_who_publishes_next() {
    struct Pooled(Arc<Mutex<usize>>);
    impl serde::Serialize for Pooled {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    impl Drop for Pooled {
        fn drop(&mut self) {
            *self.0.lock() += 1;
        }
    }
    let (bus, pool) = (bus(), Arc::new(Mutex::new(0)));
    bus.on("a", (|_: &Event| {}).mode(Mode::Queued)).unwrap();
    const EVENTS: usize = 20_000;
    for number in 0..EVENTS {
        if number % 500 == 0 {
            // So that the lane is never full.
            bus.idle().await;
        }
        let held = pool.lock();
        let event = event("a").payload(Payload::shared(Arc::new(Pooled(pool.clone()))));
        assert_eq!(bus.try_publish(event).unwrap().rejected, 0);
        drop(held);
    }
    bus.idle().await;
    while *pool.lock() < EVENTS {
        yield_now().await;
    }
}

#[test]
fn a_payload_that_panics_leaving_the_history_is_not_felt_by_the_publisher() {
    let bus = Bus::builder().history(1).build().unwrap();
    for _ in 0..5_000 {
        bus.try_publish(event("a").payload(Hostile::payload())).unwrap();
    }
    assert_eq!(bus.stats().events.unmatched_events, 5_000);
    assert_eq!(bus.history(10, None).len(), 1);
    // The last one is this test's.
    std::mem::forget(bus);
}
