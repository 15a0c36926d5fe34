use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{SagaStatus, StepRetry, StepSaga};
use serde_json::{Value, json};

use super::{Act, Program, SECOND, World, ended, is_compensated, settle, start, statuses};

fn order(world: &World) -> StepSaga<Value, String> {
    StepSaga::<Value>::named("order")
        .step("pay", world.step("pay"))
        .compensate(world.back("pay"))
        .pivot("ship", world.step("ship"))
        .timeout(SECOND)
        .retry(StepRetry::immediate(2))
        .step("mail", world.step("mail"))
        .retry(StepRetry::immediate(2))
}

#[tokio::test(start_paused = true)]
async fn behind_the_pivot_a_failure_parks_and_a_resume_goes_on() {
    let (program, world) = (Program::new().await, World::default());
    let parked = program.record("saga.*");
    world.will("mail", [Act::Fails, Act::FailsForGood]);
    let sagas = order(&world).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["pay#1", "ship#1", "mail#1", "mail#2"]);
    let saga = sagas.get("1").await.unwrap().unwrap();
    let reason = "the step `mail` has failed: never";
    assert_eq!(saga.status, SagaStatus::Parked { reason: reason.into() });
    assert_eq!(parked.events()[0].event_type(), "saga.parked");
    assert_eq!(parked.payloads()[0]["reason"], reason);
    let refused = sagas.cancel("1", "please").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BehindPivot);

    // It stays parked for as long as it takes.
    drop(sagas);
    let program = program.restart().await;
    let sagas = order(&world).build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    assert!(world.calls().is_empty());
    sagas.resume("1").await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["mail#1"]);
    assert_eq!(ended(&sagas).await.status, SagaStatus::Completed);
    assert_eq!(sagas.resume("1").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_pivot_that_fails_with_an_error_goes_back() {
    let (program, world) = (Program::new().await, World::default());
    world.will("ship", [Act::FailsForGood]);
    let sagas = order(&world).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["pay#1", "ship#1", "-pay#1 log of pay"]);
    assert!(is_compensated(&ended(&sagas).await.status));
}

#[tokio::test(start_paused = true)]
async fn a_pivot_of_which_nobody_knows_what_it_has_done_parks() {
    let (program, world) = (Program::new().await, World::default());
    world.will("ship", [Act::WorksAndHangs, Act::Hangs]);
    let sagas = order(&world).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!((saga.status.as_str(), &statuses(&saga)[1]), ("parked", &"ship unknown".to_owned()));
    sagas.resume("1").await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["pay#1", "ship#1", "ship#2", "ship#1", "mail#1"]);
    assert_eq!(ended(&sagas).await.status, SagaStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_pivot_that_runs_cannot_be_cancelled() {
    let (program, world) = (Program::new().await, World::default());
    world.will("pay", [Act::GivesUp]);
    world.will("ship", [Act::Hangs]);
    let sagas = order(&world).build().unwrap().attach(&program.bus).unwrap();
    sagas.start("before", &json!(1)).await.unwrap();
    settle().await;
    sagas.start("at", &json!(1)).await.unwrap();
    settle().await;
    sagas.cancel("before", "early enough").await.unwrap();
    assert_eq!(sagas.cancel("at", "too late").await.unwrap_err().kind(), ErrorKind::BehindPivot);
}

#[tokio::test(start_paused = true)]
async fn behind_the_pivot_a_failure_does_not_stop_those_beside_it() {
    let (program, world) = (Program::new().await, World::default());
    world.will("x", [Act::FailsForGood]);
    world.will("y", [Act::Fails]);
    let saga =
        StepSaga::<Value>::named("s").pivot("ship", world.step("ship")).parallel("g", |group| {
            group
                .step("x", world.step("x"))
                .step("y", world.step("y"))
                .retry(StepRetry::immediate(3))
        });
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["ship#1", "x#1", "y#1", "y#2"]);
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!(statuses(&saga), ["ship completed", "x failed", "y completed"]);
    sagas.resume("1").await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["x#1"]);
    assert_eq!(ended(&sagas).await.status, SagaStatus::Completed);
}
