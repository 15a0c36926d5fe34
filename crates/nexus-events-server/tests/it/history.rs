//! What can be read: history, statistics, health, and what there is not.

use hyper::StatusCode;
use nexus_events_model::Event;
use serde_json::json;

use crate::http::Server;

async fn with_orders() -> Server {
    let server = Server::start().await;
    for (number, event_type) in
        ["order.created", "user.created", "order.paid", "order.created"].into_iter().enumerate()
    {
        let event =
            Event::builder(event_type).id(number.to_string()).payload(json!({"amount": number}));
        server.bus.publish(event).await.unwrap();
    }
    server
}

#[tokio::test]
async fn the_history_is_asked_by_type_filter_and_limit_newest_last() {
    let server = with_orders().await;
    for (query, expected) in [
        ("", "0 1 2 3"),
        ("?limit=2", "2 3"),
        ("?limit=0", ""),
        ("?type=order.*", "0 2 3"),
        ("?type=order.created&limit=1", "3"),
        ("?filter=payload.amount%20%3E%3D%201%20%26%26%20payload.amount%20%3C%203", "1 2"),
        ("?type=order.*&filter=payload.amount%20%3C%203&limit=1", "2"),
    ] {
        let answer = server.get(&format!("/events{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let answer = answer.json();
        let ids: Vec<&str> = answer["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.join(" "), expected, "{query}");
        assert_eq!(answer["count"], ids.len());
    }
}

#[tokio::test]
async fn events_come_back_as_they_were_sent_with_their_fields_in_order() {
    let server = Server::start().await;
    for payload in [r#"{"b": 1.50, "a": 2}"#, r#""\u00e9""#, "100000000000000000000000"] {
        let event = format!(r#"{{"event_type":"a","payload":{payload}}}"#);
        server.post("/events", "application/json", event).await;
        let answer = server.get("/events?limit=1").await;
        assert_eq!(answer.headers["content-type"], "application/json");
        let written = format!(r#""target":null,"payload":{payload},"metadata":{{}}"#);
        assert!(answer.text.contains(&written), "{}", answer.text);
    }
    let history = server.bus.history(3, None);
    let encoded: Vec<_> = history.iter().map(|event| event.encoded().unwrap().as_str()).collect();
    let expected = format!(r#"{{"count":3,"omitted":0,"events":[{}]}}"#, encoded.join(","));
    assert_eq!(server.get("/events").await.text, expected);
}

#[tokio::test]
async fn the_history_stays_readable_whatever_is_published() {
    let server = Server::start().await;
    for payload in [r#"{"x":"\ud800"}"#, "1e999"] {
        let event = format!(r#"{{"event_type":"a","payload":{payload}}}"#);
        let answer = server.post("/events", "application/json", event).await;
        assert!(!answer.status.is_server_error(), "{}", answer.text);
        assert_eq!(server.get("/events").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_wrong_query_is_refused() {
    let server = Server::start().await;
    for (query, code) in [
        ("limit=-1", "invalid_query"),
        ("limit=many", "invalid_query"),
        ("colour=red", "invalid_query"),
        ("type=a..b", "invalid_pattern"),
        ("filter=amount%20%3E", "invalid_filter"),
    ] {
        let answer = server.get(&format!("/events?{query}")).await;
        assert_eq!((answer.status, &*answer.code()), (StatusCode::BAD_REQUEST, code), "{query}");
    }
}

#[tokio::test]
async fn the_statistics_have_the_shape_of_the_bus_with_streamer_and_server() {
    let server = with_orders().await;
    let stats = server.get("/stats").await.json();
    assert_eq!(stats["event_stats"]["total_events"], 4);
    assert_eq!(stats["history_size"], 4);
    assert!(
        stats["handlers"].as_object().is_some_and(|handlers| handlers.len() == 1),
        "the streamer"
    );
    assert_eq!(stats["streaming"]["connected_clients"], 0);
    assert_eq!(stats["server"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(stats["server"]["uptime_seconds"].is_u64());
    assert!(stats["server"]["limits"]["connections"].is_u64());
}

#[tokio::test]
async fn what_there_is_not_is_said_in_json() {
    let server = Server::start().await;
    let missing = server.get("/nothing/here").await;
    assert_eq!((missing.status, &*missing.code()), (StatusCode::NOT_FOUND, "not_found"));
    let wrong = server.post("/stats", "application/json", "{}").await;
    assert_eq!(
        (wrong.status, &*wrong.code()),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    );
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
}
