use nexus_events_model::Event;
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{
    OnFailure, SagaStatus, StepContext, StepError, StepRetry, StepSaga,
};
use serde_json::{Value, json};

use super::super::of;
use super::{Act, Program, World, ended, is_compensated, start, statuses};

#[tokio::test(start_paused = true)]
async fn steps_run_one_after_the_other() {
    let (program, world) = (Program::new().await, World::default());
    let finished = program.record("saga.**");
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    let started = start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "b#1", "c#1"]);
    let saga = ended(&sagas).await;
    assert_eq!(saga.status, SagaStatus::Completed);
    assert_eq!(saga.state(), json!({"total": 7}));
    assert_eq!(statuses(&saga), ["a completed", "b completed", "c completed"]);
    let key = format!("abc/{}/b", saga.id);
    assert_eq!((&*saga.steps[1].idempotency_key, &saga.steps[1].log), (&*key, &json!("log of b")));
    let did: Vec<&str> = saga.history.iter().map(|entry| &*entry.what).collect();
    let steps = ["step a completed", "step b completed", "step c completed"];
    assert_eq!(did[0], "started by hand");
    assert_eq!(did[1..], steps);
    let last = finished.events().pop().unwrap();
    assert_eq!(last.event_type(), "saga.completed");
    let about = json!({"saga": "abc", "key": "1", "instance": started.id, "status": "completed"});
    assert_eq!(*last.payload().value().unwrap(), about);
    assert_eq!(last.correlation_id().unwrap(), &saga.correlation_id);
    assert!(program.dead_letters().is_empty());
    let stats = sagas.stats();
    assert_eq!((stats.started, stats.completed, stats.conflicts), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn d06_a_step_fails_for_good_and_what_came_before_is_taken_back() {
    let (program, world) = (Program::new().await, World::default());
    let finished = program.record("saga.*");
    world.will("c", [Act::FailsForGood]);
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "b#1", "c#1", "-b#1 log of b", "-a#1 log of a"]);
    let saga = ended(&sagas).await;
    let reason = "the step `c` has failed: never".into();
    assert_eq!(saga.status, SagaStatus::Compensated { reason });
    assert_eq!(statuses(&saga), ["a compensated", "b compensated", "c failed"]);
    assert_eq!(world.done().len(), 4);
    let events = finished.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type(), "saga.compensated");
    assert_eq!(sagas.stats().compensated, 1);
    assert!(sagas.get("1").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn d07_a_step_fails_once_then_completes() {
    let (program, world) = (Program::new().await, World::default());
    world.will("b", [Act::Fails]);
    let saga = StepSaga::<Value>::named("abc")
        .step("a", world.step("a"))
        .compensate(world.back("a"))
        .step("b", world.step("b"))
        .compensate(world.back("b"))
        .retry(StepRetry::immediate(3));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "b#1", "b#2"]);
    let saga = ended(&sagas).await;
    assert_eq!((saga.status, saga.steps[1].attempts), (SagaStatus::Completed, 2));
}

#[tokio::test(start_paused = true)]
async fn d07_a_compensation_fails_once_then_works() {
    let (program, world) = (Program::new().await, World::default());
    world.will("c", [Act::FailsForGood]);
    world.will("-b", [Act::Fails]);
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let calls = ["a#1", "b#1", "c#1", "-b#1 log of b", "-b#2 log of b", "-a#1 log of a"];
    assert_eq!(world.calls(), calls);
    assert!(is_compensated(&ended(&sagas).await.status));
}

