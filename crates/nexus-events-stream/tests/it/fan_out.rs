//! D2: every client gets exactly its events, in order.

use nexus_events_model::Event;
use serde_json::json;
use tokio::task::JoinSet;

use crate::raw::RawClient;
use crate::support::{Server, unhurried};

const CLIENTS: usize = 1_000;
const FILTERED: usize = 100;
const EVENTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_fan_out_is_exact() {
    let server = Server::with(unhurried()).await;
    let mut readers = JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = RawClient::connect(&server, None).await;
        let is_filtered = number < FILTERED;
        let filters = if is_filtered { r#"{"user_id":"u7"}"# } else { "{}" };
        client
            .say(&format!(r#"{{"type":"subscribe","event_types":["data.*"],"filters":{filters}}}"#))
            .await;
        assert!(client.text().await.contains("subscription_created"));
        let step = if is_filtered { 10 } else { 1 };
        readers.spawn(read(client, step));
    }
    for number in 0..EVENTS {
        let user = if number % 10 == 0 { "u7" } else { "u8" };
        let payload = json!({"n": format!("{number:04}")});
        server.publish(Event::builder("data.created").user_id(user).payload(payload));
        server.publish(Event::builder("other.created"));
        // Readers and writers share two threads with this loop.
        tokio::task::yield_now().await;
    }
    while let Some(read) = readers.join_next().await {
        read.unwrap();
    }
    let expected = (CLIENTS - FILTERED) * EVENTS + FILTERED * EVENTS / 10;
    server.until(|stats| stats.delivered == expected as u64).await;
    let stats = server.streamer.stats();
    assert_eq!((stats.dropped.len(), stats.queued_messages), (0, 0));
}

/// Reads the events whose number is a multiple of `step`, and then that nothing more came.
async fn read(mut client: RawClient, step: usize) {
    let (mut frame, mut payload_at) = (Vec::new(), None);
    for number in (0..EVENTS).step_by(step) {
        assert_eq!(client.frame(&mut frame).await, Some(1));
        // What stands before it is as long in every event.
        let at = *payload_at.get_or_insert_with(|| {
            std::str::from_utf8(&frame).unwrap().find(r#""payload""#).unwrap()
        });
        let expected = format!(r#""payload":{{"n":"{number:04}"}}"#);
        let text = String::from_utf8_lossy(&frame[at..at + expected.len()]);
        assert_eq!(text, expected);
    }
    client.say(r#"{"type":"get_stats"}"#).await;
    assert!(client.text().await.starts_with(r#"{"type":"stats""#));
}
