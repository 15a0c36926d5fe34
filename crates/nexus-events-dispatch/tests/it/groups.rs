//! Consumer groups: one of several handlers gets each event.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, Mode, Overload, Subscription, SubscriptionOptions,
};
use nexus_events_model::{Event, Filter, OutcomeStatus, Text};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::delivery::{gated, settle};
use crate::{Log, event};

fn workers(options: SubscriptionOptions) -> SubscriptionOptions {
    options.group("workers")
}

/// A consumer that writes its own name and the event's type.
fn consumer(
    log: &Log,
    name: &str,
) -> impl Fn(Event) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static {
    let (log, name) = (log.clone(), name.to_owned());
    move |event: Event| {
        let (log, name) = (log.clone(), name.clone());
        Box::pin(async move {
            log.add(format!("{name} {}", event.event_type()));
            tokio::task::yield_now().await;
        })
    }
}

#[tokio::test]
async fn each_event_goes_to_one_consumer_and_all_take_part() {
    let (bus, log) = (Bus::new(), Log::default());
    for name in ["a", "b", "c"] {
        bus.on("n.*", consumer(&log, name).with(workers).named(name)).unwrap();
    }
    for number in 0..300 {
        let receipt = bus.publish(event(&format!("n.{number}"))).await.unwrap();
        assert_eq!((receipt.matched, receipt.rejected), (1, 0));
    }
    bus.idle().await;
    let seen = log.take();
    let mut events: Vec<&str> = seen.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!((seen.len(), events.len()), (300, 300));
    for name in ["a", "b", "c"] {
        let count = bus.stats().handler(name).unwrap().execution_count;
        assert!(count > 0, "{name} got nothing");
    }
}

#[tokio::test]
async fn a_report_names_the_consumer_that_ran() {
    let (bus, log) = (Bus::new(), Log::default());
    for name in ["a", "b"] {
        bus.on("n.*", consumer(&log, name).with(workers).named(name)).unwrap();
    }
    let report = bus.publish_and_wait(event("n.1")).await.unwrap();
    assert_eq!(report.outcomes.len(), 1);
    let ran = log.take().remove(0);
    assert_eq!(&*report.outcomes[0].handler, ran.split(' ').next().unwrap());
}

#[tokio::test]
async fn what_waits_for_a_consumer_that_leaves_goes_to_the_others() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let leaving = bus.on("n.*", gated(&gate, &log).with(workers).named("leaves")).unwrap();
    for number in 0..10 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
        settle().await;
    }
    // Nine wait behind the one that runs.
    bus.on("n.*", gated(&gate, &log).with(workers).named("stays")).unwrap();
    settle().await;
    let left = tokio::spawn(async move { leaving.unsubscribe().await });
    gate.close();
    assert!(left.await.unwrap());
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.skipped_events, events.unsubscribed), (10, 0, 0));
    assert_eq!(bus.stats().handler("stays").unwrap().execution_count, 9);
}

#[tokio::test]
async fn the_last_consumer_that_leaves_skips_what_waits() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let consumers =
        ["a", "b"].map(|name| bus.on("n.*", gated(&gate, &log).with(workers).named(name)).unwrap());
    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move {
            for number in 0..9 {
                bus.publish(event(&format!("n.{number}"))).await.unwrap();
            }
            bus.publish_and_wait(event("n.last")).await.unwrap()
        }
    });
    settle().await;
    let left = consumers.map(|it| tokio::spawn(async move { it.unsubscribe().await }));
    settle().await;
    gate.close();
    for left in left {
        assert!(left.await.unwrap());
    }
    let report = waiting.await.unwrap();
    assert_eq!(report.outcomes[0].status, OutcomeStatus::Skipped);
    assert_eq!(report.outcomes[0].error.as_deref(), Some("unsubscribed"));
    bus.idle().await;
    let events = bus.stats().events;
    assert_eq!((events.handled_events, events.skipped_events, events.unsubscribed), (2, 8, 8));
    assert_eq!(bus.publish(event("n.1")).await.unwrap().matched, 0, "the group is gone");
}

