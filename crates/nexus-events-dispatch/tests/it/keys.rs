//! `ordered_by`: one key in order and one at a time, the others meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_events_dispatch::{
    Bus, Context, HandlerError, HandlerExt, LastAttempt, SubscriptionOptions,
};
use nexus_events_model::{Event, OutcomeStatus, Priority, Text};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::{Barrier, Semaphore};

use crate::delivery::{gated, settle};
use crate::{Log, event};

fn by_user(event: &Event) -> Option<Text> {
    event.user_id().map(|user| Text::from(user.to_string()))
}

fn keyed(options: SubscriptionOptions) -> SubscriptionOptions {
    options.ordered_by(by_user)
}

/// What ran, by user, and whether two of one user ever ran at once.
#[derive(Default)]
struct Seen {
    numbers: HashMap<Text, Vec<u64>>,
    running: HashMap<Text, bool>,
    overlaps: usize,
}

fn records(
    seen: &Arc<Mutex<Seen>>,
) -> impl Fn(Event) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static {
    let seen = seen.clone();
    move |event: Event| {
        let seen = seen.clone();
        Box::pin(async move {
            let user = by_user(&event).unwrap();
            let number = event.payload().get("n").and_then(serde_json::Value::as_u64).unwrap();
            {
                let mut seen = seen.lock();
                let others = seen.running.insert(user.clone(), true) == Some(true);
                seen.overlaps += usize::from(others);
                seen.numbers.entry(user.clone()).or_default().push(number);
            }
            for _ in 0..number % 3 {
                tokio::task::yield_now().await;
            }
            seen.lock().running.insert(user, false);
        })
    }
}

/// Publishes one event per key and priority, in order; what ran.
async fn run(concurrency: usize, events: &[(u8, u8)]) -> Arc<Mutex<Seen>> {
    let (bus, seen) = (Bus::new(), Arc::<Mutex<Seen>>::default());
    let options = |options| keyed(options).concurrency(concurrency);
    bus.on("a", records(&seen).with(options)).unwrap();
    for (number, (user, priority)) in events.iter().enumerate() {
        let priority = Priority::ALL[usize::from(*priority) % 4];
        let next = event("a").user_id(format!("user-{user}")).payload(json!({"n": number}));
        bus.publish(next.priority(priority)).await.unwrap();
    }
    bus.idle().await;
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the keys, the priorities and the number of tasks: per key, the order of
    /// publication and never two at once.
    #[test]
    fn each_key_runs_in_the_order_of_publication(
        events in prop::collection::vec((0_u8..6, 0_u8..4), 1..200),
        concurrency in 1_usize..9,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_time()
            .build()
            .unwrap();
        let seen = runtime.block_on(run(concurrency, &events));
        let seen = seen.lock();
        prop_assert_eq!(seen.overlaps, 0);
        let mut expected: HashMap<Text, Vec<u64>> = HashMap::new();
        for (number, (user, _)) in events.iter().enumerate() {
            expected.entry(format!("user-{user}").into()).or_default().push(number as u64);
        }
        prop_assert_eq!(&seen.numbers, &expected);
    }
}

#[tokio::test]
async fn other_keys_go_on_while_one_is_slow() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let (slow, seen) = (gated(&gate, &log), log.clone());
    let handler = move |event: Event| {
        let (slow, seen) = (slow.clone(), seen.clone());
        async move {
            if *event.user_id().unwrap() == *"slow" {
                slow(event).await;
            } else {
                seen.add(event.event_type().as_str());
            }
        }
    };
    bus.on("n.*", handler.with(keyed)).unwrap();
    for (name, user) in [("n.1", "slow"), ("n.2", "slow"), ("n.3", "quick"), ("n.4", "quick")] {
        bus.publish(event(name).user_id(user)).await.unwrap();
    }
    settle().await;
    assert_eq!(log.take(), ["n.3", "n.4"]);
    gate.close();
    bus.idle().await;
    assert_eq!(log.take(), ["n.1", "n.2"]);
}

#[tokio::test]
async fn events_without_a_key_run_at_the_same_time() {
    let bus = Bus::new();
    let barrier = Arc::new(Barrier::new(8));
    let handler = move |_: Event| {
        let barrier = barrier.clone();
        // Each waits for the seven others.
        async move {
            barrier.wait().await;
        }
    };
    bus.on("a", handler.with(keyed)).unwrap();
    for _ in 0..8 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(bus.stats().events.handled_events, 8);
}

#[tokio::test]
async fn no_more_keys_run_at_once_than_its_concurrency_says() {
    let bus = Bus::new();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, maximum) = (running.clone(), most.clone());
    let handler = move |_: Event| {
        let (now, maximum) = (now.clone(), maximum.clone());
        async move {
            maximum.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
        }
    };
    bus.on("a", handler.with(|options| keyed(options).concurrency(3))).unwrap();
    for number in 0..90 {
        bus.publish(event("a").user_id(format!("user-{number}"))).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_key_that_panics_is_no_panic_of_the_publisher() {
    let (bus, log) = (Bus::new(), Log::default());
    let panics = |options: SubscriptionOptions| options.ordered_by(|_| panic!("on purpose"));
    bus.on("a", log.writes_async("keyed").with(panics).named("keyed")).unwrap();
    bus.on("a", log.writes("other")).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("keyed").unwrap().status, OutcomeStatus::Success);
    assert_eq!(log.take().len(), 2);
}

/// `n.fails` fails and tries again when the gate opens, `n.hangs` hangs.
fn tries_again(
    gate: &Arc<Semaphore>,
    log: &Log,
) -> impl Fn(Event, Context) -> std::pin::Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>
+ Send
+ Sync
+ 'static {
    let (gate, log) = (gate.clone(), log.clone());
    move |event: Event, _: Context| {
        let (gate, log) = (gate.clone(), log.clone());
        Box::pin(async move {
            log.add(event.event_type().as_str());
            match event.event_type().as_str() {
                "n.hangs" => std::future::pending().await,
                "n.fails" => {
                    let again = Box::pin(async move {
                        drop(gate.acquire().await);
                        log.add("again");
                        LastAttempt { attempt: 2, result: Ok(json!(null)) }
                    });
                    Err(HandlerError::from("later").with_retries(again))
                }
                _ => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn the_next_of_a_key_waits_for_further_attempts_and_then_needs_no_busy_task() {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", tries_again(&gate, &log).with(keyed)).unwrap();
    for (name, user) in
        [("n.fails", "one"), ("n.next", "one"), ("n.hangs", "two"), ("n.hangs", "three")]
    {
        bus.publish(event(name).user_id(user)).await.unwrap();
        settle().await;
    }
    assert_eq!(log.take(), ["n.fails", "n.hangs", "n.hangs"], "the next of the key waits");
    gate.close();
    settle().await;
    // All the tasks there were hang.
    assert_eq!(log.take(), ["again", "n.next"]);
}
