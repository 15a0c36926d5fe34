//! State with handlers: starting, keys, conversation, versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexus_events_dispatch::HandlerError;
use nexus_events_model::{Event, EventType, TypedEvent};
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{Saga, SagaContext, SagaFilter, SagaKey, SagaStatus, Sagas};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Program, of};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Flags {
    left: bool,
    right: bool,
}

fn flags() -> Saga<Flags> {
    Saga::<Flags>::named("flags")
        .starts("left", "id", |flags: &mut Flags, _: &Event, _: &mut SagaContext| flags.left = true)
        .starts("right", "id", |flags: &mut Flags, _: &Event, _: &mut SagaContext| {
            flags.right = true;
        })
        .on("end", "id", |_: &mut Flags, _: &Event, saga: &mut SagaContext| saga.complete())
}

#[test]
fn d01_two_events_that_start_one_saga_make_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let program = Program::new().await;
        let sagas = flags().build().unwrap().attach(&program.bus).unwrap();
        let publish = |event_type: &'static str| {
            let bus = program.bus.clone();
            tokio::spawn(async move {
                for key in 0..100 {
                    bus.publish(of(event_type, key)).await.unwrap();
                }
            })
        };
        let (left, right) = (publish("left"), publish("right"));
        left.await.unwrap();
        right.await.unwrap();
        program.bus.idle().await;

        let all = sagas.list(None).await.unwrap();
        assert_eq!(all.len(), 100);
        let keys: BTreeSet<_> = all.iter().map(|saga| saga.key.to_string()).collect();
        assert_eq!(keys.len(), 100);
        for saga in &all {
            assert_eq!(saga.state(), json!({"left": true, "right": true}), "{}", saga.key);
        }
        assert_eq!(sagas.stats().started, 100);
        assert!(program.dead_letters().is_empty());
    });
}

#[tokio::test(start_paused = true)]
async fn d02_an_event_without_its_key_starts_nothing() {
    let program = Program::new().await;
    let sagas = flags().build().unwrap().attach(&program.bus).unwrap();
    let no_key = Event::builder("left").payload(json!({"other": 1}));
    program.publish_all([of("left", ""), no_key, of("left", "k".repeat(256))]).await;

    let letters = program.dead_letters();
    assert_eq!(letters.len(), 3);
    for why in ["is empty", "is missing", "has 256 bytes"] {
        let letter = letters.iter().find(|letter| letter.contains(why)).expect(why);
        assert!(letter.contains("saga `flags`") && letter.contains("the field `id`"), "{letter}");
    }
    assert!(sagas.list(None).await.unwrap().is_empty());
    assert_eq!(sagas.stats().started, 0);
}

