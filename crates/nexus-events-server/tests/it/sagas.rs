//! Sagas over HTTP and on the command line.

use std::sync::Arc;

use hyper::Method;
use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::MemoryStore;
use nexus_events_model::Event;
use nexus_events_patterns::saga::{Saga, SagaContext};
use nexus_events_server::App;
use serde_json::{Value, json};

use crate::http::Server;
use crate::program::run;

async fn with_orders() -> Server {
    let store = Arc::new(MemoryStore::new());
    let bus = Bus::builder().store(store).open().await.unwrap();
    let app = App::new(bus.clone()).unwrap();
    let order = Saga::<Value>::named("order")
        .starts(
            "order.created",
            "id",
            |order: &mut Value, event: &Event, saga: &mut SagaContext| {
                *order = event.payload().value().unwrap().clone();
                saga.timeout_after("late", std::time::Duration::from_secs(3_600));
            },
        )
        .on("order.paid", "id", |_: &mut Value, _: &Event, saga: &mut SagaContext| saga.complete())
        .timeout("late", |_: &mut Value, _: &Value, saga: &mut SagaContext| saga.halt("late"));
    app.sagas().add(order.build().unwrap().attach(&bus).unwrap());
    let server = Server::around(app).await;
    for id in ["1", "2", "a/ü?"] {
        let created = Event::builder("order.created").payload(json!({"id": id, "total": 7}));
        bus.publish(created).await.unwrap();
    }
    bus.publish(Event::builder("order.paid").payload(json!({"id": "2"}))).await.unwrap();
    bus.idle().await;
    server
}

#[tokio::test]
async fn they_are_listed_shown_and_cancelled() {
    let server = with_orders().await;
    let first = server.get("/sagas?limit=1").await.json();
    assert_eq!((&first["count"], &first["sagas"][0]["key"]), (&json!(1), &json!("1")));
    assert_eq!(first["stats"]["order"]["started"], 3);
    let second = server.get(first["next"].as_str().unwrap()).await.json();
    assert_eq!((&second["sagas"][0]["key"], &second["next"]), (&json!("a/ü?"), &Value::Null));
    let ended = server.get("/sagas?ended=true&saga=order").await.json();
    assert_eq!(ended["sagas"][0]["status"]["name"], "completed");

    let shown = server.get("/sagas/order/a%2F%C3%BC%3F").await.json();
    assert_eq!(
        (&shown["state"]["total"], &shown["timers"][0]["name"]),
        (&json!(7), &json!("late"))
    );
    let path = "/sagas/order/1/cancel";
    let cancelled = server.ask(Method::POST, path, r#"{"reason":"gone"}"#).await.json();
    assert_eq!(cancelled["status"], json!({"name": "cancelled", "reason": "gone"}));

    for (method, path, content, code) in [
        (Method::GET, "/sagas/order/none", "", "not_found"),
        (Method::POST, path, "", "not_found"),
        (Method::POST, "/sagas/other/1/cancel", "", "not_found"),
        (Method::POST, "/sagas/order/a%2F%C3%BC%3F/resume", "", "not_found"),
        (Method::POST, path, r#"{"why":"x"}"#, "invalid_query"),
        (Method::GET, "/sagas?what=1", "", "invalid_query"),
        (Method::GET, "/sagas?limit=0", "", "invalid_query"),
        (Method::GET, "/sagas?after=xyz", "", "invalid_option"),
    ] {
        assert_eq!(server.ask(method, path, content).await.code(), code, "{path} {content}");
    }
    assert_eq!(Server::start().await.get("/sagas").await.code(), "no_store");
}

#[tokio::test]
async fn the_command_line_shows_and_cancels_them() {
    let server = with_orders().await;
    let url = server.url();
    let saga = async |arguments: &[&str]| {
        let arguments = [&["saga"], arguments, &["--url", &url]].concat();
        run(&arguments).await
    };
    let listed = saga(&["list"]).await;
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
    assert!(listed.out.contains("running") && listed.err.contains("2 shown"));
    let shown = saga(&["show", "order", "a/ü?"]).await.out;
    assert!(shown.contains("timeout") && shown.contains(r#""total":7"#), "{shown}");
    let cancelled = saga(&["cancel", "order", "a/ü?", "--reason", "sold out"]).await;
    assert!(cancelled.out.contains("cancelled") && cancelled.out.contains("sold out"));
    let ended = saga(&["list", "--ended", "--status", "cancelled", "--output", "json"]).await.out;
    assert_eq!(serde_json::from_str::<Value>(&ended).unwrap()["key"], "a/ü?");
    saga(&["resume", "order", "1"]).await.refused(4, "stands still or has dead letters");
}
