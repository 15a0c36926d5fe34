//! Handlers that run on tasks and threads: order, bounds, workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_events_dispatch::limits::QUEUE_WAIT_MAX;
use nexus_events_dispatch::{Bus, Context, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus};
use tokio::sync::{Notify, Semaphore};

use crate::{Log, event};

/// A handler that waits until the semaphore has a permit for it or is closed.
fn waits_for(
    gate: &Arc<Semaphore>,
) -> impl Fn(Event) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static {
    let gate = gate.clone();
    move |_: Event| {
        let gate = gate.clone();
        Box::pin(async move {
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        })
    }
}

#[tokio::test]
async fn one_event_at_a_time_in_the_order_of_publication() {
    let (bus, log) = (Bus::new(), Log::default());
    let (seen, running) = (log.clone(), Arc::new(AtomicUsize::new(0)));
    bus.on("n.*", move |event: Event| {
        let seen = seen.clone();
        let running = running.clone();
        async move {
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            tokio::task::yield_now().await;
            seen.add(event.event_type().as_str());
            running.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .unwrap();
    let names: Vec<String> = (0..300).map(|number| format!("n.{number}")).collect();
    for name in &names {
        bus.publish(event(name)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(log.take(), names);
}

#[tokio::test]
async fn try_publish_never_waits_and_counts_what_a_full_queue_lost() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(2))).unwrap();
    bus.on("a", (|_: &Event| {}).named("inline")).unwrap();
    let mut rejected = 0;
    for _ in 0..50 {
        rejected += bus.try_publish(event("a")).unwrap().rejected;
        tokio::task::yield_now().await;
    }
    // One runs, two wait.
    assert_eq!(rejected, 47);
    let stats = bus.stats();
    assert_eq!(stats.handler("slow").unwrap().rejected_count, 47);
    assert_eq!(
        (stats.handler("slow").unwrap().queue, stats.handler("slow").unwrap().queue_max),
        (2, Some(2))
    );
    assert_eq!((stats.events.rejected, stats.handler("inline").unwrap().execution_count), (47, 50));
    gate.close();
    bus.idle().await;
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 3);
}

#[tokio::test(start_paused = true)]
async fn publish_waits_a_second_for_room_then_goes_on_without_that_handler() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(1))).unwrap();
    bus.publish(event("a")).await.unwrap();
    tokio::task::yield_now().await;
    bus.publish(event("a")).await.unwrap();
    let before = tokio::time::Instant::now();
    let receipt = bus.publish(event("a")).await.unwrap();
    assert_eq!((receipt.matched, receipt.rejected), (1, 1));
    assert_eq!(before.elapsed().as_secs(), QUEUE_WAIT_MAX.as_secs());
    gate.close();
    bus.idle().await;
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("slow").unwrap().status, OutcomeStatus::Success);
}

#[tokio::test]
async fn publish_goes_on_as_soon_as_there_is_room() {
    let bus = Bus::new();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").with(|options| options.queue(1))).unwrap();
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..20 {
                assert_eq!(bus.publish(event("a")).await.unwrap().rejected, 0);
            }
        }
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    }
    publisher.await.unwrap();
    bus.idle().await;
    assert_eq!(bus.stats().handler("slow").unwrap().execution_count, 20);
}

#[tokio::test]
async fn a_publish_dropped_while_it_waits_loses_nothing() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("a", waits_for(&gate).named("slow").priority(5).with(|options| options.queue(1)))
        .unwrap();
    bus.on("a", log.writes("lower")).unwrap();
    bus.publish(event("a")).await.unwrap();
    tokio::task::yield_now().await;
    bus.publish(event("a")).await.unwrap();
    {
        let third = std::pin::pin!(bus.publish(event("a")));
        let polled = futures_poll_once(third);
        assert!(polled.await, "the queue is full, so it waits");
    }
    gate.close();
    bus.idle().await;
    assert_eq!(log.take().len(), 3);
    assert_eq!(bus.stats().events.handled_events, 3);
}

/// Polls once; whether it is pending.
async fn futures_poll_once(mut future: std::pin::Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|task| std::task::Poll::Ready(future.as_mut().poll(task).is_pending()))
        .await
}

