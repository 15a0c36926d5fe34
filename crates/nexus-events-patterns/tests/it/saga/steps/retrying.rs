use std::time::Duration;

use nexus_events_patterns::saga::{SagaStatus, StepContext, StepError, StepRetry, StepSaga};
use serde_json::{Value, json};

use super::{Act, MINUTE, Program, SECOND, World, ended, start, statuses};

fn one(world: &World, retry: StepRetry) -> StepSaga<Value, String> {
    StepSaga::<Value>::named("one")
        .step("a", world.step("a"))
        .compensate(world.back("a"))
        .retry(retry)
}

#[tokio::test(start_paused = true)]
async fn a_step_that_keeps_failing_is_given_up_and_not_taken_back() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Fails; 9]);
    let sagas = one(&world, StepRetry::immediate(3)).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "a#2", "a#3"]);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status.reason().unwrap(), "the step `a` has failed: not now");
    assert_eq!(statuses(&saga), ["a failed"]);
    assert_eq!(saga.steps[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_followed_by_another_with_the_same_key() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::WorksAndHangs]);
    let saga = one(&world, StepRetry::immediate(3)).timeout(SECOND);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "a#2"]);
    assert_eq!(world.done().len(), 1);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status, SagaStatus::Completed);
    assert!(!saga.steps[0].unsure);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_took_too_long_each_time_is_taken_back_unknown() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Hangs, Act::WorksAndHangs]);
    let saga = one(&world, StepRetry::immediate(2)).timeout(SECOND);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "a#2", "-a#1 unknown"]);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status.reason().unwrap(), "the step `a` has failed: timed out after 1s");
    assert_eq!(statuses(&saga), ["a compensated"]);
    let keys: Vec<_> = world.done().into_keys().collect();
    let step = &*saga.steps[0].idempotency_key;
    assert_eq!(keys, [step.to_owned(), format!("{step}/compensation")]);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_an_attempt_that_took_too_long_is_no_proof_that_nothing_was_done() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::WorksAndHangs, Act::FailsForGood]);
    let saga = one(&world, StepRetry::immediate(5)).timeout(SECOND);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "a#2", "-a#1 unknown"]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_be_final() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Hangs]);
    let saga = one(&world, StepRetry::immediate(5)).timeout(SECOND).timeout_is_final();
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "-a#1 unknown"]);
}

#[tokio::test(start_paused = true)]
async fn a_compensation_that_takes_too_long_is_tried_again() {
    let (program, world) = (Program::new().await, World::default());
    world.will("c", [Act::FailsForGood]);
    world.will("-a", [Act::Hangs, Act::Panics, Act::Panics]);
    let saga = StepSaga::<Value>::named("s")
        .step("a", world.step("a"))
        .compensate(world.back("a"))
        .compensation_timeout(SECOND)
        .compensation_retry(StepRetry::immediate(9))
        .step("c", world.step("c"));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    // The second panic is one too many.
    assert_eq!(world.calls()[2..], ["-a#1 log of a", "-a#2 log of a", "-a#3 log of a"]);
    assert_eq!(ended(&sagas).await.status.as_str(), "compensated_with_failures");
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_temporary_once() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Panics, Act::Fails, Act::Panics]);
    let sagas = one(&world, StepRetry::immediate(9)).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "a#2", "a#3", "-a#1 unknown"]);
    assert_eq!(
        ended(&sagas).await.status.reason().unwrap(),
        "the step `a` has failed: panicked: oops"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_in_the_store_and_holds_nobody_up() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Fails, Act::Fails]);
    let slow = StepRetry::attempts(3)
        .base(MINUTE)
        .cap(5 * MINUTE)
        .factor(1.0)
        .jitter(nexus_events_dispatch::layers::Jitter::None);
    let sagas = one(&world, slow).concurrency(1).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!(saga.steps[0].due.unwrap(), program.bus.now() + MINUTE);
    assert_eq!(saga.steps[0].error.as_deref(), Some("not now"));
    assert_eq!(program.bus.scheduled_stats().waiting, 1);
    // Another one runs meanwhile.
    sagas.start("2", &json!(1)).await.unwrap();
    program.bus.idle().await;
    program.pass(MINUTE).await;
    assert_eq!(world.calls(), ["a#1", "a#1", "a#2", "a#2"]);
    assert_eq!(sagas.stats().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_survives_the_program() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::Fails]);
    let slow = || {
        StepRetry::attempts(3)
            .base(MINUTE)
            .cap(5 * MINUTE)
            .jitter(nexus_events_dispatch::layers::Jitter::None)
    };
    let sagas = one(&world, slow()).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let program = program.restart().await;
    let sagas = one(&world, slow()).build().unwrap().attach(&program.bus).unwrap();
    program.pass(MINUTE - super::MILLISECOND).await;
    assert_eq!(world.calls(), ["a#1"]);
    program.pass(super::MILLISECOND).await;
    assert_eq!(world.calls(), ["a#2"]);
    let saga = ended(&sagas).await;
    // It waited when the program ended: that has interrupted nothing.
    assert_eq!((saga.steps[0].attempts, saga.steps[0].restarts), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_may_ask_for_a_longer_wait() {
    async fn busy(step: StepContext<()>) -> Result<(), StepError> {
        match step.attempt() {
            1 => Err(StepError::from("busy").retry_after(Duration::from_secs(90))),
            _ => Ok(()),
        }
    }
    let program = Program::new().await;
    let saga = StepSaga::<()>::named("s").step("busy", busy);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &()).await.unwrap();
    program.bus.idle().await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!(saga.steps[0].due.unwrap(), program.bus.now() + Duration::from_secs(90));
    program.pass(Duration::from_secs(90)).await;
    assert_eq!(ended(&sagas).await.status, SagaStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_counted_before_it_is_made() {
    let program = Program::new().await;
    let sagas: std::sync::Arc<std::sync::OnceLock<nexus_events_patterns::saga::SagaHandle>> =
        std::sync::Arc::default();
    let look = sagas.clone();
    let saga = StepSaga::<()>::named("s")
        .step("a", move |step: StepContext<()>| {
            let look = look.clone();
            async move {
                let saga = look.get().unwrap().get("1").await?.ok_or("not there")?;
                assert_eq!(saga.steps[0].attempts, step.attempt());
                if step.attempt() < 4 { Err(StepError::from("again")) } else { Ok(()) }
            }
        })
        .retry(StepRetry::immediate(9));
    let handle = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.set(handle.clone()).unwrap();
    handle.start("1", &()).await.unwrap();
    program.bus.idle().await;
    let saga = ended(&handle).await;
    assert_eq!((saga.status, saga.steps[0].attempts), (SagaStatus::Completed, 4));
}
