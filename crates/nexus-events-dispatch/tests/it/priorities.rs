//! Event priorities in one queue: turns, ageing, keys.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::limits::QUEUE_AGEING_STEP;
use nexus_events_dispatch::{Bus, HandlerExt, SubscriptionOptions};
use nexus_events_model::{Event, Priority, Text};
use tokio::sync::Semaphore;

use crate::delivery::{gated, settle};
use crate::{Log, event};

async fn busy(
    options: impl Fn(SubscriptionOptions) -> SubscriptionOptions,
) -> (Bus, Log, Arc<Semaphore>) {
    let (bus, log) = (Bus::new(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    bus.on("n.*", gated(&gate, &log).with(options)).unwrap();
    bus.publish(event("n.runs")).await.unwrap();
    settle().await;
    (bus, log, gate)
}

#[tokio::test(start_paused = true)]
async fn a_round_has_eight_critical_four_high_two_normal_and_one_low_turn() {
    let (bus, log, gate) = busy(|options| options).await;
    // The lowest come first, so nothing but the turns puts others before them.
    for priority in Priority::ALL {
        for _ in 0..30 {
            let name = format!("n.{}", priority.as_str().to_lowercase());
            bus.publish(event(&name).priority(priority)).await.unwrap();
        }
    }
    gate.close();
    bus.idle().await;
    let ran = log.take();
    for round in ran[1..].chunks(15).take(3) {
        let turns = ["critical", "high", "normal", "low"]
            .map(|class| round.iter().filter(|name| **name == format!("n.{class}")).count());
        assert_eq!(turns, [8, 4, 2, 1], "{round:?}");
    }
    assert_eq!(ran.len(), 121);
}

#[tokio::test]
async fn one_priority_is_in_the_order_of_publication() {
    let (bus, log, gate) = busy(|options| options).await;
    for number in 0..50 {
        let priority = if number % 2 == 0 { Priority::High } else { Priority::Low };
        bus.publish(event(&format!("n.{number}")).priority(priority)).await.unwrap();
    }
    gate.close();
    bus.idle().await;
    let numbers: Vec<u32> =
        log.take().iter().filter_map(|name| name.strip_prefix("n.")?.parse().ok()).collect();
    for odd in [0, 1] {
        assert!(numbers.iter().filter(|number| *number % 2 == odd).is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_counts_one_priority_higher_for_each_second_it_waits() {
    let (bus, log, gate) = busy(|options| options).await;
    bus.publish(event("n.old").priority(Priority::Low)).await.unwrap();
    tokio::time::advance(QUEUE_AGEING_STEP * 3).await;
    for _ in 0..30 {
        bus.publish(event("n.critical").priority(Priority::Critical)).await.unwrap();
    }
    gate.close();
    bus.idle().await;
    let ran = log.take();
    let place = ran.iter().position(|name| name == "n.old").unwrap();
    assert!(place <= 3, "{place}: as old as it is it counts as critical");
}

#[tokio::test]
async fn a_high_event_does_not_pass_a_lower_one_of_its_key() {
    let by_user = |event: &Event| event.user_id().map(|user| Text::from(user.to_string()));
    let options = |options: SubscriptionOptions| options.ordered_by(by_user).concurrency(1);
    let (bus, log, gate) = busy(options).await;
    for (name, user, priority) in [
        ("n.1", "one", Priority::Low),
        ("n.2", "one", Priority::Critical),
        ("n.3", "two", Priority::Critical),
    ] {
        bus.publish(event(name).user_id(user).priority(priority)).await.unwrap();
    }
    gate.close();
    bus.idle().await;
    let ran = log.take();
    let place = |name: &str| ran.iter().position(|ran| ran == name).unwrap();
    assert!(place("n.1") < place("n.2"), "{ran:?}");
    assert!(place("n.3") < place("n.2"), "{ran:?}");
}

#[tokio::test(start_paused = true)]
async fn the_statistics_say_how_long_the_oldest_has_waited() {
    let (bus, _log, gate) = busy(|options| options.name("it")).await;
    bus.publish(event("n.low").priority(Priority::Low)).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    bus.publish(event("n.high").priority(Priority::High)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(bus.stats().handler("it").unwrap().queue_wait, Some(Duration::from_secs(3)));
    gate.close();
    bus.idle().await;
}
