use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{SagaStatus, StepRetry, StepSaga};
use serde_json::{Value, json};

use super::{Act, MINUTE, Program, World, ended, settle, start, statuses};

#[tokio::test(start_paused = true)]
async fn a_running_step_is_told_and_what_is_known_is_taken_back() {
    let (program, world) = (Program::new().await, World::default());
    let finished = program.record("saga.*");
    world.will("b", [Act::GivesUp]);
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    let cancelled = sagas.cancel("1", "changed my mind").await.unwrap();
    assert_eq!(cancelled.status, SagaStatus::Compensating { reason: "changed my mind".into() });
    program.bus.idle().await;
    // b has failed with an error, so there is nothing to take back.
    assert_eq!(world.calls(), ["a#1", "b#1", "-a#1 log of a"]);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status, SagaStatus::Cancelled { reason: "changed my mind".into() });
    assert_eq!(statuses(&saga), ["a compensated", "b failed"]);
    assert_eq!(finished.events()[0].event_type(), "saga.cancelled");
    assert_eq!((finished.len(), sagas.stats().cancelled, sagas.stats().conflicts), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_completes_after_all_is_taken_back_with_what_it_returned() {
    let (program, world) = (Program::new().await, World::default());
    let (gate, published) =
        (std::sync::Arc::new(tokio::sync::Notify::new()), program.record("did"));
    let (wait, runs) = (gate.clone(), world.clone());
    let saga = StepSaga::<Value>::named("s")
        .step("a", move |step| {
            let (wait, runs) = (wait.clone(), runs.clone());
            async move {
                wait.notified().await;
                step.publish(nexus_events_model::Event::builder("did"));
                runs.step("a")(step).await
            }
        })
        .compensate(world.back("a"));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    sagas.cancel("1", "enough").await.unwrap();
    gate.notify_one();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["a#1", "-a#1 log of a"]);
    assert_eq!((ended(&sagas).await.status.as_str(), published.len()), ("cancelled", 1));
}

#[tokio::test(start_paused = true)]
async fn a_compensation_is_never_cancelled() {
    let (program, world) = (Program::new().await, World::default());
    world.will("c", [Act::FailsForGood]);
    world.will("-b", [Act::GivesUp]);
    let saga = world.abc().step("d", world.step("d"));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    let saga = sagas.cancel("1", "now").await.unwrap();
    assert_eq!(saga.status.reason().unwrap(), "the step `c` has failed: never");
    settle().await;
    // It is still at it, and was not told.
    assert_eq!(world.calls().last().unwrap(), "-b#1 log of b");
    let program = program.restart().await;
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["-b#2 log of b", "-a#1 log of a"]);
    assert_eq!(ended(&sagas).await.status.as_str(), "compensated");
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_is_taken_back_at_once_and_what_it_waited_for_never_comes() {
    let (program, world) = (Program::new().await, World::default());
    world.will("b", [Act::Fails]);
    let saga = world.abc().build().unwrap();
    drop(saga);
    let slow = StepRetry::attempts(5)
        .base(MINUTE)
        .cap(5 * MINUTE)
        .jitter(nexus_events_dispatch::layers::Jitter::None);
    let saga = StepSaga::<Value>::named("s")
        .step("a", world.step("a"))
        .compensate(world.back("a"))
        .step("b", world.step("b"))
        .compensate(world.back("b"))
        .retry(slow);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(program.bus.scheduled_stats().waiting, 1);
    sagas.cancel("1", "enough").await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["a#1", "b#1", "-a#1 log of a"]);
    assert_eq!(program.bus.scheduled_stats().waiting, 0);
    assert_eq!(statuses(&ended(&sagas).await), ["a compensated", "b failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_ends_with_the_word() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Fails]);
    let slow = StepRetry::attempts(5)
        .base(super::SECOND)
        .jitter(nexus_events_dispatch::layers::Jitter::None);
    let saga = StepSaga::<Value>::named("s").step("a", world.step("a")).retry(slow);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    let began = tokio::time::Instant::now();
    sagas.cancel("1", "enough").await.unwrap();
    program.bus.idle().await;
    assert_eq!(ended(&sagas).await.status.as_str(), "cancelled");
    assert!(began.elapsed() < super::SECOND);
    assert_eq!(world.calls(), ["a#1"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_there_cannot_be_cancelled() {
    let (program, world) = (Program::new().await, World::default());
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(sagas.cancel("1", "late").await.unwrap_err().kind(), ErrorKind::NotFound);
}
