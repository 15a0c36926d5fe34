//! Asynchronous handlers on shared lanes, and what becomes of those that have to wait.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nexus_events_dispatch::limits::{QUEUE_EVENTS_DEFAULT, SHARED_LANE_EVENTS};
use nexus_events_dispatch::{BoxFuture, Bus, Context, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::corners::within_time;
use crate::delivery::{gated, polled_once, settle};
use crate::stuck::{Gate, bus as soon_stuck, run, until};
use crate::{Log, event};

/// Runs this on one thread, then on two; fails where it hangs.
#[track_caller]
fn on_runtimes<F: Future<Output = ()>>(test: impl Fn() -> F + Send + Sync + 'static) {
    within_time(move || {
        let one = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        one.block_on(test());
        let mut two = tokio::runtime::Builder::new_multi_thread();
        two.worker_threads(2).enable_time().build().unwrap().block_on(test());
    });
}

/// A handler that writes down each event, and gives way first where it is told so by its number.
fn gives_way<At: Fn(usize) -> bool + Send + Sync + 'static>(
    log: &Log,
    at: At,
) -> impl Fn(Event) -> BoxFuture<'static, ()> + Send + Sync + use<At> {
    let (log, count) = (log.clone(), AtomicUsize::new(0));
    move |event: Event| {
        let (log, waits) = (log.clone(), at(count.fetch_add(1, Ordering::SeqCst)));
        Box::pin(async move {
            if waits {
                yield_now().await;
            }
            log.add(event.event_type().as_str());
        })
    }
}

/// The task that a handler runs on, written down with each event.
fn tells_its_task(
    tasks: &Arc<Mutex<Vec<tokio::task::Id>>>,
) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + use<> {
    let tasks = tasks.clone();
    move |_: Event| {
        tasks.lock().push(tokio::task::id());
        std::future::ready(())
    }
}

#[test]
fn wherever_one_begins_to_wait_each_event_comes_once_and_in_order() {
    on_runtimes(|| async {
        for first in [0, 1, 63, 64, 100] {
            for then in [false, true] {
                let bus = Bus::builder().history(0).build().unwrap();
                let logs = [(); 4].map(|()| Log::default());
                let waits = move |number| number == first || (then && number > first);
                bus.on("n.**", gives_way(&logs[0], |_| false).named("before")).unwrap();
                bus.on("n.**", gives_way(&logs[1], waits).named("waits")).unwrap();
                let seen = logs[2].clone();
                let sync = move |event: &Event| seen.add(event.event_type().as_str());
                bus.on("n.**", sync.mode(Mode::Queued).named("synchronous")).unwrap();
                let some = |number| number % 7 == 3;
                bus.on("n.**", gives_way(&logs[3], some).named("sometimes")).unwrap();
                // Makes its event go the long way.
                bus.on("n.long.*", (async |_: Event| {}).priority(-1)).unwrap();
                let name = |number| match number % 5 {
                    4 => format!("n.long.{number}"),
                    _ => format!("n.{}.{number}", number % 3),
                };
                let names: Vec<String> = (0..150).map(name).collect();
                for name in &names {
                    let receipt = bus.publish(event(name)).await.unwrap();
                    assert_eq!(receipt.rejected, 0);
                }
                bus.idle().await;
                logs.iter().for_each(|log| assert_eq!(log.take(), names, "{first} {then}"));
                let stats = bus.stats();
                let four = stats.handlers.iter().take(4);
                assert!(
                    four.into_iter().all(|it| (it.execution_count, it.error_count) == (150, 0))
                );
                let events = stats.events;
                assert_eq!((events.handled_events, events.in_flight), (150, 0));
                assert_eq!(events.processed_events, 4 * 150 + 30);
            }
        }
    });
}

