//! The WebSocket beside the other routes.

use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::http::Server;

type Socket = WebSocketStream<TcpStream>;

async fn connect(server: &Server, path: &str) -> Socket {
    let stream = TcpStream::connect(&server.authority).await.unwrap();
    let url = format!("ws://{}{path}", server.authority);
    tokio_tungstenite::client_async(url, stream).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.expect("the connection is closed").unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}

async fn subscribed(server: &Server, path: &str) -> Socket {
    let mut socket = connect(server, path).await;
    assert_eq!(next(&mut socket).await["type"], "connection_established", "{path}");
    let subscribe = json!({"type": "subscribe", "event_types": ["**"]}).to_string();
    socket.send(Message::text(subscribe)).await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "subscription_created");
    socket
}

#[tokio::test]
async fn it_opens_where_clients_that_know_no_path_look_for_it() {
    let server = Server::start().await;
    for path in ["/ws", "/ws/", "/"] {
        let mut socket = subscribed(&server, path).await;
        server.post("/events", "", r#"{"event_type":"a"}"#).await;
        assert_eq!(next(&mut socket).await["event"]["event_type"], "a", "{path}");
    }
    let page = server.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<html"));
    assert_eq!(server.get("/ws").await.status, StatusCode::BAD_REQUEST);
}

async fn all_lines_arrive(lines: usize) {
    let server = Server::start().await;
    let mut socket = subscribed(&server, "/ws").await;
    let reader = tokio::spawn(async move {
        for number in 0..lines {
            let message = next(&mut socket).await;
            assert_eq!(message["event"]["payload"]["n"], number);
        }
    });
    let content: String = (0..lines)
        .map(|n| json!({"event_type": "a", "payload": {"n": n}}).to_string() + "\n")
        .collect();
    let answer = server.post("/events", "application/x-ndjson", content).await;
    assert_eq!(answer.json()["accepted"], lines);
    reader.await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_gets_every_line_of_one_request() {
    all_lines_arrive(20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads_too() {
    all_lines_arrive(20_000).await;
}
