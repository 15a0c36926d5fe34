//! Events whose saga is not there.

use std::time::Duration;

use nexus_events_model::Event;
use nexus_events_patterns::saga::{NotFound, Saga, SagaContext};
use serde_json::json;

use super::{Program, SECOND, of};

fn patient(not_found: NotFound) -> Saga<Vec<String>> {
    Saga::<Vec<String>>::named("order")
        .starts("created", "id", |_: &mut Vec<String>, _: &Event, _: &mut SagaContext| {})
        .on("paid", "id", |seen: &mut Vec<String>, event: &Event, saga: &mut SagaContext| {
            seen.push(event.id().to_string());
            saga.publish(Event::builder("handled").payload(json!(saga.now().unix_timestamp())));
        })
        .not_found(not_found)
}

fn five_times() -> NotFound {
    NotFound::Redeliver { times: 5, every: SECOND }
}

#[tokio::test(start_paused = true)]
async fn d10_an_event_that_came_early_is_handled_once_its_saga_is_there() {
    let program = Program::new().await;
    let began = program.clock.clone();
    let began = nexus_events_dispatch::Clock::now(&began).unix_timestamp();
    let handled = program.record("handled");
    let sagas = patient(five_times()).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("paid", 1).id("early")]).await;
    program.pass(Duration::from_millis(2_500)).await;
    program.publish_all([of("created", 1)]).await;
    program.pass(Duration::from_millis(499)).await;
    assert_eq!(handled.len(), 0);
    program.pass(Duration::from_millis(1)).await;
    assert_eq!(handled.payloads(), [json!(began + 3)]);
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(["early"]));
    assert_eq!((sagas.stats().not_found, sagas.stats().redelivered), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn d10_an_event_whose_saga_never_comes_is_a_dead_letter_after_five_times() {
    let program = Program::new().await;
    let sagas = patient(five_times()).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("paid", 1)]).await;
    program.pass(Duration::from_millis(4_999)).await;
    assert!(program.dead_letters().is_empty());
    program.pass(Duration::from_millis(1)).await;
    assert!(program.dead_letters()[0].contains("also not 5 times later"));
    assert_eq!(sagas.stats().redelivered, 5);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_saga_survives_the_program() {
    let program = Program::new().await;
    patient(five_times()).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("paid", 1).id("early")]).await;
    let program = program.restart().await;
    let sagas = patient(five_times()).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("created", 1)]).await;
    program.pass(SECOND).await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(["early"]));
}

#[tokio::test(start_paused = true)]
async fn by_default_it_is_counted_and_else_nothing() {
    let program = Program::new().await;
    let sagas = patient(NotFound::Ignore).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("paid", 1)]).await;
    assert_eq!(sagas.stats().not_found, 1);
    assert!(program.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_a_dead_letter_at_once() {
    let program = Program::new().await;
    patient(NotFound::Fault).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("paid", 1)]).await;
    assert!(program.dead_letters()[0].contains("no saga `order` has the key `1`;"));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    for (times, every) in [(0, SECOND), (101, SECOND), (5, Duration::ZERO)] {
        let error = patient(NotFound::Redeliver { times, every }).build().unwrap_err();
        assert!(error.to_string().starts_with("not_found:"), "{error}");
    }
}
