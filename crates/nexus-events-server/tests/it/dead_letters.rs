//! Dead letters from a failing durable handler to its mended event, over HTTP and on the command
//! line.

use hyper::Method;
use nexus_events_dispatch::{Durable, HandlerError, HandlerExt};
use nexus_events_model::Event;
use serde_json::{Value, json};

use crate::http::{Answer, Server};
use crate::program::run;

/// Its durable handler `billing` gives up orders without an amount, ordered by their user.
async fn with_letters(orders: &[(&str, Value)]) -> Server {
    let server = Server::with_memory().await;
    let charge = async |event: Event| match event.payload().get("amount") {
        Some(_) => Ok(()),
        None => Err(HandlerError::permanent("no amount")),
    };
    let by_user = |event: &Event| event.user_id().map(|user| user.to_string().into());
    let charge =
        charge.with(|options| options.ordered_by(by_user).durable(Durable::named("billing")));
    server.bus.on("order.*", charge).unwrap();
    for (user, payload) in orders {
        let order = Event::builder("order.created").user_id(*user).payload(payload.clone());
        server.bus.publish(order).await.unwrap();
        // Several keys go at a time, so the order of their dead letters would be anybody's guess.
        server.bus.idle().await;
    }
    server
}

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{}", answer.text);
}

#[tokio::test]
async fn one_is_listed_shown_edited_and_replayed() {
    let server = with_letters(&[("1", json!({})), ("2", json!({"amount": 2}))]).await;
    let list = server.get("/dead-letters").await.json();
    assert_eq!(
        (&list["count"], &list["total"], &list["next"]),
        (&json!(1), &json!(1), &Value::Null)
    );
    let stats = server.get("/stats").await.json();
    assert_eq!(
        (&stats["dead_letters"]["letters"], &stats["scheduled"]["waiting"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(stats["consumers"]["billing"]["parked"], 1);
    let letter = server.get("/dead-letters/1").await.json();
    assert_eq!(letter, list["dead_letters"][0]);
    assert_eq!((&letter["handler"], &letter["error"]), (&json!("billing"), &json!("no amount")));

    let again = server.post("/dead-letters/1/replay", "", "").await.json();
    assert_eq!(again, json!({"id": 1, "outcome": "failed", "error": "no amount"}));

    for (edit, status, code) in [
        ("[]", 400, "invalid_event"),
        ("{", 400, "invalid_event"),
        (r#"{"colour":1}"#, 400, "unknown_field"),
        (r#"{"event_id":"another"}"#, 422, "refused"),
        (r#"{"event_type":"user.created"}"#, 422, "refused"),
    ] {
        check(&server.ask(Method::PATCH, "/dead-letters/1", edit).await, status, code);
    }
    let patch = r#"{"payload":{"amount":12.50}}"#;
    let edited = server.ask(Method::PATCH, "/dead-letters/1", patch).await.json();
    assert_eq!((&edited["edits"], &edited["event"]["user_id"]), (&json!(1), &json!("1")));
    let put = r#"{"event_type":"order.paid","payload":{"amount":1}}"#;
    let edited = server.ask(Method::PUT, "/dead-letters/1", put).await.json();
    assert_eq!(
        (&edited["event"]["event_type"], &edited["event"]["user_id"]),
        (&json!("order.paid"), &Value::Null)
    );

    let replayed = server.post("/dead-letters/1/replay", "", "").await.json();
    assert_eq!(replayed["outcome"], "succeeded", "{replayed}");
    check(&server.get("/dead-letters/1").await, 404, "unknown_dead_letter");
    check(&server.post("/dead-letters/1/replay", "", "").await, 404, "unknown_dead_letter");
    check(&server.ask(Method::DELETE, "/dead-letters/one", "").await, 404, "unknown_dead_letter");
}

#[tokio::test]
async fn they_are_chosen_by_handler_type_key_and_filter_page_by_page() {
    let server = with_letters(&[
        ("1", json!({"x": 1})),
        ("2", json!({"x": 2})),
        ("1", json!({"amount": 3})),
    ])
    .await;
    for (query, expected) in [
        ("", 3),
        ("?handler=billing", 3),
        ("?handler=shipping", 0),
        ("?type=order.*", 3),
        ("?type=user.*", 0),
        ("?key=1", 2),
        ("?filter=payload.x%20%3E%201", 1),
        ("?after=1", 2),
    ] {
        assert_eq!(
            server.get(&format!("/dead-letters{query}")).await.json()["count"],
            expected,
            "{query}"
        );
    }
    let mut next = Some("/dead-letters?limit=2".to_owned());
    let mut ids = Vec::new();
    while let Some(path) = next {
        let page = server.get(&path).await.json();
        ids.extend(
            page["dead_letters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|letter| letter["id"].as_u64().unwrap()),
        );
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(ids, [1, 2, 3]);
    check(&server.get("/dead-letters?colour=red").await, 400, "invalid_query");

    // What is behind another one of its key waits for that.
    let skipped = server.post("/dead-letters/3/replay", "", "").await.json();
    assert_eq!(skipped["outcome"], "skipped", "{skipped}");
    let edited = server.ask(Method::PATCH, "/dead-letters/1", r#"{"payload":{"amount":1}}"#).await;
    assert_eq!(edited.json()["edits"], 1, "{}", edited.text);
    let report = server.post("/dead-letters/replay?handler=billing&key=1", "", "").await.json();
    assert_eq!(report, json!({"succeeded": 2, "failed": 0, "skipped": 0}));
    let report = server.post("/dead-letters/replay?all=true", "", "").await.json();
    assert_eq!(report, json!({"succeeded": 0, "failed": 1, "skipped": 0}));
}

#[tokio::test]
async fn nothing_is_discarded_without_saying_what() {
    let server = with_letters(&[("1", json!({})), ("2", json!({})), ("3", json!({}))]).await;
    for path in ["/dead-letters", "/dead-letters?all=false", "/dead-letters?all=true&key=1"] {
        check(&server.ask(Method::DELETE, path, "").await, 400, "invalid_query");
    }
    assert_eq!(
        server.ask(Method::DELETE, "/dead-letters?key=1", "").await.json(),
        json!({"discarded": 1})
    );
    assert_eq!(server.ask(Method::DELETE, "/dead-letters/2", "").await.json()["id"], 2);
    assert_eq!(
        server.ask(Method::DELETE, "/dead-letters?all=true", "").await.json(),
        json!({"discarded": 1})
    );
}

#[tokio::test]
async fn the_command_line_does_the_same() {
    let server =
        with_letters(&[("1", json!({"x": 1})), ("2", json!({"x": 2})), ("3", json!({"x": 3}))])
            .await;
    let url = server.url();
    let letters = async |arguments: &[&str]| {
        run(&[&["dead-letters"], arguments, &["--url", &url]].concat()).await
    };
    let list = letters(&["list", "--filter", "payload.x >= 2"]).await;
    assert_eq!((list.code, list.out.lines().count()), (Some(0), 2), "{list:?}");
    assert!(
        list.out.contains("billing") && list.out.contains("1 attempts: no amount"),
        "{}",
        list.out
    );
    let list = letters(&["list", "--limit", "1", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&list.out).unwrap()["id"], 1);
    let export = letters(&["export"]).await;
    assert_eq!(export.out.lines().count(), 3);
    assert!(letters(&["show", "1"]).await.out.contains("\"no amount\""));

    letters(&["show", "99"]).await.refused(4, "no dead letter 99");
    letters(&["edit", "1", "[]"]).await.refused(7, "JSON object");
    letters(&["replay", "--filter", "amount >"]).await.refused(7, "filter");
    for usage in
        [&["replay"][..], &["discard"], &["replay", "1", "--all"], &["list", "--limit", "0"]]
    {
        assert_eq!(letters(usage).await.code, Some(2), "{usage:?}");
    }

    let failed = letters(&["replay", "--all"]).await;
    assert_eq!((failed.code, &*failed.out), (Some(1), "0 succeeded, 3 failed again, 0 skipped\n"));
    assert!(failed.err.contains("dead letter 2 failed again: no amount"), "{}", failed.err);
    let edited = letters(&["edit", "1", r#"{"payload":{"amount":1}}"#]).await;
    assert!(edited.out.contains("replay it"), "{edited:?}");
    let replayed = letters(&["replay", "1", "-o", "json"]).await;
    let counts: Value = serde_json::from_str(&replayed.out).unwrap();
    assert_eq!(
        (replayed.code, counts),
        (Some(0), json!({"succeeded": 1, "failed": 0, "skipped": 0}))
    );
    let key = letters(&["replay", "--handler", "billing", "--key", "2"]).await;
    assert_eq!((key.code, &*key.out), (Some(1), "0 succeeded, 1 failed again, 0 skipped\n"));
    assert_eq!(letters(&["discard", "2"]).await.out, "1 discarded\n");
    assert_eq!(letters(&["discard", "--all"]).await.out, "1 discarded\n");
    run(&["dead-letters", "list", "--url", "http://127.0.0.1:1"]).await.refused(5, "no server");
}