#[test]
fn one_that_never_waits_stays_on_the_lane_though_it_uses_up_tokios_budget() {
    on_runtimes(|| async {
        let bus = Bus::builder().history(0).build().unwrap();
        let tasks = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let free = Arc::new(tokio::sync::Mutex::new(0));
        let locks = {
            let (tasks, sender) = (tasks[0].clone(), sender.clone());
            move |_: Event| {
                let (tasks, sender, free) = (tasks.clone(), sender.clone(), free.clone());
                async move {
                    for _ in 0..10 {
                        *free.lock().await += 1;
                    }
                    tasks.lock().push(tokio::task::id());
                    sender.send(()).unwrap();
                }
            }
        };
        bus.on("a", locks).unwrap();
        bus.on("a", tells_its_task(&tasks[1])).unwrap();
        for _ in 0..500 {
            bus.publish(event("a")).await.unwrap();
        }
        for _ in 0..500 {
            receiver.recv().await.unwrap();
        }
        bus.idle().await;
        let [mut one, other] = tasks.map(|tasks| std::mem::take(&mut *tasks.lock()));
        assert_eq!(one, other);
        one.dedup();
        assert_eq!(one.len(), 1);
    });
}

#[test]
fn one_that_waits_runs_on_a_task_of_its_own_and_holds_up_nobody() {
    on_runtimes(|| async {
        let (bus, log) = (Bus::new(), Log::default());
        let gate = Arc::new(Semaphore::new(0));
        bus.on("n.*", gated(&gate, &log).named("waits")).unwrap();
        bus.on("n.*", log.writes_async("quick").named("quick")).unwrap();
        for name in ["n.1", "n.2", "n.3"] {
            bus.publish(event(name)).await.unwrap();
        }
        until(|| log.0.lock().len() == 3).await;
        assert_eq!(log.take(), ["quick"; 3]);
        until(|| bus.stats().handler("waits").unwrap().queue == 2).await;
        gate.close();
        bus.idle().await;
        assert_eq!(log.take(), ["n.1", "n.2", "n.3"]);
        assert_eq!(bus.stats().handler("waits").unwrap().execution_count, 3);
    });
}

#[test]
fn what_comes_of_one_that_waited_is_its_outcome() {
    on_runtimes(|| async {
        let bus = Bus::new();
        let ends = |event: Event| async move {
            yield_now().await;
            match event.event_type().as_str() {
                "n.panics" => panic!("told so"),
                "n.fails" => Err("broken"),
                _ => Ok(serde_json::json!(7)),
            }
        };
        bus.on("n.*", ends.named("ends")).unwrap();
        for name in ["n.panics", "n.fails", "n.ends"] {
            // Each handler is new to the short way once.
            let other = Bus::new();
            other.on("n.*", ends.named("ends")).unwrap();
            other.publish(event(name)).await.unwrap();
            other.idle().await;
            let stats = other.stats();
            let handler = stats.handler("ends").unwrap();
            let (failed, panicked) = (u64::from(name != "n.ends"), u64::from(name == "n.panics"));
            assert_eq!(handler.execution_count, 1);
            assert_eq!((handler.error_count, handler.panic_count), (failed, panicked));
            let events = stats.events;
            assert_eq!((events.processed_events, events.failed_events), (1 - failed, failed));
            assert_eq!((events.handled_events, events.in_flight), (1, 0));
            let report = bus.publish_and_wait(event(name)).await.unwrap();
            let outcome = report.outcome("ends").unwrap();
            let expected = match name {
                "n.panics" => OutcomeStatus::Panicked,
                "n.fails" => OutcomeStatus::Error,
                _ => OutcomeStatus::Success,
            };
            assert_eq!(outcome.status, expected);
            assert_eq!(outcome.value == serde_json::json!(7), name == "n.ends");
        }
        let stats = bus.stats();
        let handler = stats.handler("ends").unwrap();
        assert_eq!((handler.execution_count, handler.error_count), (3, 2));
    });
}

