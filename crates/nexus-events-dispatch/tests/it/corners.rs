//! Programs that found something.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context as Task, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters};
use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, Mode, Subscription, SubscriptionOptions,
};
use nexus_events_model::{Event, Filter, OutcomeStatus, Text};
use parking_lot::Mutex;
use tokio::sync::{Barrier, Notify, Semaphore};

use crate::{Log, event};

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let (mut future, mut task) = (pin!(future), Task::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut task) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs this on a thread of its own; fails where it hangs.
#[track_caller]
pub(crate) fn within_time<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(code()));
    match receiver.recv_timeout(Duration::from_secs(5)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

type Slot = Arc<Mutex<Option<Subscription>>>;

#[test]
fn a_handler_sees_what_an_inline_handler_published_after_subscribing_it() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    let first = AtomicBool::new(true);
    bus.on("a", move |_: &Event, context: &Context| {
        if first.swap(false, Ordering::Relaxed) {
            context.bus().on("a", seen.writes("new")).unwrap();
            let receipt = context.publish(event("a")).unwrap();
            assert_eq!(receipt.matched, 2);
        }
    })
    .unwrap();
    bus.try_publish(event("a")).unwrap();
    assert_eq!(log.take(), ["new"]);
}

#[test]
fn two_runs_of_an_inline_handler_may_both_end_it() {
    let bus = Bus::new();
    let slot = Slot::default();
    let both = Arc::new(std::sync::Barrier::new(2));
    let (own, meet) = (slot.clone(), both);
    let it = bus
        .on("a", move |_: &Event| {
            meet.wait();
            let own = own.lock().clone().unwrap();
            block_on(own.unsubscribe());
        })
        .unwrap();
    *slot.lock() = Some(it);
    within_time(move || {
        let other = bus.clone();
        let thread = thread::spawn(move || other.try_publish(event("a")).unwrap());
        bus.try_publish(event("a")).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn two_runs_of_a_queued_handler_may_both_end_it() {
    within_time(|| {
        runtime().block_on(async {
            let bus = Bus::new();
            let slot = Slot::default();
            let (own, meet) = (slot.clone(), Arc::new(Barrier::new(2)));
            let handler = move |_: Event| {
                let (own, meet) = (own.clone(), meet.clone());
                async move {
                    meet.wait().await;
                    let own = own.lock().clone().unwrap();
                    own.unsubscribe().await;
                }
            };
            *slot.lock() = Some(bus.on("a", handler.with(|it| it.concurrency(2))).unwrap());
            bus.publish(event("a")).await.unwrap();
            bus.publish(event("a")).await.unwrap();
            bus.idle().await;
        });
    });
}

#[tokio::test(start_paused = true)]
async fn concurrent_runs_begin_though_one_task_was_idle() {
    let bus = Bus::new();
    let meet = Arc::new(Barrier::new(2));
    let handler = move |_: Event| {
        let meet = meet.clone();
        async move {
            meet.wait().await;
        }
    };
    bus.on("a", handler.with(|it| it.concurrency(2))).unwrap();
    // Its first task goes idle.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    bus.try_publish(event("a")).unwrap();
    bus.try_publish(event("a")).unwrap();
    let idle = tokio::time::timeout(Duration::from_secs(5), bus.idle()).await;
    assert!(idle.is_ok(), "the second event waits for the first");
}

#[test]
fn a_queued_handler_on_a_bus_whose_runtime_has_ended_is_no_deadlock() {
    let bus = Bus::new();
    let first = runtime();
    first.block_on(async { bus.on("a", async |_: Event| {}).map(|_| ()) }).unwrap();
    drop(first);
    within_time(move || {
        let _ = bus.on("b", async |_: Event| {});
        let _ = bus.stats();
    });
}

#[test]
fn handlers_that_redeliver_to_each_other_do_not_wait_for_ever() {
    within_time(|| {
        runtime().block_on(async {
            let bus = Bus::new();
            let other = |name: &'static str| {
                move |event: Event, context: Context| async move {
                    context.bus().redeliver(name, event).await.map(|_| ())
                }
            };
            bus.on("a", other("y").named("x")).unwrap();
            bus.on("b", other("x").named("y")).unwrap();
            bus.publish_and_wait(event("a")).await.unwrap();
        });
    });
}

#[test]
fn a_blocking_handler_that_redelivers_lends_its_worker() {
    within_time(|| {
        runtime().block_on(async {
            let bus = Bus::builder().max_workers(1).build().unwrap();
            let again = async |event: Event, context: Context| {
                context.bus().redeliver("y", event).await.map(|_| ())
            };
            bus.on("a", again.mode(Mode::Blocking).named("x")).unwrap();
            bus.on("b", (|_: &Event| {}).mode(Mode::Blocking).named("y")).unwrap();
            bus.publish_and_wait(event("a")).await.unwrap();
        });
    });
}

#[test]
fn no_subscription_while_it_drains() {
    let rt = runtime();
    rt.block_on(async {
        let bus = Bus::new();
        let (gate, waits) = {
            let gate = Arc::new(Semaphore::new(0));
            (gate.clone(), gate)
        };
        let slow = move |_: Event| {
            let waits = waits.clone();
            async move {
                let _ = waits.acquire().await;
            }
        };
        bus.on("a", slow).unwrap();
        bus.publish(event("a")).await.unwrap();
        let mut shutdown = pin!(bus.shutdown(Duration::from_secs(60)));
        std::future::poll_fn(|task| {
            assert!(shutdown.as_mut().poll(task).is_pending());
            Poll::Ready(())
        })
        .await;
        let late = bus.on("b", |_: &Event| {}).map(|_| ());
        gate.close();
        shutdown.await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_count_read_while_a_filter_refuses_is_no_huge_number() {
    let bus = Bus::new();
    let filter = Filter::parse("payload.n == 1").unwrap();
    bus.on("a", (|_: &Event| {}).filter(filter).named("filtered")).unwrap();
    bus.on("a", |_: &Event| {}).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (publisher, stop) = (bus.clone(), done.clone());
    let thread = thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            publisher.try_publish(event("a")).unwrap();
        }
    });
    let mut most = 0;
    for _ in 0..200_000 {
        most = most.max(bus.stats().handler("filtered").unwrap().execution_count);
        if most > 0 {
            break;
        }
    }
    done.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert_eq!(most, 0);
}

/// T1 is in X, before Y in the same pass; T2 waits in Z for Y to end; then X waits for Z.
#[test]
fn who_waits_for_a_pass_is_told_that_it_waits_too() {
    let bus = Bus::new();
    let (y, z) = (Slot::default(), Slot::default());
    let x_began = Arc::new(std::sync::Barrier::new(2));
    let z_waits = Arc::new(std::sync::Barrier::new(2));
    {
        let (z, x_began, z_waits) = (z.clone(), x_began.clone(), z_waits.clone());
        bus.on(
            "a",
            (move |_: &Event| {
                x_began.wait();
                z_waits.wait();
                let z = z.lock().clone().unwrap();
                block_on(z.unsubscribe());
            })
            .named("x"),
        )
        .unwrap();
    }
    *y.lock() = Some(bus.on("a", (|_: &Event| {}).named("y")).unwrap());
    let ends_y = y;
    *z.lock() = Some(
        bus.on(
            "b",
            (move |_: &Event| {
                x_began.wait();
                let y = ends_y.lock().clone().unwrap();
                let mut ending = Box::pin(y.unsubscribe());
                let waker = Waker::from(Arc::new(Parked(thread::current())));
                let polled = ending.as_mut().poll(&mut Task::from_waker(&waker));
                z_waits.wait();
                if polled.is_pending() {
                    block_on(ending);
                }
            })
            .named("z"),
        )
        .unwrap(),
    );
    within_time(move || {
        let other = bus.clone();
        let thread = thread::spawn(move || other.try_publish(event("b")).unwrap());
        bus.try_publish(event("a")).unwrap();
        thread.join().unwrap();
    });
}

/// X is inline, before Y in the same pass, and waits for the queued Q to end, which waits for Y.
#[test]
fn a_pass_that_waits_for_a_queued_handler_is_past_the_others() {
    within_time(|| {
        let rt = runtime();
        let _entered = rt.enter();
        let bus = Bus::new();
        let (y, q) = (Slot::default(), Slot::default());
        let (x_began, q_began) = (Arc::new(Semaphore::new(0)), mpsc::channel());
        let began = Mutex::new(q_began.1);
        let (ends_q, told) = (q.clone(), x_began.clone());
        bus.on(
            "a",
            (move |_: &Event| {
                began.lock().recv().unwrap();
                told.add_permits(1);
                let q = ends_q.lock().clone().unwrap();
                block_on(q.unsubscribe());
            })
            .named("x"),
        )
        .unwrap();
        *y.lock() = Some(bus.on("a", (|_: &Event| {}).named("y")).unwrap());
        let handler = move |_: Event| {
            let (y, x_began, q_began) = (y.clone(), x_began.clone(), q_began.0.clone());
            async move {
                q_began.send(()).unwrap();
                x_began.acquire().await.unwrap().forget();
                let y = y.lock().clone().unwrap();
                y.unsubscribe().await;
            }
        };
        *q.lock() = Some(bus.on("q", handler.named("q")).unwrap());
        bus.try_publish(event("q")).unwrap();
        bus.try_publish(event("a")).unwrap();
    });
}

/// Two runs of X wait for different handlers; one of those waits for X.
#[test]
fn handlers_that_wait_for_several_others_are_no_cycle_either() {
    within_time(|| {
        runtime().block_on(async {
            let bus = Bus::new();
            let (x, y, z) = (Slot::default(), Slot::default(), Slot::default());
            let waits = Arc::new(Semaphore::new(0));
            let handler = {
                let (y, z) = (y.clone(), z.clone());
                move |event: Event| {
                    let other = if event.payload().get("n").is_some_and(|n| n == 1) {
                        y.clone()
                    } else {
                        z.clone()
                    };
                    async move {
                        let other = other.lock().clone().unwrap();
                        other.unsubscribe().await;
                    }
                }
            };
            *x.lock() = Some(bus.on("x", handler.with(|it| it.concurrency(2)).named("x")).unwrap());
            let ends = |mine: Arc<Semaphore>, x: Option<Slot>| {
                move |_: Event| {
                    let (mine, x) = (mine.clone(), x.clone());
                    async move {
                        mine.acquire().await.unwrap().forget();
                        if let Some(x) = x {
                            let x = x.lock().clone().unwrap();
                            x.unsubscribe().await;
                        }
                    }
                }
            };
            let z_goes = Arc::new(Semaphore::new(0));
            *y.lock() = Some(bus.on("y", ends(waits.clone(), Some(x.clone())).named("y")).unwrap());
            *z.lock() = Some(bus.on("z", ends(z_goes.clone(), None).named("z")).unwrap());
            let settle = || async {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
            };
            bus.publish(event("y")).await.unwrap();
            bus.publish(event("z")).await.unwrap();
            settle().await;
            bus.publish(event("x").payload(serde_json::json!({"n": 1}))).await.unwrap();
            settle().await;
            bus.publish(event("x").payload(serde_json::json!({"n": 2}))).await.unwrap();
            settle().await;
            waits.add_permits(1);
            settle().await;
            z_goes.add_permits(1);
            bus.idle().await;
        });
    });
}

#[test]
fn an_unsubscribe_does_not_wait_for_a_pass_without_its_handler() {
    let bus = Bus::new();
    let z = bus.on("z", |_: &Event| {}).unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let seen = ended.clone();
    bus.on("a", move |_: &Event, context: &Context| {
        context.bus().on("other", |_: &Event| {}).unwrap();
        let z = z.clone();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            block_on(z.unsubscribe());
            let _ = sender.send(());
        });
        seen.store(receiver.recv_timeout(Duration::from_secs(2)).is_ok(), Ordering::Relaxed);
    })
    .unwrap();
    bus.try_publish(event("a")).unwrap();
    assert!(ended.load(Ordering::Relaxed));
}

