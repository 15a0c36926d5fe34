//! `nexus tail`, against a running server.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::http::{exchange, request};
use crate::program::{Running, command, run, run_with};

/// Waits until so many clients are subscribed: until then nothing published is for them.
async fn subscribed(server: &Running, clients: u64) {
    loop {
        let stats = exchange(
            server.authority(),
            request(hyper::Method::GET, "/stats", server.authority(), ""),
        )
        .await;
        if stats.json()["streaming"]["total_subscriptions"] == clients {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn publish(server: &Running, events: &[Value]) {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    assert_eq!(
        run_with(&["publish", "-", "--url", &server.url], &lines.join("\n")).await.code,
        Some(0)
    );
}

fn orders() -> [Value; 4] {
    [
        json!({"event_type": "user.created", "payload": {"amount": 500}}),
        json!({"event_type": "order.created", "source": "shop", "payload": {"amount": 50}, "timestamp": "2026-01-02T03:04:05Z"}),
        json!({"event_type": "order.created", "source": "web", "payload": {"amount": 150}, "timestamp": "2026-01-02T03:04:06Z"}),
        json!({"event_type": "order.paid", "source": "shop", "payload": {"amount": 250}, "timestamp": "2026-01-02T03:04:07Z"}),
    ]
}

#[track_caller]
fn check(out: &str, expected: &str) {
    let found: Vec<&str> =
        out.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(found.join(" "), expected);
}

#[tokio::test]
async fn events_are_shown_by_pattern_and_filter() {
    let server = Running::serve().await;
    let tail = |arguments: &[&str]| {
        let arguments = [&["tail", "--url", &*server.url][..], arguments].concat();
        let child = command(&arguments).spawn().unwrap();
        tokio::spawn(child.wait_with_output())
    };
    let all = tail(&["--count", "4"]);
    let pattern = tail(&["order.*", "--count", "3"]);
    let filter = tail(&["order.*", "--filter", "payload.amount > 100", "--count", "2"]);
    let field = tail(&["--filter", "source=shop", "--count", "2"]);
    let json = tail(&["*.paid", "--output", "json", "--count", "1"]);
    subscribed(&server, 5).await;
    publish(&server, &orders()).await;

    let out = async |ended: tokio::task::JoinHandle<std::io::Result<std::process::Output>>| {
        let ended = ended.await.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap()
    };
    check(&out(all).await, r#"{"amount":500} {"amount":50} {"amount":150} {"amount":250}"#);
    let lines = out(pattern).await;
    check(&lines, r#"{"amount":50} {"amount":150} {"amount":250}"#);
    let first =
        "2026-01-02 03:04:05.000  order.created             shop              {\"amount\":50}";
    assert_eq!(lines.lines().next(), Some(first), "no colours either");
    check(&out(filter).await, r#"{"amount":150} {"amount":250}"#);
    check(&out(field).await, r#"{"amount":50} {"amount":250}"#);
    let event: Value = serde_json::from_str(&out(json).await).unwrap();
    assert_eq!(
        (&event["event_type"], event.as_object().unwrap().len()),
        (&json!("order.paid"), 15)
    );
}

#[tokio::test]
async fn it_ends_quietly_when_nobody_reads_on() {
    let server = Running::serve().await;
    let mut tail = command(&["tail", "--url", &server.url]).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    subscribed(&server, 1).await;
    publish(&server, &orders()).await;
    assert!(lines.next_line().await.unwrap().unwrap().contains("user.created"));
    drop(lines);
    // The first write after that finds the pipe closed.
    publish(&server, &orders()).await;
    let mut err = String::new();
    tail.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
    assert_eq!((tail.wait().await.unwrap().code(), &*err), (Some(0), ""));
}

type Socket = WebSocketStream<TcpStream>;

/// Accepts a client, confirms its subscription and returns what it asked for.
async fn accept(listener: &TcpListener) -> (Socket, Value) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let request = socket.next().await.unwrap().unwrap().into_text().unwrap();
    send(&mut socket, json!({"type": "subscription_created"})).await;
    (socket, serde_json::from_str(&request).unwrap())
}

async fn send(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

fn event(number: u32) -> Value {
    let event = json!({"event_id": number.to_string(), "event_type": "a", "payload": number, "timestamp": "2026-01-02T03:04:05Z"});
    json!({"type": "event", "event": event})
}

async fn close(mut socket: Socket, code: u16) {
    socket.close(Some(CloseFrame { code: code.into(), reason: "so".into() })).await.unwrap();
    // Until the client has answered.
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn it_comes_back_and_says_that_events_were_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let arguments = ["tail", "--filter", "source=shop", "--count", "4", "--url", &*url];
    let tail = tokio::spawn(command(&arguments).spawn().unwrap().wait_with_output());

    let (mut socket, request) = accept(&listener).await;
    assert_eq!(request["filters"], json!({"source": "shop"}), "the server selects");
    send(&mut socket, event(1)).await;
    close(socket, 1013).await;
    let (mut socket, again) = accept(&listener).await;
    assert_eq!(again, request);
    send(&mut socket, event(2)).await;
    close(socket, 1001).await;
    let (mut socket, _) = accept(&listener).await;
    send(&mut socket, event(3)).await;
    drop(socket);
    // One that does not even shake hands is tried again, too.
    drop(listener.accept().await.unwrap());
    let (mut socket, _) = accept(&listener).await;
    send(&mut socket, event(4)).await;

    let ended = crate::program::Ended::from(tail.await.unwrap().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check(&ended.out, "1 2 3 4");
    let notes: Vec<&str> = ended.err.lines().collect();
    assert_eq!(notes.len(), 6, "{notes:?}");
    assert_eq!(notes[0], "nexus: the server closed the connection: 1013 so; connecting again");
    assert_eq!(notes[1], "nexus: connected again; missed events published in between");
    assert!(notes[2].contains("1001 so"), "{notes:?}");
    assert!(notes[4].contains("the connection broke"), "{notes:?}");
}

#[tokio::test]
async fn a_server_that_does_not_want_it_back_ends_it_with_a_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tail = command(&["tail", "--url", &url]).spawn().unwrap();
    let (socket, _) = accept(&listener).await;
    close(socket, 4000).await;
    let ended = crate::program::Ended::from(tail.wait_with_output().await.unwrap());
    ended.refused(1, "the server closed the connection: 4000 so");
}

#[tokio::test]
async fn it_goes_on_counting_when_the_server_is_back() {
    let server = Running::serve().await;
    let port = server.port().to_owned();
    let tail = command(&["tail", "--count", "8", "--url", &server.url]).spawn().unwrap();
    let mut tail = tokio::spawn(tail.wait_with_output());
    subscribed(&server, 1).await;
    publish(&server, &orders()).await;
    server.signal("-TERM").await;
    assert_eq!(server.end().await.code, Some(0));
    let server = Running::start(&["serve", "--port", &port, "--ephemeral"]).await;
    tokio::select! {
        () = subscribed(&server, 1) => {}
        ended = &mut tail => panic!("it did not come back: {ended:?}"),
    }
    publish(&server, &orders()).await;
    let ended = crate::program::Ended::from(tail.await.unwrap().unwrap());
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 8), "{ended:?}");
    assert!(ended.err.contains("missed events"), "{}", ended.err);
}

#[tokio::test]
async fn a_wrong_pattern_or_filter_is_wrong_usage() {
    run(&["tail", "a..b"]).await.refused(2, "a..b");
    run(&["tail", "--filter", "payload.amount >"]).await.refused(2, "filter");
    run(&["tail", "--filter", "colour=red"]).await.refused(2, "colour");
    let ended = run(&["tail", "--count", "0"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("write a number from 1 on"), "{}", ended.err);
}
