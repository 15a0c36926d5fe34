//! `GET /log` and what is beside it: what a store has, over HTTP.

use hyper::StatusCode;
use nexus_events_dispatch::HandlerExt;
use nexus_events_model::Event;
use serde_json::{Value, json};

use crate::http::{Answer, Server};

async fn with_orders() -> Server {
    let server = Server::with_memory().await;
    for (number, event_type) in
        ["order.created", "user.created", "order.paid", "order.created"].into_iter().enumerate()
    {
        let event = Event::builder(event_type)
            .id(format!("e-{number}"))
            .source(if number == 2 { "till" } else { "shop" })
            .payload(json!({"amount": number}));
        server.bus.publish(event).await.unwrap();
    }
    server
}

#[track_caller]
fn offsets(answer: &Answer) -> Vec<u64> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let events = answer["events"].as_array().unwrap();
    assert_eq!(answer["count"], events.len());
    events.iter().map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_log_is_asked_by_range_and_by_what_events_have() {
    let server = with_orders().await;
    for (query, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("?after=2", &[3, 4]),
        ("?after=1&until=3", &[2, 3]),
        ("?order=desc", &[4, 3, 2, 1]),
        ("?order=desc&limit=1", &[4]),
        ("?type=order.*", &[1, 3, 4]),
        ("?type=order.paid,user.*", &[2, 3]),
        ("?source=till", &[3]),
        ("?filter=payload.amount%20%3E%202", &[4]),
        ("?priority=high", &[]),
        ("?since=2000-01-01T00:00:00Z", &[1, 2, 3, 4]),
        ("?before=2000-01-01T00:00:00+00:00", &[]),
        ("?key=nobody", &[]),
        ("?after=99", &[]),
    ] {
        assert_eq!(offsets(&server.get(&format!("/log{query}")).await), expected, "{query}");
    }
    let answer = server.get("/log?limit=1").await.json();
    assert_eq!((&answer["first"], &answer["last"]), (&json!(1), &json!(4)));
    assert_eq!(answer["epoch"], server.bus.store().unwrap().bounds().epoch.to_string());
    assert_eq!(answer["events"][0]["event"]["event_id"], "e-0");
}

#[tokio::test]
async fn next_leads_through_all_of_it_in_both_directions() {
    let server = with_orders().await;
    for (start, expected) in [
        ("/log?limit=2", vec![1, 2, 3, 4]),
        ("/log?type=order.*&limit=1", vec![1, 3, 4]),
        ("/log?order=desc&limit=3", vec![4, 3, 2, 1]),
        ("/log?order=desc&limit=1&type=order.created", vec![4, 1]),
    ] {
        let (mut found, mut next) = (Vec::new(), Some(start.to_owned()));
        while let Some(path) = next {
            let answer = server.get(&path).await;
            found.extend(offsets(&answer));
            next = answer.json()["next"].as_str().map(str::to_owned);
        }
        assert_eq!(found, expected, "{start}");
    }
}

#[tokio::test]
async fn one_event_is_asked_by_its_offset() {
    let server = with_orders().await;
    let answer = server.get("/log/3").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!((&answer.json()["offset"], &answer.json()["key"]), (&json!(3), &Value::Null));
    assert_eq!(answer.json()["event"]["source"], "till");
    for (path, status, code) in [
        ("/log/5", 404, "unknown_offset"),
        ("/log/0", 404, "unknown_offset"),
        ("/log/18446744073709551615", 404, "unknown_offset"),
        ("/log/first", 400, "invalid_query"),
        ("/log/-1", 400, "invalid_query"),
        ("/log?limit=0", 400, "invalid_query"),
        ("/log?limit=100000000", 400, "invalid_query"),
        ("/log?colour=red", 400, "invalid_query"),
        ("/log?since=noon", 400, "invalid_query"),
        ("/log?order=up", 400, "invalid_query"),
        ("/log?type=a..b", 400, "invalid_pattern"),
        ("/log?filter=amount%20%3E", 400, "invalid_filter"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn publishing_answers_with_the_offset() {
    let server = Server::with_memory().await;
    let json = "application/json";
    let one = server.post("/events", json, r#"{"event_type":"a","event_id":"1"}"#).await.json();
    assert_eq!((&one["offset"], &one["duplicate"]), (&json!(1), &Value::Null));
    let again = server.post("/events", json, r#"{"event_type":"a","event_id":"1"}"#).await.json();
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(1), &json!(true)));
    let quick = server.post("/events?wait=false", json, r#"{"event_type":"a"}"#).await.json();
    assert_eq!(quick["offset"], 2);
    let lines: String = (0..700).map(|n| format!("{{\"event_type\":\"a.n{n}\"}}\n")).collect();
    let many = server.post("/events", "application/x-ndjson", lines).await.json();
    let found: Vec<u64> = many["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(found, (3..703).collect::<Vec<u64>>(), "in the order of the lines");
}

#[tokio::test]
async fn consumers_show_how_far_they_are_registered_or_not() {
    let server = with_orders().await;
    let billing = server.bus.on("order.*", (async |_: Event| {}).durable("billing")).unwrap();
    server.bus.publish(Event::builder("order.created")).await.unwrap();
    server.bus.idle().await;
    let answer = server.get("/consumers").await.json();
    assert_eq!((&answer["count"], &answer["last"]), (&json!(1), &json!(5)));
    let consumer = &answer["consumers"][0];
    assert_eq!((&consumer["name"], &consumer["registered"]), (&json!("billing"), &json!(true)));
    assert_eq!((&consumer["acked"], &consumer["lag"]), (&json!(5), &json!(0)));

    billing.unsubscribe().await;
    server.bus.publish(Event::builder("order.created")).await.unwrap();
    let consumer = server.get("/consumers").await.json()["consumers"][0].clone();
    assert_eq!((&consumer["registered"], &consumer["lag"]), (&json!(false), &json!(1)));
}

#[tokio::test]
async fn without_a_store_everything_about_it_says_so() {
    let server = Server::start().await;
    for path in ["/log", "/log/1", "/consumers", "/dead-letters", "/dead-letters/1"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "no_store"), "{path}");
    }
    let answer = server.post("/store/backup", "", "").await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "no_store"));
    let server = Server::with_memory().await;
    let answer = server.post("/store/backup", "", "").await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (501, "unsupported"));
}
