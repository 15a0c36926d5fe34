use nexus_events_patterns::saga::StepRetry;
use serde_json::json;

use super::{Act, MINUTE, Program, World, ended, start};

/// A saga does not depend on its start being in the log, nor on who looks.
#[tokio::test(start_paused = true)]
async fn it_shows_what_it_does() {
    let (program, world) = (Program::new().await, World::default());
    world.will("b", [Act::Fails]);
    let slow = StepRetry::attempts(2)
        .base(MINUTE)
        .cap(5 * MINUTE)
        .jitter(nexus_events_dispatch::layers::Jitter::None);
    let saga = nexus_events_patterns::saga::StepSaga::<serde_json::Value>::named("abc")
        .step("a", world.step("a"))
        .step("b", world.step("b"))
        .retry(slow);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    start(&program, &sagas).await;
    let json = serde_json::to_value(sagas.get("1").await.unwrap().unwrap()).unwrap();
    assert_eq!(json["status"], json!({"name": "running"}));
    assert_eq!(json["steps"][0]["status"], "completed");
    let waits = &json["steps"][1];
    assert_eq!((&waits["status"], &waits["attempts"]), (&json!("started"), &json!(1)));
    assert_eq!(waits["due"], "2026-01-02T12:01:00+00:00");
    assert_eq!(json["history"][2]["what"], "step b waits");
    program.pass(MINUTE).await;
    assert_eq!(ended(&sagas).await.status.as_str(), "completed");
}

#[tokio::test(start_paused = true)]
async fn those_that_have_ended_are_bounded() {
    let (program, world) = (Program::new().await, World::default());
    let sagas = world.abc().keep_ended(3).build().unwrap().attach(&program.bus).unwrap();
    for number in 0..300 {
        sagas.start(number.to_string(), &json!(1)).await.unwrap();
    }
    program.bus.idle().await;
    let kept = sagas.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap().len();
    assert!((3..3 + 256).contains(&kept), "{kept}");
    assert_eq!(sagas.stats().completed, 300);
}
