//! D1: what the seed's clients send, and what they are told, byte for byte but for ids and times.

use nexus_events_model::Event;
use serde_json::json;

use crate::support::{Client, Server};

const FAILED: &str = concat!(
    r#""event":{"event_id":"evt-1","event_type":"workflow.failed","source":"engine","target":null,"#,
    r#""payload":{"b":1,"a":[2.50]},"metadata":{},"timestamp":"2026-01-02T03:04:05+00:00","#,
    r#""priority":"high","correlation_id":null,"session_id":null,"user_id":null,"channel":null,"#,
    r#""retryable":true,"max_retries":3,"retry_count":0}}"#
);

fn failed() -> nexus_events_model::EventBuilder {
    nexus_events_model::EventBuilder::from_json(
        r#"{"event_id":"evt-1","event_type":"workflow.failed","source":"engine","payload":{"b":1,"a":[2.50]},
            "timestamp":"2026-01-02T03:04:05Z","priority":"high"}"#,
    )
    .unwrap()
}

/// The id that follows a prefix, checked to be a UUID of version 4.
#[track_caller]
fn id_after<'a>(text: &'a str, prefix: &str) -> &'a str {
    let start = text.find(&format!("\"{prefix}")).expect("a value starts so") + 1;
    let id = &text[start..start + prefix.len() + 36];
    let uuid = &id[prefix.len()..];
    let dashes = [8, 13, 18, 23].map(|at| uuid.as_bytes()[at]);
    assert_eq!((dashes, uuid.as_bytes()[14]), ([b'-'; 4], b'4'), "{id}");
    id
}

/// Behind the name of the field, which looks like an id.
#[track_caller]
fn rest_of(welcome: &str) -> &str {
    welcome.split_once(r#""client_id":"#).unwrap().1
}

#[tokio::test]
async fn d01_seed_transcript_welcome() {
    let server = Server::start().await;
    let mut client = Client::silent(&server).await;
    let welcome = client.text().await;
    let id = id_after(rest_of(&welcome), "client_").to_owned();
    let start = format!(r#"{{"type":"connection_established","client_id":"{id}","timestamp":""#);
    let rest = welcome.strip_prefix(&start).unwrap();
    let (timestamp, rest) = rest.split_once('"').unwrap();
    assert!(timestamp.ends_with("+00:00") && timestamp.as_bytes()[10] == b'T', "{timestamp}");
    let end = r#","capabilities":["event_streaming","real_time_updates","filtered_subscriptions""#;
    assert!(rest.starts_with(end), "{rest}");
    let mut other = Client::silent(&server).await;
    assert_ne!(id_after(rest_of(&other.text().await), "client_"), id);
}

#[tokio::test]
async fn d01_seed_transcript_subscribe_event_unsubscribe() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;

    // Unknown types are echoed, the session id is not.
    client.say(r#"{"type": "subscribe", "event_types": ["workflow.failed", "no.such"], "filters": {"source": "engine", "priority": "high"}, "session_id": null}"#).await;
    let created = client.text().await;
    let first = id_after(&created, "sub_").to_owned();
    assert_eq!(
        created,
        format!(
            r#"{{"type":"subscription_created","subscription_id":"{first}","event_types":["workflow.failed", "no.such"],"filters":{{"source": "engine", "priority": "high"}}}}"#
        )
    );

    // Without types it is created and matches nothing.
    client.say(r#"{"type":"subscribe"}"#).await;
    let created = client.text().await;
    let empty = id_after(&created, "sub_");
    assert_eq!(
        created,
        format!(
            r#"{{"type":"subscription_created","subscription_id":"{empty}","event_types":[],"filters":{{}}}}"#
        )
    );

    // One event and two matching subscriptions give two messages.
    let second = client.subscribe(json!({"event_types": ["workflow.failed"]})).await;
    server.publish(failed());
    server.publish_type("workflow.started");
    let mut events = [client.text().await, client.text().await];
    let mut expected = [&first, &second]
        .map(|id| format!(r#"{{"type":"event","subscription_id":"{id}",{FAILED}"#));
    events.sort();
    expected.sort();
    assert_eq!(events, expected);

    for (request, reply) in [
        (
            format!(r#"{{"type":"unsubscribe","subscription_id":"{first}"}}"#),
            format!(r#"{{"type":"unsubscribed","subscription_id":"{first}","success":true}}"#),
        ),
        (
            format!(r#"{{"type":"unsubscribe","subscription_id":"{first}"}}"#),
            format!(r#"{{"type":"unsubscribed","subscription_id":"{first}","success":false}}"#),
        ),
        (
            r#"{"type":"unsubscribe"}"#.into(),
            r#"{"type":"unsubscribed","subscription_id":null,"success":false}"#.into(),
        ),
        (
            r#"{"type":"unsubscribe","subscription_id":7}"#.into(),
            r#"{"type":"unsubscribed","subscription_id":7,"success":false}"#.into(),
        ),
    ] {
        client.say(request).await;
        assert_eq!(client.text().await, reply);
    }
    server.publish(failed());
    let events = client.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["subscription_id"], second);
}

#[tokio::test]
async fn d01_seed_transcript_stats() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    other.subscribe(json!({"event_types": ["b.c", "a.b"]})).await;
    client.subscribe(json!({"event_types": ["a.b", "not a type"]})).await;
    client.say(r#"{"type":"get_stats"}"#).await;
    let stats = client.text().await;
    let seed = r#"{"type":"stats","stats":{"active_streams":2,"total_subscriptions":2,"connected_clients":2,"subscriptions_by_type":{"a.b":2,"b.c":1},"#;
    assert!(stats.starts_with(seed), "{stats}");
}

#[tokio::test]
async fn d01_seed_transcript_errors_keep_the_connection() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.say("this is not JSON").await;
    assert_eq!(client.text().await, r#"{"type":"error","message":"Invalid JSON message"}"#);

    // The seed closes with 1011 here.
    client.say("[1]").await;
    let reply = client.json().await;
    assert_eq!(reply["type"], "error");
    assert!(reply["message"].as_str().unwrap().contains("not a JSON object"), "{reply}");

    // No reply: the next one answers the question after it.
    client.say(r#"{"type":"no_such_type"}"#).await;
    client.say(r#"{}"#).await;
    assert_eq!(client.ask(json!({"type": "get_stats"})).await["type"], "stats");
}

#[tokio::test]
async fn d01_seed_transcript_wildcards_are_event_types_too() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"event_types": ["data.*", "*.encrypted"]})).await;
    for event_type in ["data.created", "order.encrypted", "data.encrypted", "data", "data.a.b"] {
        server.publish_type(event_type);
    }
    // Two patterns of one subscription that both match give one message.
    let types = client.event_types().await;
    assert_eq!(types, ["data.created", "order.encrypted", "data.encrypted"]);

    client.subscribe(json!({"event_types": ["**", "data.**", ">", "data.created"]})).await;
    server.publish(Event::builder("other"));
    server.publish_type("data.created");
    assert_eq!(client.event_types().await, ["other", "data.created", "data.created"]);
}