#[tokio::test]
async fn later_events_of_a_key_are_parked_behind_it_in_a_group_too() {
    let (bus, letters, log) = (Bus::new(), DeadLetters::new(), Log::default());
    let by = |event: &Event| event.user_id().map(|user| Text::from(user.to_string()));
    let options = SubscriptionOptions::new().group("g").ordered_by(by).concurrency(1);
    let busy = Arc::new(Notify::new());
    for name in ["one", "two"] {
        let (log, busy) = (log.clone(), busy.clone());
        let handler = move |event: Event| {
            let (log, busy) = (log.clone(), busy.clone());
            async move {
                if event.user_id().map(ToString::to_string).as_deref() == Some("slow") {
                    busy.notified().await;
                    return Ok(());
                }
                log.add(format!("{name} {}", event.payload().get("n").unwrap()));
                if event.payload().get("n").unwrap() == 1 { Err("no".to_owned()) } else { Ok(()) }
            }
        };
        let handler = handler.with(|_| options.clone()).layer(letters.layer());
        bus.on("a", handler.named(name)).unwrap();
    }
    let of = |user: &str, n: i32| event("a").user_id(user).payload(serde_json::json!({"n": n}));
    let _ = bus.publish_and_wait(of("u", 1)).await.unwrap();
    // Keeps the consumer busy that is first in line; the other one gets the next.
    bus.publish(of("slow", 0)).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut statuses = Vec::new();
    for n in 2..6 {
        statuses.push(bus.publish_and_wait(of("u", n)).await.unwrap().outcomes[0].status);
    }
    busy.notify_one();
    bus.idle().await;
    let parked = letters.list(&DeadLetterFilter::default(), 10).len();
    assert_eq!(
        (parked, statuses.as_slice()),
        (5, [OutcomeStatus::Error; 4].as_slice()),
        "{:?}",
        log.take()
    );
}