#[tokio::test]
async fn another_of_anything_shared_is_refused_by_name() {
    let bus = Bus::new();
    let high = Filter::parse("priority == 'high'").unwrap();
    let first = SubscriptionOptions::new().group("workers").queue(8);
    let nothing = async |_: Event| {};
    bus.on("n.*", nothing.with(|_| first.clone())).unwrap();
    let others = [
        ("n.**", first.clone(), "pattern"),
        ("n.*", first.clone().filter(high), "filters"),
        ("n.*", first.clone().priority(1), "handler priority"),
        ("n.*", first.clone().mode(Mode::Blocking), "mode"),
        ("n.*", first.clone().queue(9), "queue"),
        ("n.*", first.clone().queue_bytes(9), "queue_bytes"),
        ("n.*", first.clone().overload(Overload::DropOldest), "overload"),
        ("n.*", first.clone().ordered_by(|_| None), "key"),
    ];
    for (pattern, options, what) in others {
        let error = bus.on(pattern, nothing.with(|_| options)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        let text = format!("the group `workers` has another {what};");
        assert!(error.to_string().contains(&text), "{what}: {error}");
    }
    bus.on("n.*", nothing.with(|_| first.clone().concurrency(4))).unwrap();
    assert_eq!(bus.stats().handlers.len(), 2, "a refused one leaves nothing behind");
}

#[tokio::test]
async fn two_groups_and_a_handler_alone_get_each_event_each() {
    let (bus, log) = (Bus::new(), Log::default());
    for (name, group) in [("a", "one"), ("b", "one"), ("c", "two")] {
        let options = |options: SubscriptionOptions| options.group(group).name(name);
        bus.on("n.*", consumer(&log, group).with(options)).unwrap();
    }
    bus.on("n.*", consumer(&log, "alone")).unwrap();
    assert_eq!(bus.publish(event("n.1")).await.unwrap().matched, 3);
    bus.idle().await;
    let mut seen = log.take();
    seen.sort();
    assert_eq!(seen, ["alone n.1", "one n.1", "two n.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_stays_in_order_across_consumers() {
    let bus = Bus::new();
    let seen: Arc<Mutex<HashMap<Text, Vec<u64>>>> = Arc::default();
    let by_user = |event: &Event| event.user_id().map(|user| Text::from(user.to_string()));
    let shared = SubscriptionOptions::new().group("workers").ordered_by(by_user);
    for number in 0..4 {
        let seen = seen.clone();
        let consumer = move |event: Event| {
            let seen = seen.clone();
            async move {
                tokio::task::yield_now().await;
                let number = event.payload().get("n").and_then(serde_json::Value::as_u64).unwrap();
                let user = Text::from(event.user_id().unwrap().to_string());
                seen.lock().entry(user).or_default().push(number);
            }
        };
        let shared = shared.clone().name(format!("consumer-{number}"));
        bus.on("a", consumer.with(|_| shared)).unwrap();
    }
    for number in 0..2_000_u64 {
        let user = format!("user-{}", number * 7 % 13);
        let next = event("a").user_id(user.as_str()).payload(json!({"n": number}));
        assert_eq!(bus.publish(next).await.unwrap().rejected, 0);
    }
    bus.idle().await;
    let seen = seen.lock();
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 2_000);
    assert!(seen.values().all(|numbers| numbers.is_sorted()));
    let busy = bus.stats().handlers.iter().filter(|handler| handler.execution_count > 0).count();
    assert!(busy > 1, "only {busy} of the consumers ran");
}

#[tokio::test]
async fn a_consumer_that_panics_stays_and_loses_its_event_alone() {
    let (bus, log) = (Bus::new(), Log::default());
    let panics = |_: &Event| -> () { panic!("on purpose") };
    bus.on("n.*", panics.mode(Mode::Queued).with(workers).named("panics")).unwrap();
    bus.on("n.*", consumer(&log, "works").with(workers).named("works")).unwrap();
    for number in 0..100 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
    }
    bus.idle().await;
    let stats = bus.stats();
    let [panics, works] = ["panics", "works"].map(|name| stats.handler(name).unwrap());
    assert_eq!(panics.panic_count, panics.execution_count);
    assert_eq!(panics.execution_count + works.execution_count, 100);
    assert_eq!((works.panic_count, works.execution_count as usize), (0, log.take().len()));
    assert!(panics.execution_count > 1, "it goes on after a panic");
}

#[tokio::test]
async fn the_statistics_show_the_queue_of_the_group_and_what_it_dropped() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let options =
        |options: SubscriptionOptions| workers(options).queue(3).overload(Overload::DropOldest);
    for name in ["a", "b"] {
        bus.on("n.*", gated(&gate, &log).with(options).named(name)).unwrap();
    }
    for number in 0..10 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
        settle().await;
    }
    let stats = serde_json::to_value(bus.stats()).unwrap();
    for name in ["a", "b"] {
        let consumer = &stats["handlers"][name];
        assert_eq!(consumer["group"], "workers");
        assert_eq!((&consumer["queue"], &consumer["queue_max"]), (&json!(3), &json!(3)));
        assert_eq!(consumer["dropped"], json!({"oldest": 5}));
        assert_eq!(consumer["rejected_count"], 5);
        assert!(consumer["queue_bytes"].as_u64() > Some(0) && !consumer["queue_wait_us"].is_null());
    }
    assert_eq!(stats["event_stats"]["rejected"], 5, "counted once, not for each consumer");
    gate.close();
    bus.idle().await;
    assert_eq!(log.take().len(), 5);
}

