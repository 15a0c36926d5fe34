//! `POST /events` with one event.

use hyper::{Method, StatusCode};
use nexus_events_dispatch::{Context, HandlerExt};
use nexus_events_model::Event;
use serde_json::json;

use crate::http::{Connection, Server, request};

const JSON: &str = "application/json";

#[tokio::test]
async fn an_event_is_answered_with_its_report() {
    let server = Server::start().await;
    let work = async |event: Event| event.payload().get("amount").cloned().ok_or("no amount");
    server.bus.on("order.*", work.named("work")).unwrap();
    let validate = |event: &Event, context: &Context| {
        if event.source().is_empty() {
            context.cancel("no source");
        }
    };
    server.bus.on("order.created", validate.named("validate").priority(100)).unwrap();

    let event = json!({"event_id": "e-1", "event_type": "order.created", "source": "shop", "data": {"amount": 12}});
    let answer = server.post("/events", JSON, event.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let report = answer.json();
    // The streamer is a handler, too.
    assert_eq!((&report["event_id"], &report["handlers_notified"]), (&json!("e-1"), &json!(3)));
    let results = report["results"].as_array().unwrap();
    assert_eq!(results[0]["handler_id"], "validate");
    assert_eq!((&results[1]["status"], &results[1]["result"]), (&json!("success"), &json!(12)));

    let answer = server.post("/events", JSON, r#"{"event_type":"order.created"}"#).await;
    assert_eq!(answer.json()["results"][1]["status"], "cancelled");
}

#[tokio::test]
async fn without_waiting_the_answer_has_the_id_only() {
    let server = Server::start().await;
    let answer =
        server.post("/events?wait=false", JSON, r#"{"event_type":"a","event_id":"e"}"#).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json(), json!({"event_id": "e", "handlers_notified": 1, "results": []}));
}

#[tokio::test]
async fn what_curl_sends_without_being_told_is_understood() {
    let server = Server::start().await;
    for content_type in ["", "application/x-www-form-urlencoded"] {
        let answer = server.post("/events", content_type, r#"{"event_type":"a.b"}"#).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}");
    }
}

#[track_caller]
fn check(answer: &crate::http::Answer, status: u16, code: &str, says: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{}", answer.text);
    assert!(answer.text.contains(says), "{says} in {}", answer.text);
}

#[tokio::test]
async fn bad_input_names_the_place_and_leaves_the_server_running() {
    let server = Server::start().await;
    let rows = [
        (r#"{"event_type":"a""#, "invalid_event", "line 1 column 17"),
        ("nonsense", "invalid_event", "line 1 column 2"),
        ("", "invalid_event", "empty"),
        ("[]", "invalid_event", "no event"),
        ("[{]", "invalid_event", "line 1 column 3"),
        (r#"{"event_type":7}"#, "invalid_event", "field `event_type`"),
        (r#"{"event_type":"a","priority":"loud"}"#, "invalid_event", "loud"),
        (r#"{"event_type":"a","timestamp":"noon"}"#, "invalid_event", "noon"),
        (r#"{"event_type":"a","metadata":[]}"#, "invalid_event", "field `metadata`"),
        (r#"{"event_typ":"a"}"#, "unknown_field", "did you mean `event_type`?"),
        (r#"{"event_type":"order created"}"#, "invalid_event_type", "order created"),
        (r#"{"event_type":""}"#, "invalid_event_type", "event type"),
        (r#"{"events":[{}],"color":1}"#, "invalid_event", "color"),
        ("\"text\"", "invalid_event", "an event, which is a JSON object"),
    ];
    for (content, code, says) in rows {
        check(&server.post("/events", JSON, content).await, 400, code, says);
    }
    check(
        &server.post("/events", JSON, &b"{\"event_type\":\"\xff\"}"[..]).await,
        400,
        "invalid_event",
        "byte 15",
    );
    let deep = "[".repeat(100_000);
    check(
        &server.post("/events", JSON, format!(r#"{{"payload":{deep}"#)).await,
        400,
        "invalid_event",
        "payload",
    );
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(server.bus.stats().events.total_events, 0);
}

#[tokio::test]
async fn an_unknown_field_may_be_ignored() {
    let server = Server::start().await;
    let answer = server.post("/events?lenient=true", JSON, r#"{"event_type":"a","color":1}"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    check(&server.post("/events?lenient=yes", JSON, "{}").await, 400, "invalid_query", "lenient");
    check(&server.post("/events?colour=red", JSON, "{}").await, 400, "invalid_query", "colour");
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let server = Server::start().await;
    check(
        &server.post("/events", "text/plain", "{}").await,
        415,
        "unsupported_media_type",
        "text/plain",
    );
    let mut gzipped = request(Method::POST, "/events", &server.authority, "\u{1f}");
    gzipped.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    check(&server.send(gzipped).await, 415, "unsupported_media_type", "gzip");
}

#[tokio::test]
async fn two_mebibytes_are_too_large_and_the_connection_stays_usable() {
    let server = Server::start().await;
    let mut connection = Connection::open(&server.authority).await;
    let large = format!(r#"{{"event_type":"a","payload":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let answer = connection.send(request(Method::POST, "/events", &server.authority, large)).await;
    check(&answer, 413, "too_large", "1048576");
    let answer = connection
        .send(request(Method::POST, "/events", &server.authority, r#"{"event_type":"a"}"#))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(server.bus.stats().events.total_events, 1);
}

#[tokio::test]
async fn after_a_shutdown_publishing_is_refused_for_a_while() {
    let server = Server::start().await;
    server.bus.shutdown(std::time::Duration::from_secs(5)).await;
    check(&server.post("/events", JSON, r#"{"event_type":"a"}"#).await, 503, "closed", "shut down");
}