#[tokio::test]
async fn blocking_handlers_are_bounded_by_max_workers() {
    let bus = Bus::builder().max_workers(2).build().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..6 {
        let (running, most) = (running.clone(), most.clone());
        let handler = move |_: &Event| {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            // Gives the others every chance to begin too.
            (0..200).for_each(|_| std::thread::yield_now());
            running.fetch_sub(1, Ordering::SeqCst);
        };
        bus.on("a", handler.mode(Mode::Blocking)).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(bus.publish_and_wait(event("a")).await.unwrap().handlers_notified(), 6);
    }
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at once");
}

#[tokio::test]
async fn a_blocking_handler_may_block_until_another_handler_runs() {
    let bus = Bus::new();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Mutex::new(receiver);
    let blocks =
        move |_: &Event| receiver.lock().unwrap().recv().map_err(|error| error.to_string());
    bus.on("a", blocks.mode(Mode::Blocking).named("blocks")).unwrap();
    bus.on("a", move |_: Event| {
        let sender = sender.clone();
        async move { sender.send(()).map_err(|error| error.to_string()) }
    })
    .unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
}

#[tokio::test]
async fn queued_events_are_handled_after_the_last_handle_of_the_bus_is_gone() {
    let log = Log::default();
    let done = Arc::new(Notify::new());
    {
        let bus = Bus::new();
        let (seen, done) = (log.clone(), done.clone());
        bus.on("a", move |_: Event| {
            let seen = seen.clone();
            let done = done.clone();
            async move {
                seen.add("ran");
                done.notify_one();
            }
        })
        .unwrap();
        bus.publish(event("a")).await.unwrap();
    }
    done.notified().await;
    assert_eq!(log.take(), ["ran"]);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_that_waits_for_a_report_lends_its_worker() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let asks = async |_: Event, context: Context| {
        context.publish_and_wait(event("b")).await.map(|report| assert!(report.is_success()))
    };
    bus.on("a", asks.mode(Mode::Blocking)).unwrap();
    bus.on("b", (|_: &Event| {}).mode(Mode::Blocking)).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert!(report.is_success(), "{report:?}");
}

/// A handler that gives up waiting for a report, and then works on for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_handler_that_gives_up_waiting_takes_its_worker_back() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let works = {
        let (running, most) = (running.clone(), most.clone());
        move || {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Gives the others every chance to begin too.
            (0..200).for_each(|_| std::thread::yield_now());
            running.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let lent = works.clone();
    bus.on("lent", (move |_: &Event| lent()).mode(Mode::Blocking)).unwrap();
    let gives_up = move |_: Event, context: Context| {
        let works = works.clone();
        async move {
            {
                let mut waits = std::pin::pin!(context.publish_and_wait(event("lent")));
                // Others of the queue behind it may have the worker meanwhile.
                futures_poll_once(waits.as_mut()).await;
            }
            works();
        }
    };
    bus.on("a", gives_up.mode(Mode::Blocking).named("gives up")).unwrap();
    for _ in 0..200 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(most.load(Ordering::SeqCst), 1, "at once");
    assert_eq!(bus.stats().handler("gives up").unwrap().execution_count, 200);
    // It is the only worker still.
    assert!(bus.publish_and_wait(event("lent")).await.unwrap().is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_handler_may_wait_for_two_reports_with_one_worker() {
    let bus = Bus::builder().max_workers(1).build().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    bus.on("quick", (|_: &Event| {}).mode(Mode::Blocking)).unwrap();
    bus.on("late", waits_for(&gate).priority(1)).unwrap();
    bus.on("late", (|_: &Event| {}).mode(Mode::Blocking)).unwrap();
    let asks = move |_: Event, context: Context| {
        let gate = gate.clone();
        async move {
            let quick = async {
                assert!(context.publish_and_wait(event("quick")).await.unwrap().is_success());
                // Only now the other one needs the worker.
                gate.add_permits(1);
            };
            let late = context.publish_and_wait(event("late"));
            let ((), late) = tokio::join!(quick, late);
            late.map(|report| assert!(report.is_success()))
        }
    };
    bus.on("a", asks.mode(Mode::Blocking)).unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
}