/// Follow-ups of a wave are dispatched when it is over.
#[test]
fn what_it_publishes_before_and_while_it_waits_comes_after_it() {
    on_runtimes(|| async {
        let (bus, log) = (Bus::new(), Log::default());
        bus.on("f.*", {
            let log = log.clone();
            move |event: &Event| log.add(event.event_type().as_str())
        })
        .unwrap();
        for first in [true, false] {
            let log = log.clone();
            let publishes = move |event_: Event, context: Context| {
                let (log, bus) = (log.clone(), context.bus().clone());
                async move {
                    if first {
                        context.publish(event("f.before")).unwrap();
                    }
                    yield_now().await;
                    bus.publish(event("f.after")).await.unwrap();
                    yield_now().await;
                    log.add(event_.event_type().as_str());
                }
            };
            let name = if first { "a" } else { "b" };
            bus.on(name, publishes).unwrap();
        }
        for (name, expected) in
            [("a", vec!["a", "f.before", "f.after"]), ("b", vec!["b", "f.after"])]
        {
            for _ in 0..2 {
                bus.publish(event(name)).await.unwrap();
                bus.idle().await;
                assert_eq!(log.take(), expected);
            }
        }
    });
}

#[test]
fn one_may_wait_for_the_report_of_another_of_its_lane() {
    on_runtimes(|| async {
        let (bus, log) = (Bus::new(), Log::default());
        for (on, asks) in [("a", Some("b")), ("b", Some("c")), ("c", None)] {
            let log = log.clone();
            let handler = move |_: Event, context: Context| {
                let log = log.clone();
                async move {
                    if let Some(asks) = asks {
                        let report = context.bus().publish_and_wait(event(asks)).await.unwrap();
                        assert_eq!(report.outcomes[0].status, OutcomeStatus::Success);
                    }
                    log.add(on);
                }
            };
            bus.on(on, handler.named(on)).unwrap();
        }
        bus.publish(event("a")).await.unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["c", "b", "a"]);
        bus.publish_and_wait(event("a")).await.unwrap();
        assert_eq!(log.take(), ["c", "b", "a"]);
        // And of itself: then it is skipped.
        let asks_itself = |event_: Event, context: Context| async move {
            let asked = context.publish_and_wait(event(event_.event_type().as_str())).await;
            assert_eq!(asked.unwrap().outcomes[0].status, OutcomeStatus::Skipped);
        };
        bus.on("d", asks_itself.named("itself")).unwrap();
        for _ in 0..2 {
            bus.publish(event("d")).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(bus.stats().handler("itself").unwrap().error_count, 0);
    });
}

/// The lane of another bus is full, and runs on the same thread.
#[test]
fn one_may_wait_for_room_in_a_lane() {
    on_runtimes(|| async {
        let [bus, full] = [(); 2].map(|()| Bus::builder().history(0).build().unwrap());
        let runs = Arc::new(AtomicUsize::new(0));
        let (count, held) = (runs.clone(), Arc::new(Semaphore::new(0)));
        let counts = move |_: Event| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        };
        full.on("f", counts).unwrap();
        let publishes = {
            let (full, held) = (full.clone(), held.clone());
            move |_: Event| {
                let (full, held) = (full.clone(), held.clone());
                async move {
                    while full.try_publish(event("f")).unwrap().rejected == 0 {}
                    assert_eq!(full.publish(event("f")).await.unwrap().rejected, 0);
                    held.add_permits(1);
                }
            }
        };
        bus.on("a", publishes).unwrap();
        for _ in 0..3 {
            bus.publish(event("a")).await.unwrap();
        }
        held.acquire_many(3).await.unwrap().forget();
        full.idle().await;
        assert!(runs.load(Ordering::SeqCst) > SHARED_LANE_EVENTS);
    });
}

#[test]
fn a_publisher_faster_than_one_that_waits_loses_nothing() {
    on_runtimes(|| async {
        let (bus, log) = (Bus::builder().history(0).build().unwrap(), Log::default());
        bus.on("n.*", gives_way(&log, |number| number >= 10)).unwrap();
        let names: Vec<String> =
            (0..4 * QUEUE_EVENTS_DEFAULT).map(|number| format!("n.{number}")).collect();
        for name in &names {
            assert_eq!(bus.publish(event(name)).await.unwrap().rejected, 0);
        }
        bus.idle().await;
        assert_eq!(log.take(), names);
        assert_eq!(bus.stats().handlers[0].rejected_count, 0);
    });
}