#[tokio::test(start_paused = true)]
async fn d08_a_compensation_fails_for_good_and_the_others_run() {
    let (program, world) = (Program::new().await, World::default());
    let failed = program.record("saga.*");
    world.will("c", [Act::FailsForGood]);
    world.will("-b", [Act::FailsForGood]);
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    let started = start(&program, &sagas).await;
    assert_eq!(world.calls(), ["a#1", "b#1", "c#1", "-b#1 log of b", "-a#1 log of a"]);
    let saga = ended(&sagas).await;
    let (reason, steps) = ("the step `c` has failed: never".into(), vec!["b".into()]);
    assert_eq!(saga.status, SagaStatus::CompensatedWithFailures { reason, steps });
    assert_eq!(statuses(&saga), ["a compensated", "b compensation_failed", "c failed"]);
    let events = failed.events();
    let types: Vec<&str> = events.iter().map(|event| event.event_type().as_str()).collect();
    assert_eq!(types, ["saga.compensation_failed", "saga.failed"]);
    let address = json!({"saga": "abc", "key": "1", "instance": started.id});
    let with = |more: Value| {
        let mut all = address.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let step = json!({"step": "b", "error": "never", "attempts": 1});
    let saga = json!({
        "status": "compensated_with_failures",
        "reason": "the step `c` has failed: never",
        "steps": ["b"],
    });
    assert_eq!(failed.payloads(), [with(step), with(saga)]);
}

#[tokio::test(start_paused = true)]
async fn d08_a_compensation_is_tried_ten_times() {
    let (program, world) = (Program::new().await, World::default());
    world.will("c", [Act::FailsForGood]);
    world.will("-b", [Act::Fails; 10]);
    let quick =
        world.abc().step("d", world.step("d")).build().unwrap().attach(&program.bus).unwrap();
    start(&program, &quick).await;
    for _ in 0..8 {
        program.pass(super::SECOND * 30).await;
    }
    let tried = world.calls().iter().filter(|call| call.starts_with("-b")).count();
    assert_eq!(tried, 10);
    assert_eq!(ended(&quick).await.status.as_str(), "compensated_with_failures");
}

#[tokio::test(start_paused = true)]
async fn a_failed_compensation_may_halt_the_saga_and_is_resumed() {
    let (program, world) = (Program::new().await, World::default());
    let finished = program.record("saga.*");
    world.will("c", [Act::FailsForGood]);
    world.will("-b", [Act::FailsForGood, Act::FailsForGood]);
    let saga = world.abc().on_compensation_failure(OnFailure::Halt);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    let id = start(&program, &sagas).await.id;
    assert_eq!(world.calls(), ["a#1", "b#1", "c#1", "-b#1 log of b"]);
    let saga = ended(&sagas).await;
    let reason = "the compensation of the step `b` has failed: never".into();
    assert_eq!(saga.status, SagaStatus::Halted { reason });

    sagas.resume_compensation(&id).await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["-b#1 log of b"]);
    assert_eq!(ended(&sagas).await.status.as_str(), "halted");

    // Its key is in use again meanwhile.
    world.will("a", [Act::Hangs]);
    sagas.start("1", &json!(0)).await.unwrap();
    let refused = sagas.resume_compensation(&id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exists);
    super::settle().await;
    sagas.cancel("1", "it is in the way").await.unwrap();
    assert!(sagas.get("1").await.unwrap().is_some());
    drop(sagas);

    let program = program.restart().await;
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    world.calls();
    sagas.resume_compensation(&id).await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["-b#1 log of b", "-a#1 log of a"]);
    let all = sagas.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap();
    let saga = all.iter().find(|saga| saga.id == id).unwrap();
    assert!(is_compensated(&saga.status));
    let gone = sagas.resume_compensation(&id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let types =
        finished.events().iter().map(|event| event.event_type().to_string()).collect::<Vec<_>>();
    assert_eq!(types[..4], ["saga.compensation_failed", "saga.failed"].repeat(2));
}