#[tokio::test(start_paused = true)]
async fn d03_a_handler_that_changes_the_key_changes_nothing() {
    #[derive(Default, Serialize, Deserialize)]
    struct Order {
        id: String,
    }
    let program = Program::new().await;
    let left = program.record("out.*");
    let order = Saga::<Order>::named("order")
        .key_of(|order: &Order| Some(order.id.as_str().into()))
        .starts("created", "id", |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.id = saga.key().to_owned();
        })
        .on("renamed", "id", |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.id = "other".to_owned();
            saga.publish(Event::builder("out.renamed"));
            saga.timeout_after("late", super::SECOND);
        });
    let sagas = order.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("created", "one")]).await;
    let before = sagas.get("one").await.unwrap().unwrap();
    program.publish_all([of("renamed", "one")]).await;

    assert_eq!(sagas.get("one").await.unwrap().unwrap(), before);
    assert_eq!(left.len(), 0);
    assert_eq!(program.bus.scheduled_stats().waiting, 0);
    let letters = program.dead_letters();
    assert!(letters[0].contains("from `one` to `other`"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_may_be_used_again_by_another_saga() {
    let program = Program::new().await;
    let sagas = flags().build().unwrap().attach(&program.bus).unwrap();
    program
        .publish_all([of("left", 1).id("first"), of("end", 1), of("left", 1).id("second")])
        .await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().id.to_string(), "second");
    let ended = sagas.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (ended[0].id.to_string().as_str(), &ended[0].status),
        ("first", &SagaStatus::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn so_many_that_have_ended_are_kept_and_no_more() {
    let program = Program::new().await;
    let sagas = flags().keep_ended(3).build().unwrap().attach(&program.bus).unwrap();
    for key in 0..300 {
        program.clock.advance(super::MILLISECOND);
        program.publish_all([of("left", key), of("end", key)]).await;
    }
    let since = |micros| time::OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(micros);
    let ended = sagas.ended(since(0)).await.unwrap();
    // Made room at 259, which leaves 3, and 41 came after that.
    assert_eq!(ended.len(), 44);
    assert_eq!((ended[0].key.as_str(), ended[43].key.as_str()), ("256", "299"));
}

#[tokio::test(start_paused = true)]
async fn all_that_have_ended_can_be_kept() {
    let program = Program::new().await;
    let sagas = flags().keep_ended(usize::MAX).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all((0..300).flat_map(|key| [of("left", key), of("end", key)])).await;
    assert_eq!((sagas.stats().completed, sagas.stats().not_found), (300, 0));
    let all = SagaFilter::new().ended().limit(1_000);
    assert_eq!(Sagas::new(&program.bus).list(&all).await.unwrap().len(), 300);
}

#[tokio::test(start_paused = true)]
async fn what_a_saga_publishes_is_part_of_the_conversation() {
    let program = Program::new().await;
    let asked = program.record("payment.request");
    let saga = Saga::<()>::named("order").starts(
        "created",
        SagaKey::correlation(),
        |(): &mut (), _: &Event, saga: &mut SagaContext| {
            saga.publish(Event::builder("payment.request"));
        },
    );
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    let created = Event::builder("created").id("evt-1").correlation_id("talk");
    program.publish_all([created]).await;
    let asked = asked.events();
    assert_eq!(asked[0].correlation_id().unwrap().to_string(), "talk");
    assert_eq!(asked[0].causation_id().unwrap().to_string(), "evt-1");
    assert_eq!(sagas.get("talk").await.unwrap().unwrap().correlation_id.to_string(), "talk");
}

#[tokio::test(start_paused = true)]
async fn d21_an_event_that_comes_twice_is_handled_once() {
    let program = Program::new().await;
    let downstream = program.record("out");
    let ran = Arc::new(parking_lot::Mutex::new(0));
    let runs = ran.clone();
    let count = move |(): &mut (), _: &Event, saga: &mut SagaContext| {
        *runs.lock() += 1;
        saga.publish(Event::builder("out"));
    };
    let saga = Saga::<()>::named("count").starts("in", "id", count);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    // The store would not take it twice under one name, so it comes by another way.
    let twice = program.bus.stamp(of("in", 1)).unwrap();
    let by_hand = nexus_events_dispatch::store::Append::of(twice.clone());
    for _ in 0..2 {
        program.bus.commit(by_hand.clone()).await.unwrap();
    }
    program.publish_all([of("in", 1)]).await;
    assert_eq!((*ran.lock(), downstream.len()), (2, 2));
    assert_eq!(sagas.stats().duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_is_tried_again_and_leaves_nothing_behind() {
    let program = Program::new().await;
    let out = program.record("out");
    let failures = parking_lot::Mutex::new(2);
    let saga = Saga::<u32>::named("flaky").starts(
        "in",
        "id",
        move |number: &mut u32, _: &Event, saga: &mut SagaContext| {
            *number += 1;
            saga.publish(Event::builder("out"));
            let mut failures = failures.lock();
            if *failures > 0 {
                *failures -= 1;
                return Err("not yet");
            }
            Ok(())
        },
    );
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("in", 1)]).await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(1));
    assert_eq!(out.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_became_a_dead_letter_holds_its_key_and_is_resumed() {
    let program = Program::new().await;
    let broken = Arc::new(parking_lot::Mutex::new(true));
    let is_broken = broken.clone();
    let saga = Saga::<Vec<String>>::named("list")
        .starts("start", "id", |_: &mut Vec<String>, _: &Event, _: &mut SagaContext| {})
        .on("add", "id", move |list: &mut Vec<String>, event: &Event, _: &mut SagaContext| {
            if *is_broken.lock() {
                return Err(HandlerError::permanent("broken"));
            }
            list.push(event.id().to_string());
            Ok(())
        });
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("start", 1), of("add", 1).id("a"), of("add", 1).id("b")]).await;
    assert_eq!(program.dead_letters().len(), 2);
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!([]));

    *broken.lock() = false;
    assert_eq!(sagas.resume("1").await.unwrap(), 2);
    program.bus.idle().await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!(["a", "b"]));
    assert_eq!(sagas.resume("1").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_older_version_is_brought_up_to_date() {
    let program = Program::new().await;
    let old = Saga::<Value>::named("order").starts(
        "created",
        "id",
        |state: &mut Value, _: &Event, _: &mut SagaContext| *state = json!({"amount": 7}),
    );
    let sagas = old.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("created", 1)]).await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().version, 1);

    let program = program.restart().await;
    let new = |version| {
        Saga::<Value>::named("order")
            .version(version)
            .upcast(1, |old: Value| json!({"total": old["amount"]}))
            .upcast(2, |old: Value| json!({"cents": old["total"].as_u64().unwrap() * 100}))
            .starts("created", "id", |_: &mut Value, _: &Event, _: &mut SagaContext| {})
    };
    let sagas = new(3).build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("created", 1)]).await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    assert_eq!((saga.version, saga.state()), (3, json!({"cents": 700})));

    let program = program.restart().await;
    let error = new(2).build().unwrap_err();
    assert!(error.to_string().contains("set `.version(3)`"), "{error}");
    let older = Saga::<Value>::named("order").starts(
        "created",
        "id",
        |_: &mut Value, _: &Event, _: &mut SagaContext| {},
    );
    let sagas = older.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("created", 1)]).await;
    assert!(program.dead_letters()[0].contains("newer program, at version 3"));
    assert_eq!(sagas.get("1").await.unwrap().unwrap(), saga);
}

