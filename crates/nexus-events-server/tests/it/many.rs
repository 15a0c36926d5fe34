//! `POST /events` with many events.

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::http::Server;

const LINES: &str = "application/x-ndjson";

fn ids(server: &Server) -> Vec<String> {
    server.bus.history(100_000, None).iter().map(|event| event.id().to_string()).collect()
}

#[tokio::test]
async fn an_array_is_published_in_order() {
    let server = Server::start().await;
    for content in [
        r#"[{"event_type":"a","event_id":"1"},{"event_type":"b","event_id":"2"}]"#,
        r#"{"events":[{"event_type":"a","event_id":"3"},{"event_type":"b","event_id":"4"}]}"#,
    ] {
        let answer = server.post("/events", "application/json", content).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let answer = answer.json();
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(0)));
    }
    assert_eq!(ids(&server), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_bad_element_is_refused_alone() {
    let server = Server::start().await;
    let content = r#"[{"event_type":"a"},{"event_type":"b b"}]"#;
    let answer = server.post("/events", "application/json", content).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    assert_eq!(answer.json()["results"][1]["error"]["code"], "invalid_event_type");
    let none = server.post("/events", "application/json", r#"[{"event_type":"b b"}]"#).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(none.json()["accepted"], 0);
}

#[tokio::test]
async fn of_five_lines_a_bad_third_is_refused_with_its_place() {
    let server = Server::start().await;
    let lines: Vec<String> = (0..5)
        .map(|n| match n {
            2 => r#"{"event_type":"a","#.to_owned(),
            _ => json!({"event_type": "a", "event_id": n.to_string()}).to_string(),
        })
        .collect();
    for content_type in [LINES, ""] {
        let answer = server.post("/events", content_type, lines.join("\n")).await;
        assert_eq!(answer.status, StatusCode::MULTI_STATUS);
        let answer = answer.json();
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(4), &json!(1)));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results[1]["event_id"], "1");
        assert_eq!((&results[2]["index"], &results[2]["line"]), (&json!(2), &json!(3)));
        assert!(
            results[2]["error"]["message"].as_str().unwrap().starts_with("line 3: "),
            "{results:?}"
        );
        assert!(results[2].get("event_id").is_none());
    }
    assert_eq!(ids(&server).len(), 8);
}

#[tokio::test]
async fn lines_have_no_bound_in_total_and_one_of_two_mebibytes_is_refused_alone() {
    let server = Server::start().await;
    let line = |size: usize| {
        Bytes::from(json!({"event_type": "a", "payload": "x".repeat(size)}).to_string() + "\n")
    };
    let pieces = vec![line(900_000), line(2_000_000), line(900_000), line(900_000)];
    let answer = server.post_pieces("/events", LINES, pieces).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    let answer = answer.json();
    assert_eq!(answer["accepted"], 3);
    assert_eq!(answer["results"][1]["error"]["code"], "too_large");
}

#[tokio::test]
async fn an_array_is_bounded_in_total() {
    let server = Server::start().await;
    let event = json!({"event_type": "a", "payload": "x".repeat(600_000)});
    let answer =
        server.post("/events", "application/json", json!([event, event]).to_string()).await;
    assert_eq!((answer.status, &*answer.code()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    assert!(answer.text.contains("application/x-ndjson"), "{}", answer.text);
    assert_eq!(server.bus.stats().events.total_events, 0);
}

#[tokio::test]
async fn more_lines_than_allowed_end_the_request_after_those() {
    let server = Server::start().await;
    let most = nexus_events_server::limits::NDJSON_LINES_MAX;
    let answer = server.post("/events", LINES, "{\"event_type\":\"a\"}\n".repeat(most + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.code(), "too_many_lines");
    assert_eq!(answer.json()["accepted"], most);
    assert_eq!(server.bus.stats().events.total_events, most as u64);
}

#[tokio::test]
async fn lines_that_are_all_bad_or_missing_are_a_bad_request() {
    let server = Server::start().await;
    for content in ["x\ny\n", "\n\n", ""] {
        assert_eq!(server.post("/events", LINES, content).await.status, StatusCode::BAD_REQUEST);
    }
    let results: Value = server.post("/events", LINES, &b"\xff\xfe\n"[..]).await.json();
    assert!(results["results"][0]["error"]["message"].as_str().unwrap().contains("UTF-8"));
}