#[test]
fn an_unsubscribe_waits_for_a_call_that_waits() {
    on_runtimes(|| async {
        for long in [false, true] {
            let (bus, log) = (Bus::new(), Log::default());
            let (gate, entered) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let waits = {
                let (log, gate, entered) = (log.clone(), gate.clone(), entered.clone());
                move |event: Event| {
                    let (log, gate) = (log.clone(), gate.clone());
                    entered.add_permits(1);
                    async move {
                        let _ = gate.acquire().await;
                        log.add(event.event_type().as_str());
                    }
                }
            };
            let waits = bus.on("n.*", waits.named("waits")).unwrap();
            if long {
                bus.on("n.1", (async |_: Event| {}).priority(-1)).unwrap();
            }
            bus.publish(event("n.1")).await.unwrap();
            bus.publish(event("n.2")).await.unwrap();
            entered.acquire().await.unwrap().forget();
            let mut ending = pin!(waits.unsubscribe());
            assert!(polled_once(ending.as_mut()).await);
            assert!(log.take().is_empty());
            gate.close();
            assert!(ending.await);
            assert_eq!(log.take(), ["n.1"]);
            bus.idle().await;
            let stats = bus.stats();
            assert_eq!((stats.events.unsubscribed, stats.events.in_flight), (1, 0));
            assert_eq!(log.take(), [""; 0]);
        }
    });
}

/// It was on the stack of the lane's task when it began to wait, and is not any more.
#[test]
fn who_ends_a_handler_waits_for_it_while_another_of_its_lane_waits_for_an_end() {
    run(|| async {
        let (bus, log, gate) = (Bus::new(), Log::default(), Arc::new(Semaphore::new(0)));
        let slow = bus.on("slow", gated(&gate, &log)).unwrap();
        bus.publish(event("slow")).await.unwrap();
        bus.publish(event("slow")).await.unwrap();
        until(|| bus.stats().handlers[0].queue == 1).await;
        let ends = move |_: Event| {
            let slow = slow.clone();
            async move { assert!(slow.unsubscribe().await) }
        };
        bus.on("a", ends.named("ends")).unwrap();
        let (entered, is_in) = mpsc::channel();
        let (go, told) = mpsc::channel::<()>();
        let told = Mutex::new(told);
        let hangs = move |_: &Event| {
            entered.send(()).unwrap();
            let _ = told.lock().recv();
        };
        let hangs = bus.on("a", hangs.mode(Mode::Queued).named("hangs")).unwrap();
        bus.publish(event("a")).await.unwrap();
        while is_in.try_recv().is_err() {
            yield_now().await;
        }
        let mut ending = pin!(hangs.unsubscribe());
        assert!(polled_once(ending.as_mut()).await);
        go.send(()).unwrap();
        assert!(ending.await);
        gate.close();
        bus.idle().await;
        assert_eq!(log.take(), ["slow"]);
    });
}