#[tokio::test(start_paused = true)]
async fn types_of_the_program_are_given_as_they_are() {
    #[derive(Serialize, Deserialize)]
    struct Created {
        id: u32,
        total: u32,
    }
    impl TypedEvent for Created {
        const TYPE: EventType = EventType::from_static("created");
    }
    let program = Program::new().await;
    let saga = Saga::<u32>::named("order").starts_typed(
        "id",
        |total: &mut u32, created: &Created, _: &mut SagaContext| {
            *total += created.total;
        },
    );
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.bus.publish(Created { id: 5, total: 70 }).await.unwrap();
    program.publish_all([Event::builder("created").payload(json!({"id": 5, "total": 7}))]).await;
    assert_eq!(sagas.get("5").await.unwrap().unwrap().state(), json!(77));
}

#[test]
fn a_definition_that_makes_no_sense_says_which_part() {
    let nothing = |_: &mut u32, _: &Event, _: &mut SagaContext| {};
    let on_time = |_: &mut u32, _: &Value, _: &mut SagaContext| {};
    let named = |name: &str| Saga::<u32>::named(name.to_owned()).starts("a", "id", nothing);
    let cases = [
        (named(""), "name of a saga"),
        (named("a.b"), "not `a.b`"),
        (Saga::<u32>::named("idle").on("a", "id", nothing), "nothing starts the saga `idle`"),
        (named("s").on("a..b", "id", nothing), "a..b"),
        (named("s").timeout("t", on_time).timeout("t", on_time), "timeout `t`"),
        (named("s").on("b", "", nothing), "the field `` of `b`"),
        (named("s").on("b", "order..id", nothing), "the field `order..id` of `b`"),
        (named("s").on("a", "id", nothing), "two handlers for `a`"),
        (named("s").on("b", "id", nothing).on("b", "id", nothing), "two handlers for `b`"),
        (named("s").version(0), "version"),
        (named("s").concurrency(0), "concurrency of the saga `s`"),
    ];
    for (saga, part) in cases {
        let error = saga.build().unwrap_err().to_string();
        assert!(error.contains(part), "{error} should name {part}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_one_pattern_may_start_a_saga_in_another_way_than_they_go_on() {
    let program = Program::new().await;
    let saga = Saga::<Vec<u32>>::named("s")
        .on("a", "id", |seen: &mut Vec<u32>, _: &Event, _: &mut SagaContext| seen.push(2))
        .starts("a", "id", |seen: &mut Vec<u32>, _: &Event, _: &mut SagaContext| seen.push(1));
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("a", 1), of("a", 1)]).await;
    assert_eq!(sagas.get("1").await.unwrap().unwrap().state(), json!([1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_field_may_have_any_name() {
    let program = Program::new().await;
    let nothing = |_: &mut u32, _: &Event, _: &mut SagaContext| {};
    let saga = Saga::<u32>::named("s").starts("a", "a/b.c~1", nothing);
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    let payload = json!({"a/b": {"c~1": "found"}, "a": {"b": {"c/": "wrong"}}});
    program.publish_all([Event::builder("a").payload(payload)]).await;
    assert!(sagas.get("found").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_it_publishes_is_of_its_conversation_which_its_start_begins() {
    let program = Program::new().await;
    let published = program.record("did");
    let saga = Saga::<u32>::named("s").starts(
        "go",
        "id",
        |_: &mut u32, _: &Event, saga: &mut SagaContext| {
            saga.publish(Event::builder("did"));
        },
    );
    let sagas = saga.build().unwrap().attach(&program.bus).unwrap();
    program.publish_all([of("go", "1"), of("go", "1").correlation_id("other")]).await;
    let saga = sagas.get("1").await.unwrap().unwrap();
    let correlations: Vec<_> =
        published.events().iter().map(|event| event.correlation_id().cloned()).collect();
    assert_eq!(correlations, vec![Some(saga.correlation_id); 2]);
}
