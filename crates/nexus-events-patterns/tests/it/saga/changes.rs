//! Changes of one saga that meet.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use nexus_events_dispatch::ErrorKind as BusErrorKind;
use nexus_events_dispatch::layers::Retry;
use nexus_events_model::Event;
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{Saga, SagaContext, SagaHandle};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Program, SECOND, of};

fn counter() -> Saga<u32> {
    let count = |number: &mut u32, _: &Event, _: &mut SagaContext| *number += 1;
    Saga::<u32>::named("counter")
        .starts("count", "id", count)
        // One attempt: a conflict that used it up would be a dead letter.
        .retry(Retry::new().max_attempts(1))
}

#[test]
fn a_thousand_updates_of_one_saga_are_a_thousand() {
    two_workers().block_on(async {
        let program = Program::new().await;
        let sagas = counter().build().unwrap().attach(&program.bus).unwrap();
        let mut publishers = JoinSet::new();
        for _ in 0..10 {
            let bus = program.bus.clone();
            publishers.spawn(async move {
                for _ in 0..100 {
                    bus.publish(of("count", 1)).await.unwrap();
                }
            });
        }
        publishers.join_all().await;
        program.bus.idle().await;
        assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(1_000));
        assert!(program.dead_letters().is_empty());
    });
}

/// Counts, and has a timeout that somebody may move meanwhile.
fn counter_with_timeout(counted: impl Fn(&SagaContext<'_>) + Send + Sync + 'static) -> Saga<u32> {
    Saga::<u32>::named("counter")
        .starts("begin", "id", |_: &mut u32, _: &Event, saga: &mut SagaContext| {
            saga.timeout_after("never", SECOND * 1_000);
        })
        .on("count", "id", move |number: &mut u32, _: &Event, saga: &mut SagaContext| {
            *number += 1;
            counted(saga);
        })
        .retry(Retry::new().max_attempts(1))
}

fn two_workers() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    { runtime }.worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn changes_by_hand_and_by_events_meet_and_none_is_lost_and_no_retry_used_up() {
    two_workers().block_on(async {
        let program = Program::new().await;
        let sagas = counter_with_timeout(|_| ()).build().unwrap().attach(&program.bus).unwrap();
        program.publish_all([of("begin", 1)]).await;
        let by_hand = sagas.clone();
        let meddler = tokio::spawn(async move {
            let mut moved = 0;
            while moved < 50 {
                let timer = by_hand.get("1").await.unwrap().unwrap().timers.remove(0);
                match by_hand.move_timeout("1", &timer.id, timer.due + SECOND).await {
                    Ok(_) => moved += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Bus(BusErrorKind::Conflict)),
                }
                tokio::task::yield_now().await;
            }
        });
        let due = sagas.get("1").await.unwrap().unwrap().started + SECOND * 1_000;
        program.publish_all((0..200).map(|_| of("count", 1))).await;
        meddler.await.unwrap();
        let counter = sagas.get("1").await.unwrap().unwrap();
        assert_eq!(counter.state(), json!(200));
        assert_eq!((counter.timers.len(), counter.timers[0].due), (1, due + SECOND * 50));
        assert_eq!(program.dead_letters(), [""; 0]);
    });
}

#[test]
fn a_change_that_meets_another_is_made_again_on_what_is_there() {
    two_workers().block_on(async {
        let program = Program::new().await;
        let by_hand = Arc::<OnceLock<SagaHandle>>::default();
        let (hand, calls) = (by_hand.clone(), Arc::<AtomicU32>::default());
        let called = calls.clone();
        // The saga is read, and changed by somebody else before the handler is done.
        let saga = counter_with_timeout(move |saga| {
            if called.fetch_add(1, Ordering::SeqCst) == 0 {
                let timer = &saga.timers()[0];
                let moved = hand.get().unwrap().move_timeout("1", &timer.id, timer.due + SECOND);
                tokio::task::block_in_place(|| Handle::current().block_on(moved)).unwrap();
            }
        });
        let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
        by_hand.set(sagas.clone()).unwrap();
        program.publish_all([of("begin", 1)]).await;
        let due = sagas.get("1").await.unwrap().unwrap().timers[0].due;
        program.publish_all([of("count", 1)]).await;
        let counter = sagas.get("1").await.unwrap().unwrap();
        assert_eq!((calls.load(Ordering::SeqCst), counter.state()), (2, json!(1)));
        assert_eq!((counter.timers.len(), counter.timers[0].due), (1, due + SECOND));
        assert_eq!((sagas.stats().conflicts, program.dead_letters().len()), (1, 0));
        assert_eq!(program.bus.scheduled_stats().waiting, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_is_cancelled_by_hand_ends_with_its_timeouts() {
    let program = Program::new().await;
    let saga = Saga::<()>::named("long")
        .starts("start", "id", |(): &mut (), _: &Event, saga: &mut SagaContext| {
            saga.timeout_after("late", SECOND);
        })
        .timeout("late", |(): &mut (), _: &serde_json::Value, _: &mut SagaContext| {});
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", 1)]).await;
    assert_eq!(program.bus.scheduled_stats().waiting, 1);
    let cancelled = sagas.cancel("1", "changed my mind").await.unwrap();
    assert_eq!(cancelled.status.reason().unwrap(), "changed my mind");
    assert!(sagas.get("1").await.unwrap().is_none());
    assert_eq!(program.bus.scheduled_stats().waiting, 0);
    assert_eq!(sagas.stats().cancelled, 1);
    assert_eq!(sagas.cancel("1", "again").await.unwrap_err().kind(), ErrorKind::NotFound);
}
