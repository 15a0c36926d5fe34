//! Changes of one saga that meet.

use nexus_events_dispatch::layers::Retry;
use nexus_events_model::Event;
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{Saga, SagaContext, SagaStatus};
use serde_json::json;
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
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
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

#[test]
fn two_programs_on_one_store_lose_no_update_and_use_up_no_retry() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let program = Program::new().await;
        let sagas = counter().build().unwrap().attach(&program.bus).unwrap();
        // Changes the same sagas by hand, as somebody at a console would.
        let by_hand = sagas.clone();
        program.publish_all([of("count", 1)]).await;
        let meddler = tokio::spawn(async move {
            for _ in 0..50 {
                let halt = by_hand.cancel("none", "nobody").await;
                assert_eq!(halt.unwrap_err().kind(), ErrorKind::NotFound);
                let id = by_hand.get("1").await.unwrap().unwrap().id;
                let gone = by_hand.cancel_timeout("1", &id).await;
                assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
            }
        });
        program.publish_all((0..200).map(|_| of("count", 1))).await;
        meddler.await.unwrap();
        assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(201));
        assert!(program.dead_letters().is_empty());
    });
}

#[tokio::test(start_paused = true)]
async fn a_change_that_meets_another_is_made_again_on_what_is_there() {
    let program = Program::new().await;
    let (began, go_on) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let (began, go_on) = (std::sync::Arc::new(began), std::sync::Arc::new(go_on));
    drop((began, go_on));
    let sagas = counter()
        .on("wait", "id", |number: &mut u32, _: &Event, saga: &mut SagaContext| {
            *number += 10;
            saga.timeout_after("never", SECOND);
        })
        .build()
        .unwrap()
        .attach(&program.bus)
        .unwrap();
    program.publish_all([of("count", 1), of("wait", 1)]).await;
    let timer = sagas.get("1").await.unwrap().unwrap().timers.remove(0);
    // Both read before either writes.
    let (one, other) = tokio::join!(
        sagas.move_timeout("1", &timer.id, timer.due + SECOND),
        sagas.cancel("1", "enough"),
    );
    assert!(one.is_ok() || other.is_ok());
    let ended = sagas.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(ended[0].status, SagaStatus::Cancelled { reason: "enough".into() });
    assert_eq!(program.bus.scheduled_stats().waiting, 0);
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
