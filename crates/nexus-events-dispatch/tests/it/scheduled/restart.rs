//! What is scheduled survives the program, and fires once whoever opens its store.

use std::sync::Arc;

use nexus_events_dispatch::ManualClock;
use nexus_events_dispatch::store::{EventStore, MemoryStore};

use super::{HOUR, NOON, Program, SECOND, settle, timer};

#[tokio::test(start_paused = true)]
async fn d19_what_was_due_while_nothing_ran_fires_at_the_start_in_its_order() {
    let (store, program) = Program::new().await;
    for (id, hours) in [("c", 3), ("a", 1), ("b", 2), ("later", 9)] {
        program.bus.publish_after(timer(id), hours * HOUR).await.unwrap();
    }
    program.bus.shutdown(SECOND).await;
    let Program { clock, log, .. } = program;
    clock.advance(5 * HOUR);
    settle(60 * SECOND).await;
    assert_eq!(log.take().len(), 0);
    let again = Program::open(&store, &clock).await;
    assert_eq!(again.bus.scheduled_stats().waiting, 4);
    settle(SECOND).await;
    assert_eq!(
        (again.log.take().join(" "), again.waiting().await),
        ("a b c".into(), vec!["later".into()])
    );
    drop(again);
    let third = Program::open(&store, &clock).await;
    settle(10 * SECOND).await;
    assert_eq!((third.log.take().len(), store.bounds().last.number()), (0, 3));
    third.pass(5 * SECOND).await;
    third.clock.advance(4 * HOUR);
    settle(10 * SECOND).await;
    assert_eq!(third.log.take(), ["later"]);
}

#[tokio::test(start_paused = true)]
async fn two_buses_on_one_store_fire_it_once() {
    let (store, one) = Program::new().await;
    let other = Program::open(&store, &one.clock).await;
    for number in 0..100 {
        let program = if number % 3 == 0 { &one } else { &other };
        program.bus.publish_after(timer(&format!("{number}")), 10 * SECOND).await.unwrap();
    }
    one.pass(15 * SECOND).await;
    let fired = one.bus.scheduled_stats().fired + other.bus.scheduled_stats().fired;
    assert_eq!((fired, one.log.take().len() + other.log.take().len()), (100, 100));
    assert_eq!(store.bounds().last.number(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_nobody_has_lets_go_of_its_store() {
    let store = Arc::new(MemoryStore::new());
    let program = Program::open(&store, &ManualClock::new(NOON)).await;
    program.bus.publish_after(timer("a"), HOUR).await.unwrap();
    settle(SECOND).await;
    drop(program);
    // Not only when its timekeeper looks again.
    assert_eq!(Arc::strong_count(&store), 1);
}
