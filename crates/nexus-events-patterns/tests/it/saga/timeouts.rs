//! Timeouts of sagas.

use std::time::Duration;

use nexus_events_dispatch::ScheduledFilter;
use nexus_events_model::Event;
use nexus_events_patterns::saga::{NotFound, Saga, SagaContext};
use serde_json::{Value, json};

use super::{MILLISECOND, Program, SECOND, of};

impl Program {
    /// Both clocks go on, millisecond by millisecond.
    pub(super) async fn pass(&self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.clock.advance(MILLISECOND);
            tokio::time::sleep(MILLISECOND).await;
        }
        // Tokio's timer rounds up; the clock of the bus stays where it is.
        tokio::time::sleep(SECOND).await;
        self.bus.idle().await;
    }
}

fn noted(name: &'static str) -> impl Fn(&mut Vec<String>, &Value, &mut SagaContext) {
    move |seen, payload, saga| {
        seen.push(format!("{name} {payload}"));
        saga.publish(Event::builder("timed.out").payload(json!({"name": name, "key": saga.key()})));
    }
}

fn never((): &mut (), _: &Value, _: &mut SagaContext<'_>) {
    panic!("it has ended");
}

#[tokio::test(start_paused = true)]
async fn d04_a_timeout_that_comes_after_the_end_is_silent() {
    let program = Program::new().await;
    let missed = program.record("missed");
    let saga = Saga::<()>::named("short")
        .starts("start", "id", |(): &mut (), _: &Event, saga: &mut SagaContext| {
            saga.timeout_after("now", Duration::ZERO);
            saga.complete();
        })
        .on("more", "id", |(): &mut (), _: &Event, _: &mut SagaContext| {})
        .timeout("now", never)
        .not_found(NotFound::publish(|event| vec![Event::builder("missed").caused_by(event)]));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", 1), of("more", "unknown")]).await;
    program.pass(SECOND).await;
    assert_eq!(missed.len(), 1);
    assert_eq!((sagas.stats().not_found, sagas.stats().completed), (1, 1));
    assert!(program.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn d04_a_timeout_that_is_on_its_way_when_the_saga_ends_is_silent() {
    let program = Program::new().await;
    let saga = Saga::<()>::named("short")
        .starts("start", "id", |(): &mut (), _: &Event, saga: &mut SagaContext| {
            saga.timeout_after("now", SECOND);
        })
        .on("end", "id", |(): &mut (), _: &Event, saga: &mut SagaContext| saga.complete())
        .timeout("now", never)
        .not_found(NotFound::Fault);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", 1)]).await;
    // Published by hand, as if it had been due just before the end: behind it in the log.
    let timer = program.bus.scheduled(&ScheduledFilter::new()).await.unwrap().remove(0);
    program.publish_all([of("end", 1), timer.event.to_builder()]).await;
    assert_eq!((sagas.stats().outdated, sagas.stats().not_found), (1, 0));
    assert!(program.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn d05_a_timeout_reaches_the_saga_that_asked_for_it() {
    let program = Program::new().await;
    let out = program.record("timed.out");
    let asks = |name: &'static str| {
        Saga::<Vec<String>>::named(name)
            .starts("start", "id", move |_: &mut Vec<String>, _: &Event, saga: &mut SagaContext| {
                if name == "asks" {
                    saga.timeout_with("t1", saga.now() + MILLISECOND, json!(1));
                    saga.timeout_with("t2", saga.now() + MILLISECOND, json!(2));
                }
            })
            .timeout("t1", noted("t1"))
            .timeout("t2", noted("t2"))
    };
    let first = asks("asks").build().unwrap().attach(&program.bus).unwrap();
    let second = asks("asks-not").build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", "k")]).await;
    program.pass(SECOND).await;
    let state = first.get("k").await.unwrap().unwrap().state();
    let mut seen: Vec<_> = state.as_array().unwrap().iter().map(ToString::to_string).collect();
    seen.sort();
    assert_eq!(seen, [r#""t1 1""#, r#""t2 2""#]);
    assert_eq!(second.get("k").await.unwrap().unwrap().state(), json!([]));
    assert_eq!(out.len(), 2);
}

fn cart() -> Saga<u32> {
    let touch = |items: &mut u32, _: &Event, saga: &mut SagaContext| {
        *items += 1;
        saga.cancel_timeouts("expired");
        saga.timeout_after("expired", SECOND);
    };
    Saga::<u32>::named("cart").starts("item.added", "id", touch).timeout(
        "expired",
        |items: &mut u32, _: &Value, saga: &mut SagaContext| {
            saga.publish(Event::builder("cart.expired").payload(json!({"items": items})));
            saga.complete();
        },
    )
}

#[tokio::test(start_paused = true)]
async fn d09_a_cart_expires_after_a_second_and_not_before() {
    let program = Program::new().await;
    let expired = program.record("cart.expired");
    let sagas = cart().build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("item.added", 1)]).await;
    program.pass(Duration::from_millis(999)).await;
    assert_eq!(expired.len(), 0);
    assert!(sagas.get("1").await.unwrap().is_some());
    program.pass(MILLISECOND).await;
    assert_eq!(expired.len(), 1);
    assert!(sagas.get("1").await.unwrap().is_none());
    program.pass(SECOND * 3).await;
    assert_eq!(expired.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_taken_back_or_moved_does_not_come_when_it_was_due() {
    let program = Program::new().await;
    let expired = program.record("cart.expired");
    let sagas = cart().build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("item.added", 1)]).await;
    program.pass(SECOND / 2).await;
    program.publish_all([of("item.added", 1)]).await;
    program.pass(SECOND / 2).await;
    assert_eq!((expired.len(), program.bus.scheduled_stats().waiting), (0, 1));

    let timer = sagas.get("1").await.unwrap().unwrap().timers.remove(0);
    let later = timer.due + SECOND;
    let moved = sagas.move_timeout("1", &timer.id, later).await.unwrap();
    assert_eq!(moved.timers[0].due, later);
    program.pass(SECOND).await;
    assert_eq!(expired.len(), 0);
    sagas.cancel_timeout("1", &moved.timers[0].id).await.unwrap();
    program.pass(SECOND * 2).await;
    assert_eq!((expired.len(), program.bus.scheduled_stats().waiting), (0, 0));
    assert!(sagas.cancel_timeout("1", &moved.timers[0].id).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_survives_the_program_and_comes_once_when_it_is_past() {
    let program = Program::new().await;
    cart().build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("item.added", 1)]).await;
    program.clock.advance(SECOND * 60);
    let program = program.restart().await;
    let expired = program.record("cart.expired");
    let sagas = cart().build().unwrap().attach(&program.bus).unwrap();
    program.pass(SECOND).await;
    assert_eq!(expired.payloads(), [json!({"items": 1})]);
    assert!(sagas.get("1").await.unwrap().is_none());
    let program = program.restart().await;
    let expired = program.record("cart.expired");
    cart().build().unwrap().attach(&program.bus).unwrap();
    program.pass(SECOND).await;
    assert_eq!(expired.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_without_a_handler_is_a_dead_letter_that_says_so() {
    let program = Program::new().await;
    let saga = Saga::<()>::named("deaf").starts(
        "start",
        "id",
        |(): &mut (), _: &Event, saga: &mut SagaContext| {
            saga.timeout_after("late", MILLISECOND);
        },
    );
    saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", 1)]).await;
    program.pass(SECOND).await;
    assert!(program.dead_letters()[0].contains(r#"add `.timeout("late", ..)`"#));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_moved_is_given_what_it_was_set_with() {
    let program = Program::new().await;
    let late = |given: &mut Vec<Value>, payload: &Value, _: &mut SagaContext| {
        given.push(payload.clone());
    };
    let saga = Saga::<Vec<Value>>::named("reminder")
        .starts("asked", "id", |_: &mut Vec<Value>, _: &Event, saga: &mut SagaContext| {
            let time = saga.now() + SECOND * 100;
            saga.timeout_with("late", time, json!({"text": "hello"}));
        })
        .timeout("late", late);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("asked", 1)]).await;
    let timer = sagas.get("1").await.unwrap().unwrap().timers.remove(0);
    assert_eq!(timer.payload, json!({"text": "hello"}));
    sagas.move_timeout("1", &timer.id, program.bus.now() + SECOND).await.unwrap();
    program.pass(SECOND).await;
    let state = sagas.get("1").await.unwrap().unwrap().state();
    assert_eq!(state, json!([{"text": "hello"}]));
}
