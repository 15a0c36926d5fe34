//! Which events of a type a subscription sees.

use nexus_events_model::EventBuilder;
use serde_json::{Value, json};

use crate::support::{Client, Server};

/// Two events that differ in every field; the filter must let the first through alone.
#[track_caller]
fn events() -> [EventBuilder; 2] {
    [
        json!({
            "event_id": "evt-1", "event_type": "a.one", "source": "shop", "target": "stock",
            "payload": {"n": 1, "deep": {"er": "x"}}, "metadata": {"region": "eu"},
            "timestamp": "2026-01-02T03:04:05Z", "priority": "high", "correlation_id": "c-1",
            "session_id": "s-1", "user_id": "u7", "channel": "web", "retryable": false,
            "max_retries": 5, "retry_count": 2,
        }),
        json!({
            "event_id": "evt-2", "event_type": "a.two", "source": "till",
            "payload": {"n": 2}, "timestamp": "2026-01-02T03:04:06Z",
        }),
    ]
    .map(|event| EventBuilder::from_json(&event.to_string()).unwrap())
}

async fn check(request: Value, expected: &[&str]) {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    let mut all = request.clone();
    all["event_types"] = json!(["a.*"]);
    client.subscribe(all).await;
    events().into_iter().for_each(|event| server.publish(event));
    let events = client.events().await;
    let ids: Vec<_> =
        events.iter().map(|message| message["event"]["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected, "{request}");
}

#[tokio::test]
async fn every_top_level_field_is_a_filter() {
    for filters in [
        json!({"event_id": "evt-1"}),
        json!({"event_type": "a.one"}),
        json!({"source": "shop"}),
        json!({"target": "stock"}),
        json!({"timestamp": "2026-01-02T03:04:05Z"}),
        json!({"priority": "high"}),
        json!({"correlation_id": "c-1"}),
        json!({"session_id": "s-1"}),
        json!({"user_id": "u7"}),
        json!({"channel": "web"}),
        json!({"retryable": false}),
        json!({"max_retries": 5}),
        json!({"retry_count": 2}),
        json!({"payload.n": 1}),
        json!({"payload.deep.er": "x"}),
        json!({"metadata.region": "eu"}),
        json!({"source": ["shop", "market"]}),
        json!({"payload.n": {">": 0, "<": 2}}),
        json!({"source": "shop", "user_id": "u7"}),
    ] {
        check(json!({"filters": filters}), &["evt-1"]).await;
    }
}

#[tokio::test]
async fn all_filters_must_hold_and_unknown_ones_do_not_count() {
    check(json!({"filters": {"source": "shop", "user_id": "u8"}}), &[]).await;
    check(json!({"filters": {"color": "red", "source": "till"}}), &["evt-2"]).await;
    check(json!({"filters": {"color": "red"}}), &["evt-1", "evt-2"]).await;
    check(json!({"filters": {"priority": "no such"}}), &[]).await;
    check(json!({"filters": {"user_id": null}}), &["evt-2"]).await;
    check(json!({"filters": {}}), &["evt-1", "evt-2"]).await;
    check(json!({"filters": null}), &["evt-1", "evt-2"]).await;
}

#[tokio::test]
async fn a_session_id_beside_the_filters_is_honoured() {
    check(json!({"session_id": "s-1"}), &["evt-1"]).await;
    check(json!({"session_id": "s-2"}), &[]).await;
    check(json!({"session_id": "s-1", "filters": {"source": "till"}}), &[]).await;
    check(json!({"session_id": null}), &["evt-1", "evt-2"]).await;
}

#[tokio::test]
async fn a_filter_that_is_not_understood_is_answered() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    for (request, named) in [
        (json!({"filters": {"source": {"nearly": "shop"}}}), "nearly"),
        (json!({"filters": {"payload.n": {"regex": "("}}}), "payload.n"),
        (json!({"filters": ["source"]}), "filters"),
        (json!({"event_types": "a.b"}), "event_types"),
        (json!({"session_id": {}}), "session_id"),
    ] {
        let mut request = request;
        request["type"] = json!("subscribe");
        let reply = client.ask(request).await;
        assert_eq!(reply["type"], "error");
        assert!(reply["message"].as_str().unwrap().contains(named), "{reply} should name {named}");
    }
    assert_eq!(server.streamer.stats().errors, 5);
    assert_eq!(server.streamer.stats().total_subscriptions, 0);
}