#[test]
fn one_that_waits_goes_on_while_the_next_of_its_lane_hangs() {
    run(|| async {
        let (bus, gate) = (soon_stuck(), Gate::new());
        let logs = [(); 3].map(|()| Log::default());
        let ready = Arc::new(Semaphore::new(0));
        bus.on("n.*", gated(&ready, &logs[0]).named("waits")).unwrap();
        bus.on("n.*", gate.hangs(&logs[1]).mode(Mode::Queued).named("hangs")).unwrap();
        bus.on("n.*", {
            let log = logs[2].clone();
            move |event: Event| {
                log.add(event.event_type().as_str());
                std::future::ready(())
            }
        })
        .unwrap();
        bus.publish(event("n.hangs")).await.unwrap();
        gate.is_met_by(1).await;
        // It needs no more of the lane, whose task is in the other one.
        ready.add_permits(1);
        until(|| logs[0].0.lock().len() == 1).await;
        bus.publish(event("n.next")).await.unwrap();
        until(|| bus.stats().stuck_threads == 1).await;
        ready.close();
        bus.idle().await;
        assert_eq!(logs[0].take(), ["n.hangs", "n.next"]);
        assert_eq!(logs[2].take(), ["n.hangs", "n.next"]);
        let stats = bus.stats();
        assert_eq!(stats.handler("waits").unwrap().execution_count, 2);
        assert_eq!((stats.events.handled_events, stats.events.in_flight), (2, 0));
        drop(gate);
    });
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cuts_off_one_that_waits_and_counts_its_event_as_lost() {
    for waiting in [1, 3] {
        let (bus, log, gate) = (Bus::new(), Log::default(), Arc::new(Semaphore::new(0)));
        bus.on("n", gated(&gate, &log).named("waits")).unwrap();
        bus.on("n", gated(&gate, &log).named("waits too")).unwrap();
        bus.on("done", log.writes_async("done")).unwrap();
        bus.publish(event("done")).await.unwrap();
        bus.idle().await;
        for _ in 0..waiting {
            bus.publish(event("n")).await.unwrap();
        }
        settle().await;
        let report = bus.shutdown(Duration::from_secs(1)).await;
        assert_eq!((report.drained, report.lost), (0, waiting));
        gate.close();
        settle().await;
        let events = bus.stats().events;
        assert_eq!((events.handled_events, events.lost_events), (1, waiting as u64));
        assert_eq!(events.in_flight, 0);
        assert_eq!(log.take(), ["done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_one_that_waits() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("n", move |_: Event| {
        let log = seen.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            log.add("slept");
        }
    })
    .unwrap();
    for _ in 0..2 {
        bus.publish(event("n")).await.unwrap();
    }
    let report = bus.shutdown(Duration::from_secs(60)).await;
    assert_eq!((report.drained, report.lost), (2, 0));
    assert_eq!(log.take(), ["slept"; 2]);
    assert_eq!(bus.stats().events.handled_events, 2);
}

#[test]
fn at_the_end_of_its_runtime_one_that_waits_is_over() {
    within_time(|| {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (bus, log, first) = (Bus::new(), Log::default(), runtime());
        let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(()));
        let held = dropped.clone();
        first.block_on(async {
            let waits = {
                let gate = gate.clone();
                move |_: Event| {
                    let (gate, held) = (gate.clone(), held.clone());
                    async move {
                        let _ = gate.acquire().await;
                        drop(held);
                    }
                }
            };
            bus.on("n", waits).unwrap();
            for _ in 0..3 {
                bus.publish(event("n")).await.unwrap();
            }
            settle().await;
        });
        assert_eq!(Arc::strong_count(&dropped), 3);
        drop(first);
        assert_eq!(Arc::strong_count(&dropped), 2);
        let second = runtime();
        second.block_on(bus.idle());
        assert_eq!(bus.stats().events.in_flight, 0);
        second.block_on(async {
            bus.on("n", log.writes_async("second")).unwrap();
            bus.publish(event("n")).await.unwrap();
            bus.idle().await;
        });
        assert_eq!(log.take(), ["second"]);
    });
}

/// What a future holds goes with it, not with the next one of its handler.
#[test]
fn a_future_that_is_done_holds_nothing() {
    /// Is done at once, and keeps what it has.
    struct Done(Arc<()>);

    impl Future for Done {
        type Output = ();

        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<()> {
            assert!(Arc::strong_count(&self.0) > 1);
            std::task::Poll::Ready(())
        }
    }

    on_runtimes(|| async {
        let (bus, held) = (Bus::new(), Arc::new(()));
        let handler = {
            let held = held.clone();
            move |_: Event| Done(held.clone())
        };
        bus.on("n", handler).unwrap();
        for _ in 0..3 {
            bus.publish(event("n")).await.unwrap();
            bus.idle().await;
            until(|| Arc::strong_count(&held) == 2).await;
        }
    });
}
