//! Clients come and go, and so does the server.

use std::time::Duration;

use futures_util::SinkExt;
use nexus_events_dispatch::{Context, HandlerExt};
use nexus_events_model::Event;
use nexus_events_stream::{ErrorKind, StreamOptions, Streamer};
use serde_json::json;

use crate::raw::RawClient;
use crate::support::{Client, Server};

#[tokio::test]
async fn nobody_ends_the_subscription_of_another() {
    let server = Server::start().await;
    let mut owner = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    let id = owner.subscribe(json!({"event_types": ["a.b"]})).await;
    let reply = other.ask(json!({"type": "unsubscribe", "subscription_id": id})).await;
    assert_eq!(reply, json!({"type": "unsubscribed", "subscription_id": id, "success": false}));
    server.publish_type("a.b");
    assert_eq!(owner.event_types().await, ["a.b"]);
}

#[tokio::test]
async fn what_was_published_before_an_unsubscribe_comes_before_its_reply_and_nothing_after() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    let id = client.subscribe(json!({"event_types": ["a.b"]})).await;
    (0..100).for_each(|_| server.publish_type("a.b"));
    client.say(json!({"type": "unsubscribe", "subscription_id": id}).to_string()).await;
    for _ in 0..100 {
        assert_eq!(client.json().await["type"], "event");
    }
    assert_eq!(client.json().await["type"], "unsubscribed");
    server.publish_type("a.b");
    assert!(client.events().await.is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_subscriptions_along() {
    let server = Server::start().await;
    let mut stays = Client::connect(&server).await;
    stays.subscribe(json!({"event_types": ["a.b"]})).await;
    let mut leaves = Client::connect(&server).await;
    let mut breaks = Client::connect(&server).await;
    for client in [&mut leaves, &mut breaks] {
        client.subscribe(json!({"event_types": ["a.b", "a.*"]})).await;
    }
    assert_eq!(server.streamer.stats().total_subscriptions, 3);

    leaves.0.close(None).await.unwrap();
    let (_, code) = leaves.read_to_end().await;
    assert_eq!(code, None);
    drop(breaks);
    server.until(|stats| stats.connected_clients == 1).await;
    let stats = server.streamer.stats();
    assert_eq!((stats.active_streams, stats.total_subscriptions), (1, 1));
    assert_eq!(serde_json::to_value(&stats.subscriptions_by_type).unwrap(), json!({"a.b": 1}));
    assert_eq!(serde_json::to_value(&stats.disconnected).unwrap(), json!({"left": 1, "lost": 1}));

    server.publish_type("a.b");
    assert_eq!(stays.event_types().await, ["a.b"]);
}

#[tokio::test]
async fn a_broadcast_reaches_every_client() {
    let server = Server::start().await;
    let mut clients = [Client::connect(&server).await, Client::connect(&server).await];
    let message = json!({"type": "notice", "text": "back at noon"});
    assert_eq!(server.streamer.broadcast(&message).unwrap(), 2);
    for client in &mut clients {
        assert_eq!(client.json().await, message);
    }
    let error = server.streamer.broadcast(&"x".repeat(2 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = server.streamer.broadcast(&std::collections::HashMap::from([((1, 2), 3)]));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidMessage);
}

#[tokio::test]
async fn what_is_delivered_is_counted() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"event_types": ["a.b"]})).await;
    client.subscribe(json!({"event_types": ["**"]})).await;
    let report = server.bus.publish_and_wait(Event::builder("a.b").id("evt-1")).await.unwrap();
    let outcome = report.outcome("streaming_handler").unwrap();
    assert_eq!(
        outcome.value,
        json!({"streamed_to_clients": 2, "event_id": "evt-1", "event_type": "a.b"})
    );
    client.events().await;
    server.until(|stats| stats.delivered == 2).await;
    let stats = server.streamer.stats();
    assert_eq!((stats.queued_messages, stats.queued_bytes, stats.dropped.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_cancelled_event_is_not_shown() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"event_types": ["**"]})).await;
    let refuse = |_: &Event, context: &Context| context.cancel("refused");
    server.bus.on("a.bad", refuse.named("refuse").priority(i32::MIN)).unwrap();
    server.publish_type("a.bad");
    server.publish_type("a.good");
    assert_eq!(client.event_types().await, ["a.good"]);
}

#[tokio::test]
async fn an_event_longer_than_any_message_is_dropped_and_counted() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"event_types": ["**"]})).await;
    server.publish(Event::builder("a.long").payload(json!({"text": "x".repeat(1000 * 1024)})));
    server.publish(Event::builder("a.longer").payload(json!({"text": "x".repeat(1100 * 1024)})));
    assert_eq!(client.event_types().await, ["a.long"]);
    assert_eq!(server.streamer.stats().dropped["too_large"], 1);
}

#[tokio::test]
async fn a_bus_has_one_streamer() {
    let server = Server::start().await;
    let error = Streamer::new(&server.bus, StreamOptions::new()).unwrap_err();
    let kind = nexus_events_dispatch::ErrorKind::DuplicateName;
    assert_eq!(error.kind(), ErrorKind::Bus(kind));
}

#[tokio::test]
async fn a_shutdown_drains_then_closes_with_1001_and_lets_nobody_in() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"event_types": ["**"]})).await;
    (0..500).for_each(|_| server.publish_type("a.b"));
    let streamer = server.streamer.clone();
    let shutdown = tokio::spawn(async move { streamer.shutdown(Duration::from_secs(60)).await });
    let (texts, code) = client.read_to_end().await;
    assert_eq!((texts.len(), code), (500, Some(1001)));
    client.0.flush().await.ok();
    drop(client);
    let report = shutdown.await.unwrap();
    assert!(report.is_clean());
    assert_eq!(report.closed, 1);

    let (status, head) = RawClient::request(&server, "").await;
    assert_eq!(status, 503);
    assert!(head.to_lowercase().contains("retry-after"), "{head}");
    let stats = server.streamer.stats();
    assert_eq!((stats.connected_clients, stats.refused["closing"]), (0, 1));
    assert_eq!(stats.disconnected["going_away"], 1);
    assert!(server.bus.stats().handler("streaming_handler").is_none());
}