#[tokio::test(start_paused = true)]
async fn an_event_starts_it_and_steps_see_what_came_before() {
    async fn pay(step: StepContext<u64>) -> Result<u64, StepError> {
        assert_eq!((step.key(), step.step()), ("42", "pay"));
        step.publish(Event::builder("payment.completed").payload(json!({"id": step.key()})));
        Ok(step.data() * 2)
    }
    async fn ship(step: StepContext<u64>) -> Result<(), StepError> {
        assert_eq!(step.log::<u64>("pay")?, 14);
        assert_eq!(step.log::<String>("pay").unwrap_err().kind(), ErrorKind::InvalidState);
        assert_eq!(step.log::<()>("ship").unwrap_err().kind(), ErrorKind::NotFound);
        Ok(())
    }
    let program = Program::new().await;
    let published = program.record("payment.*");
    let total =
        |event: &Event| event.payload().get("total").and_then(Value::as_u64).ok_or("no total");
    let saga = StepSaga::<u64>::named("checkout").starts("order.created", "id", total);
    let saga = saga.step("pay", pay).step("ship", ship).build().unwrap();
    let sagas = saga.attach(&program.bus).unwrap();
    let order = |id: u32| Event::builder("order.created").payload(json!({"id": id, "total": 7}));
    program.publish_all([order(42).id("o-1"), of("order.created", 43)]).await;
    let saga = ended(&sagas).await;
    assert_eq!((saga.status, &*saga.id.to_string()), (SagaStatus::Completed, "o-1"));
    assert_eq!(published.len(), 1);
    assert_eq!(published.events()[0].correlation_id(), Some(&saga.correlation_id));
    // The input of the other one could not be read.
    assert_eq!(program.dead_letters(), ["no total"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_start_of_one_key_is_none() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [Act::GivesUp]);
    let saga = StepSaga::<Value>::named("abc")
        .starts("go", "id", |event: &Event| event.payload().value().cloned())
        .step("a", world.step("a"));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish(of("go", "1")).await;
    program.publish(of("go", "1")).await;
    super::settle().await;
    assert_eq!(sagas.start("1", &json!(1)).await.unwrap_err().kind(), ErrorKind::Exists);
    sagas.cancel("1", "enough").await.unwrap();
    program.bus.idle().await;
    assert_eq!(world.calls(), ["a#1"]);
    assert_eq!((sagas.stats().started, sagas.stats().duplicates), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_attempt_publishes_is_not_published() {
    async fn twice(step: StepContext<()>) -> Result<(), StepError> {
        step.publish(Event::builder("did").payload(json!(step.attempt())));
        if step.attempt() == 1 { Err("once more".into()) } else { Ok(()) }
    }
    async fn wrong(step: StepContext<()>) -> Result<(), StepError> {
        step.publish(Event::builder("no type!"));
        Ok(())
    }
    let program = Program::new().await;
    let did = program.record("did");
    let saga = StepSaga::<()>::named("twice").step("twice", twice).step("wrong", wrong);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &()).await.unwrap();
    program.bus.idle().await;
    assert_eq!(did.payloads(), [json!(2)]);
    let saga = ended(&sagas).await;
    assert!(saga.status.reason().unwrap().contains("no type!"), "{:?}", saga.status);
    assert_eq!(statuses(&saga), ["twice completed", "wrong unknown"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_checks_its_input_and_key() {
    let program = Program::new().await;
    let saga =
        StepSaga::<u32>::named("n").step("a", async |_: StepContext<u32>| Ok::<(), StepError>(()));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    let kind = |result: nexus_events_patterns::Result<_>| result.map(drop).unwrap_err().kind();
    assert_eq!(kind(sagas.start("1", "text").await), ErrorKind::InvalidState);
    assert_eq!(kind(sagas.start("", &1).await), ErrorKind::MissingKey);
    assert_eq!(kind(sagas.start("k".repeat(256), &1).await), ErrorKind::MissingKey);
    let events = nexus_events_patterns::saga::Saga::<u32>::named("by-events").starts(
        "a",
        "id",
        |_: &mut u32, _: &Event, _: &mut nexus_events_patterns::saga::SagaContext| {},
    );
    let by_events = events.build().unwrap().attach(&program.bus).unwrap();
    assert_eq!(kind(by_events.start("1", &1).await), ErrorKind::InvalidOption);
}
