use std::time::Duration;

use nexus_events_dispatch::layers::Jitter;
use nexus_events_patterns::saga::{StepRetry, StepSaga};
use nexus_events_patterns::{Error, ErrorKind};
use serde_json::{Value, json};

use super::{Program, World, ended};

#[track_caller]
fn refused<R>(saga: StepSaga<Value, R>, kind: ErrorKind, says: &str) -> Error
where
    R: 'static,
{
    let error = saga.build().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    error
}

fn named(name: &str) -> StepSaga<Value> {
    StepSaga::named(name)
}

#[test]
fn a_mistake_is_named_when_it_is_built() {
    let (world, invalid) = (World::default(), ErrorKind::InvalidOption);
    let (a, back) = (|| world.step("a"), || world.back("a"));
    refused(named("s"), invalid, "has 0 steps");
    refused(named(""), invalid, "name of a saga");
    refused(named("s").step("", a()), invalid, "name of a step");
    refused(named("s").step("a.b", a()), invalid, "`a.b`");
    let twice = named("s").step("a", a()).step("a", a());
    refused(twice, ErrorKind::DuplicateName, "two steps named `a`");
    let pivots = named("s").pivot("a", a()).pivot("b", a());
    refused(pivots, invalid, "two pivots, `a` and `b`");
    let behind = named("s").pivot("a", a()).step("b", a()).compensate(back());
    refused(behind, invalid, "the step `b` of the saga `s` comes behind the pivot `a`");
    refused(
        named("s").pivot("a", a()).compensate(back()),
        invalid,
        "`a` of the saga `s` is its pivot",
    );
    refused(named("s").step("a", a()).timeout(Duration::ZERO), invalid, "timeout of no time");
    let back_timeout =
        named("s").step("a", a()).compensate(back()).compensation_timeout(Duration::ZERO);
    refused(back_timeout, invalid, "the compensation of the step `a`");
    refused(named("s").step("a", a()).retry(StepRetry::attempts(0)), invalid, "1 to 1000 attempts");
    let many = named("s").step("a", a()).compensation_retry(StepRetry::attempts(1_001));
    refused(many, invalid, "the compensation of the step `a`");
    let jitter = StepRetry::attempts(2).jitter(Jitter::Bounded(7.0));
    refused(named("s").step("a", a()).retry(jitter), invalid, "share from 0 to 1");
    refused(named("s").step("a", a()).retry(StepRetry::attempts(2).factor(0.5)), invalid, "factor");
    refused(named("s").retry(StepRetry::attempts(2)), invalid, "`.retry(..)` is about a step");
    let group = named("s").parallel("g", |group| group.step("a", a()));
    refused(group.timeout_is_final(), invalid, "`.timeout_is_final(..)`");
    let empty = named("s").step("a", a()).parallel("g", |group| group);
    refused(empty, invalid, "parallel group `g`");
    refused(
        named("s").parallel("", |group| group.step("a", a())),
        invalid,
        "name of a parallel group",
    );
    let in_group = named("s").parallel("g", |group| group.timeout(Duration::ZERO));
    refused(in_group, invalid, "`.timeout(..)` is about a step");
    refused(named("s").step("a", a()).version(0), invalid, "1 or more");
    refused(named("s").step("a", a()).upcast(1, |old| old), invalid, "never used");
    refused(named("s").step("a", a()).concurrency(0), invalid, "concurrency");
    let starts = |_: &nexus_events_model::Event| Ok::<_, &str>(Value::Null);
    let error = named("s").starts("a..b", "id", starts).step("a", a()).build().unwrap_err();
    assert!(error.to_string().contains("a..b"), "{error}");
    let keyless = named("s").starts("a", "", starts).step("a", a());
    refused(keyless, invalid, "the field `` of `a`");
    let crowd = (0..257).fold(named("s"), |saga, n| {
        saga.parallel(format!("g{n}"), |group| group.step(format!("p{n}"), a()))
    });
    refused(crowd, invalid, "has 257 steps");
}

#[tokio::test(start_paused = true)]
async fn an_older_input_is_brought_up_and_a_newer_one_left_alone() {
    let (program, world) = (Program::new().await, World::default());
    let old =
        || StepSaga::<Value>::named("v").step("a", world.step("a")).step("b", world.step("b"));
    world.will("a", [super::Act::Hangs]);
    let sagas = old().build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!({"amount": 3})).await.unwrap();
    super::settle().await;
    let program = program.restart().await;
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let keep = seen.clone();
    let new = StepSaga::<Value>::named("v")
        .version(2)
        .upcast(1, |old| json!({"total": old["amount"]}))
        .step("a", world.step("a"))
        .step("b", move |step: nexus_events_patterns::saga::StepContext<Value>| {
            keep.lock().push(step.data().clone());
            std::future::ready(Ok::<_, &str>(()))
        });
    let sagas = new.build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    assert_eq!(ended(&sagas).await.status.as_str(), "completed");
    assert_eq!(*seen.lock(), [json!({"total": 3})]);

    let program = program.restart().await;
    let sagas = old().version(3).build().unwrap().attach(&program.bus).unwrap();
    world.will("a", [super::Act::Hangs]);
    sagas.start("2", &json!(3)).await.unwrap();
    super::settle().await;
    let program = program.restart().await;
    let sagas = old().build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    let letters = program.dead_letters();
    assert!(letters[0].contains("newer program"), "{letters:?}");
    assert_eq!(sagas.get("2").await.unwrap().unwrap().version, 3);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_gone_from_the_definition_is_named() {
    let (program, world) = (Program::new().await, World::default());
    world.will("a", [super::Act::Hangs]);
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    sagas.start("1", &json!(1)).await.unwrap();
    super::settle().await;
    let program = program.restart().await;
    let other = StepSaga::<Value>::named("abc").step("z", world.step("z"));
    let sagas = other.build().unwrap().attach(&program.bus).unwrap();
    program.bus.idle().await;
    let letters = program.dead_letters();
    assert!(letters[0].contains("has begun the step `a`"), "{letters:?}");
    drop(sagas);
    // With its definition back, it goes on.
    let program = program.restart().await;
    let sagas = world.abc().build().unwrap().attach(&program.bus).unwrap();
    assert_eq!(sagas.resume("1").await.unwrap(), 1);
    program.bus.idle().await;
    assert_eq!(ended(&sagas).await.status.as_str(), "completed");
}
