//! D11: every bound has its answer, and a well-behaved client does not notice.

use nexus_events_stream::{StreamOptions, StreamStats};
use serde_json::{Value, json};

use crate::raw::RawClient;
use crate::support::{Client, Server};

fn hurried() -> StreamOptions {
    StreamOptions::new().inbound_rate(1_000_000, 1_000_000)
}

async fn assert_healthy(client: &mut Client, server: &Server) {
    server.publish_type("health.check");
    assert_eq!(client.event_types().await, ["health.check"]);
}

async fn healthy(server: &Server) -> Client {
    let mut client = Client::connect(server).await;
    client.subscribe(json!({"event_types": ["health.check"]})).await;
    client
}

#[track_caller]
fn assert_error(reply: &Value, named: &str) {
    assert_eq!(reply["type"], "error", "{reply}");
    assert!(reply["message"].as_str().unwrap().contains(named), "{reply} should name {named}");
}

#[tokio::test]
async fn d11_limits_the_129th_subscription() {
    let server = Server::with(hurried()).await;
    let mut client = Client::connect(&server).await;
    let mut ids = Vec::new();
    for _ in 0..128 {
        ids.push(client.subscribe(json!({"event_types": ["a.b"]})).await);
    }
    let request = json!({"type": "subscribe", "event_types": ["a.b"]});
    assert_error(&client.ask(request.clone()).await, "128 subscriptions");
    client.ask(json!({"type": "unsubscribe", "subscription_id": ids[5]})).await;
    assert_eq!(client.ask(request).await["type"], "subscription_created");
    assert_eq!(server.streamer.stats().total_subscriptions, 128);
}

#[tokio::test]
async fn d11_limits_the_65th_pattern() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    let types = |count: usize| (0..count).map(|n| format!("a.t{n}")).collect::<Vec<_>>();
    client.subscribe(json!({"event_types": types(64)})).await;
    let reply = client.ask(json!({"type": "subscribe", "event_types": types(65)})).await;
    assert_error(&reply, "65 entries, the most is 64");
}

#[tokio::test]
async fn d11_limits_a_message_of_64_kib_and_one_byte() {
    let server = Server::start().await;
    let mut other = healthy(&server).await;
    let mut client = Client::connect(&server).await;
    let request = r#"{"type":"get_stats"}"#;
    client.say(request.to_owned() + &" ".repeat(65_536 - request.len())).await;
    assert_eq!(client.json().await["type"], "stats");
    client.say(request.to_owned() + &" ".repeat(65_537 - request.len())).await;
    assert_eq!(client.read_to_end().await.1, Some(1009));
    server.until(|stats| stats.disconnected.contains_key("too_large")).await;
    assert_healthy(&mut other, &server).await;
}

#[tokio::test]
async fn d11_limits_bad_messages_are_answered_twenty_times() {
    let server = Server::start().await;
    let mut other = healthy(&server).await;
    let mut client = Client::connect(&server).await;
    for _ in 0..10 {
        client.say("{").await;
        assert_error(&client.json().await, "Invalid JSON message");
        client.0.send_binary().await;
        assert_error(&client.json().await, "binary");
    }
    // One more is allowed every three seconds, should this take long.
    for _ in 0..50 {
        client.say("{").await;
    }
    assert_eq!(client.read_to_end().await.1, Some(4006));
    server.until(|stats| stats.disconnected.contains_key("too_many_errors")).await;
    assert_healthy(&mut other, &server).await;
}

#[tokio::test]
async fn d11_limits_too_many_messages_a_second() {
    let server = Server::start().await;
    let mut other = healthy(&server).await;
    let mut client = Client::connect(&server).await;
    // 100 at once and 50 a second after that: a thousand is too fast on any machine that sends
    // them within 15 seconds.
    let sent = async {
        for _ in 0..1_000 {
            client.say(r#"{"type":"get_stats"}"#).await;
        }
    };
    sent.await;
    let (texts, code) = client.read_to_end().await;
    assert_eq!(code, Some(4105));
    let first_error = texts.iter().position(|text| text.contains("too many messages")).unwrap();
    assert!(first_error >= 100, "{first_error}");
    server.until(|stats| stats.disconnected.contains_key("too_fast")).await;
    assert_healthy(&mut other, &server).await;
}

#[tokio::test]
async fn d11_limits_connections() {
    let server = Server::with(StreamOptions::new().connections(2)).await;
    let mut first = healthy(&server).await;
    let second = Client::connect(&server).await;
    let (status, head) = RawClient::request(&server, "").await;
    assert_eq!(status, 503);
    assert!(head.to_lowercase().contains("retry-after"), "{head}");
    assert_eq!(server.streamer.stats().refused["full"], 1);
    drop(second);
    // The place is free a moment after the client is gone.
    while RawClient::request(&server, "").await.0 != 101 {
        tokio::task::yield_now().await;
    }
    assert_healthy(&mut first, &server).await;
}

#[tokio::test]
async fn d11_limits_headers() {
    let server = Server::start().await;
    let header = |bytes| format!("X-Long: {}\r\n", "x".repeat(bytes));
    assert_eq!(RawClient::request(&server, &header(15 * 1024)).await.0, 101);
    assert_eq!(RawClient::request(&server, &header(16 * 1024)).await.0, 431);
    assert_eq!(server.streamer.stats().refused["handshake"], 1);
}

#[tokio::test]
async fn d11_limits_frames_that_break_the_rules() {
    let server = Server::start().await;
    let mut other = healthy(&server).await;
    for (frame, code) in [
        // Not masked; a reserved opcode; a text that is not UTF-8.
        (vec![0x81, 0x01, b'a'], 1002),
        (vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        (vec![0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
    ] {
        let mut client = RawClient::connect(&server, None).await;
        assert!(client.write(&frame).await);
        assert_eq!(client.read_to_end().await.1, Some(code), "{frame:?}");
    }
    assert_healthy(&mut other, &server).await;
}

#[tokio::test]
async fn d11_limits_show_in_the_statistics() {
    let options = StreamOptions::new()
        .connections(11)
        .subscriptions(12)
        .patterns(13)
        .queue(14, 15)
        .inbound_bytes(1_600)
        .inbound_rate(17, 18)
        .errors_per_minute(19)
        .handshake_bytes(2_000);
    let server = Server::with(options).await;
    let StreamStats { limits, .. } = server.streamer.stats();
    for (name, value) in [
        ("connections", 11),
        ("subscriptions_per_client", 12),
        ("patterns_per_subscription", 13),
        ("queue_messages", 14),
        ("queue_bytes", 15),
        ("inbound_bytes", 1_600),
        ("inbound_per_second", 17),
        ("inbound_burst", 18),
        ("errors_per_minute", 19),
        ("handshake_bytes", 2_000),
        ("write_pause_above_per_second", 50_000),
    ] {
        assert_eq!(limits[name], value, "{name}");
    }
    for (name, value) in [
        ("ping_seconds", 25.0),
        ("pong_seconds", 10.0),
        ("write_stall_seconds", 10.0),
        ("write_pause_seconds", 0.001),
    ] {
        assert_eq!(limits[name], value, "{name}");
    }
    let mut client = Client::connect(&server).await;
    assert_eq!(client.ask(json!({"type": "get_stats"})).await["stats"]["limits"], limits);
}

trait SendBinary {
    async fn send_binary(&mut self);
}

impl<S> SendBinary for tokio_tungstenite::WebSocketStream<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    async fn send_binary(&mut self) {
        use futures_util::SinkExt;
        self.send(tokio_tungstenite::tungstenite::Message::binary(vec![1, 2])).await.unwrap();
    }
}