#[tokio::test]
async fn subscribing_elsewhere_at_once_is_seen_by_the_next_publish() {
    for _ in 0..200 {
        let bus = Bus::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let bus = bus.clone();
                thread::spawn(move || {
                    for round in 0..50 {
                        let ran = Arc::new(AtomicBool::new(false));
                        let seen = ran.clone();
                        let own = bus
                            .on("a", move |_: &Event| seen.store(true, Ordering::Relaxed))
                            .unwrap();
                        bus.try_publish(event("a")).unwrap();
                        assert!(ran.load(Ordering::Relaxed), "missed in round {round}");
                        if round % 2 == 0 {
                            block_on(own.unsubscribe());
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn a_replay_that_found_nobody_is_no_replay() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let s =
        bus.on("a", (|_: &Event| Err::<(), _>("no")).layer(letters.layer()).named("h")).unwrap();
    bus.publish(event("a")).await.unwrap();
    s.unsubscribe().await;
    letters.replay(&bus, 1).await.unwrap_err();
    let all = letters.replay_all(&bus, &DeadLetterFilter::default()).await.unwrap();
    assert_eq!(all.skipped, 1);
    assert_eq!(letters.get(1).unwrap().replays, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn groups_that_come_and_go() {
    let bus = Bus::new();
    let done = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut churn = Vec::new();
    for _ in 0..3 {
        let (bus, done, stop) = (bus.clone(), done.clone(), stop.clone());
        churn.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let d = done.clone();
                let s = bus
                    .on(
                        "a",
                        (move |_: Event| {
                            let d = d.clone();
                            async move {
                                tokio::task::yield_now().await;
                                d.fetch_add(1, Ordering::Relaxed);
                            }
                        })
                        .with(|o| o.group("g").concurrency(2)),
                    )
                    .unwrap();
                tokio::task::yield_now().await;
                s.unsubscribe().await;
            }
        }));
    }
    for i in 0..20_000 {
        bus.publish(event("a")).await.unwrap();
        if i % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for c in churn {
        c.await.unwrap();
    }
    // a dead lane?
    let s = bus
        .on("a", (|_: Event| async {}).with(|o| o.group("g").concurrency(2)).named("last"))
        .unwrap();
    let r = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(r.outcomes[0].status, OutcomeStatus::Success);
    drop(s);
    bus.idle().await;
}

#[tokio::test(start_paused = true)]
async fn two_handlers_may_both_wait_for_the_others() {
    let bus = Bus::new();
    let idles = async |_: Event, context: Context| {
        tokio::task::yield_now().await;
        context.bus().idle().await;
    };
    for name in ["a", "b"] {
        bus.on(name, idles).unwrap();
        bus.publish(event(name)).await.unwrap();
    }
    let idle = tokio::time::timeout(Duration::from_secs(5), bus.idle()).await;
    assert!(idle.is_ok(), "they wait for each other");
}
