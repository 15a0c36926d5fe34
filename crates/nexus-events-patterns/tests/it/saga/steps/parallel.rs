use nexus_events_patterns::saga::{SagaStatus, StepContext, StepError, StepRetry, StepSaga};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Barrier;

use super::{Act, MINUTE, Program, World, ended, settle, start, statuses};

fn trip(world: &World) -> StepSaga<Value, String> {
    StepSaga::<Value>::named("trip")
        .step("a", world.step("a"))
        .compensate(world.back("a"))
        .parallel("hold", |group| {
            let group = group.step("x", world.step("x")).compensate(world.back("x"));
            let group = group.retry(StepRetry::immediate(3));
            group.step("y", world.step("y")).compensate(world.back("y")).step("z", world.step("z"))
        })
        .step("c", world.step("c"))
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_group_run_at_the_same_time() {
    let program = Program::new().await;
    let barrier = Arc::new(Barrier::new(3));
    let meet = |number: u32| {
        let barrier = barrier.clone();
        move |_: StepContext<Value>| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                Ok::<_, StepError>(number)
            }
        }
    };
    let saga = StepSaga::<Value>::named("s")
        .parallel("all", |group| group.step("x", meet(1)).step("y", meet(2)).step("z", meet(3)))
        .step("sum", async |step: StepContext<Value>| {
            Ok::<u32, StepError>(
                step.log::<u32>("x")? + step.log::<u32>("y")? + step.log::<u32>("z")?,
            )
        });
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let saga = ended(&sagas).await;
    assert_eq!((saga.status, &saga.steps[3].log), (SagaStatus::Completed, &json!(6)));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_stops_the_others_and_all_are_taken_back_together() {
    let (program, world) = (Program::new().await, World::default());
    world.will("y", [Act::FailsForGood]);
    world.will("z", [Act::GivesUp]);
    let sagas = trip(&world).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "x#1", "y#1", "z#1", "-x#1 log of x", "-a#1 log of a"]);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status.reason().unwrap(), "the step `y` has failed: never");
    assert_eq!(statuses(&saga), ["a compensated", "x compensated", "y failed", "z failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_taken_back_at_the_same_time() {
    let (program, world) = (Program::new().await, World::default());
    world.will("c", [Act::FailsForGood]);
    // Neither would end if they came one after the other.
    world.will("-x", [Act::Hangs]);
    world.will("-y", [Act::Hangs]);
    let sagas = trip(&world).build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    let calls = world.calls();
    assert_eq!(
        calls[5..],
        ["-y#1 log of y", "-x#1 log of x"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!(statuses(&saga)[1..3], ["x compensating", "y compensating"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_written_while_others_run_and_not_done_again() {
    let (program, world) = (Program::new().await, World::default());
    world.will("y", [Act::Hangs]);
    let sagas = trip(&world).build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    settle().await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!(statuses(&saga), ["a completed", "x completed", "y started", "z completed"]);
    let program = program.restart().await;
    let sagas = trip(&world).build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["a#1", "x#1", "y#1", "z#1", "y#2", "c#1"]);
    let saga = ended(&sagas).await;
    assert_eq!((saga.status, saga.steps[2].restarts), (SagaStatus::Completed, 1));
}

#[tokio::test(start_paused = true)]
async fn some_of_a_group_wait_for_long_and_others_do_not() {
    let (program, world) = (Program::new().await, World::default());
    world.will("x", [Act::Fails]);
    world.will("y", [Act::Fails, Act::Fails]);
    let slow = |minutes: u32| {
        StepRetry::attempts(3)
            .base(MINUTE * minutes)
            .cap(5 * MINUTE)
            .factor(1.0)
            .jitter(nexus_events_dispatch::layers::Jitter::None)
    };
    let saga = StepSaga::<Value>::named("s").parallel("g", |group| {
        let group = group.step("x", world.step("x")).retry(slow(1));
        group.step("y", world.step("y")).retry(slow(2)).step("z", world.step("z"))
    });
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["x#1", "y#1", "z#1"]);
    program.pass(MINUTE).await;
    assert_eq!(world.calls(), ["x#2"]);
    program.pass(MINUTE).await;
    assert_eq!(world.calls(), ["y#2"]);
    program.pass(MINUTE * 2).await;
    assert_eq!(world.calls(), ["y#3"]);
    assert_eq!(ended(&sagas).await.status, SagaStatus::Completed);
}