#[tokio::test]
async fn a_consumer_may_cancel_for_lower_handlers() {
    let (bus, log) = (Bus::new(), Log::default());
    for name in ["a", "b"] {
        let cancel = async |_: Event, context: Context| context.cancel("enough");
        bus.on("n.*", cancel.with(workers).priority(5).named(name)).unwrap();
    }
    bus.on("n.*", log.writes("lower").named("lower")).unwrap();
    let report = bus.publish_and_wait(event("n.1")).await.unwrap();
    let error = report.outcome("lower").unwrap().error.clone().unwrap();
    assert!(
        ["a", "b"].map(|name| format!("cancelled by {name}: enough")).contains(&error.to_string())
    );
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn a_consumer_may_leave_from_inside_itself() {
    let (bus, log) = (Bus::new(), Log::default());
    let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let (mine, seen) = (own.clone(), log.clone());
    let leaves = move |_: Event| {
        let (mine, seen) = (mine.clone(), seen.clone());
        async move {
            let subscription = mine.lock().take();
            assert!(subscription.unwrap().unsubscribe().await);
            seen.add("left");
        }
    };
    *own.lock() = Some(bus.on("n.*", leaves.with(workers).named("leaves")).unwrap());
    for number in 0..5 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
    }
    bus.on("n.*", consumer(&log, "stays").with(workers).named("stays")).unwrap();
    bus.idle().await;
    let seen = log.take();
    assert_eq!(seen.iter().filter(|line| *line == "left").count(), 1);
    assert_eq!((seen.len(), bus.stats().events.handled_events), (5, 5), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_whose_consumers_come_and_go_never_stops() {
    let bus = Bus::new();
    let turns: Vec<_> = (0..4)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    let consumer = bus.on("a", (async |_: Event| {}).with(workers)).unwrap();
                    bus.publish(event("a")).await.unwrap();
                    consumer.unsubscribe().await;
                }
            })
        })
        .collect();
    for turn in turns {
        turn.await.unwrap();
    }
    bus.idle().await;
    let last = bus.on("a", (async |_: Event| {}).with(workers).named("last")).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("last").unwrap().status, OutcomeStatus::Success);
    last.unsubscribe().await;
    let events = bus.stats().events;
    assert_eq!(
        events.handled_events + events.skipped_events + events.unmatched_events,
        events.total_events
    );
    assert_eq!(events.rejected, 0);
}

/// Subscribes a consumer when it is woken.
struct Joins(Bus);

impl Wake for Joins {
    fn wake(self: Arc<Self>) {
        // The second time the name is taken.
        let _ = self.0.on("a", (async |_: Event| {}).with(few).named("new"));
    }
}

fn few(options: SubscriptionOptions) -> SubscriptionOptions {
    workers(options).queue(1)
}

#[tokio::test]
async fn a_consumer_may_join_at_the_moment_when_the_last_one_leaves() {
    let (bus, gate) = (Bus::new(), Arc::new(Semaphore::new(0)));
    let old = bus.on("a", gated(&gate, &Log::default()).with(few).named("old")).unwrap();
    for _ in 0..2 {
        bus.publish(event("a")).await.unwrap();
        settle().await;
    }
    // A third waits for room, and is woken while the last consumer leaves.
    let waker = Waker::from(Arc::new(Joins(bus.clone())));
    let mut third = std::pin::pin!(bus.publish(event("a")));
    assert!(third.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    gate.close();
    assert!(old.unsubscribe().await);
    third.await.unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("new").unwrap().status, OutcomeStatus::Success);
}

#[test]
fn a_group_whose_runtimes_have_ended_goes_on_with_the_next_consumer() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (bus, first) = (Bus::new(), runtime());
    let old = first
        .block_on(async { bus.on("a", (async |_: Event| {}).with(workers).named("old")) })
        .unwrap();
    drop(first);
    assert_eq!(bus.try_publish(event("a")).unwrap().rejected, 1);
    runtime().block_on(async {
        bus.on("a", (async |_: Event| {}).with(workers).named("new")).unwrap();
        for _ in 0..2 {
            let report = bus.publish_and_wait(event("a")).await.unwrap();
            assert_eq!(report.outcome("new").unwrap().status, OutcomeStatus::Success);
            old.unsubscribe().await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_whole_group_until_the_deadline() {
    let bus = Bus::new();
    for name in ["a", "b"] {
        let slow = async |_: Event| tokio::time::sleep(Duration::from_secs(1)).await;
        bus.on("n.*", slow.with(workers).named(name)).unwrap();
    }
    for number in 0..10 {
        bus.publish(event(&format!("n.{number}"))).await.unwrap();
    }
    let report = bus.shutdown(Duration::from_millis(2_500)).await;
    // Two at a time, two rounds.
    assert_eq!((report.drained, report.lost), (4, 6));
}
