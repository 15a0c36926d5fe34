//! `GET /metrics`.

use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use nexus_events_dispatch::HandlerExt;
use nexus_events_model::Event;

use crate::http::{Server, request};

#[tokio::test]
async fn a_monitoring_system_finds_the_statistics_as_text() {
    let server = Server::start().await;
    server.bus.on("order.*", (|_: &Event| {}).named("billing")).unwrap();
    let order = r#"{"event_type":"order.created"}"#;
    server.post("/events", "application/json", order).await;

    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "# TYPE nexus_events_published_total counter",
        "nexus_events_published_total 1",
        r#"nexus_events_handler_runs_total{handler="billing"} 1"#,
        // The streamer is a handler, too.
        r#"nexus_events_handler_seconds_count{handler="streaming_handler"} 1"#,
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} in {}", answer.text);
    }

    let post = request(Method::POST, "/metrics", &server.authority, "");
    assert_eq!(server.send(post).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
