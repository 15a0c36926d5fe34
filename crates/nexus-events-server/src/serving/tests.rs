//! The socket itself: what half requests and too many connections do.

use std::time::Duration;

use nexus_events_dispatch::Bus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn start(bounds: Bounds) -> Serving {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Serving::start_bounded(App::new(Bus::new()).unwrap(), socket, bounds).unwrap()
}

/// Longer than stopping may take.
const PATIENT: Bounds = Bounds { connections: 10, headers_wait: Duration::from_secs(600) };

/// A connection on which this has been sent.
async fn sent(serving: &Serving, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the server closes the connection.
async fn read(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
const HALF_POST: &str = "POST /events HTTP/1.1\r\nhost: localhost\r\n\
                         content-type: application/json\r\ncontent-length: 100\r\n\r\n{";

#[tokio::test(start_paused = true)]
async fn half_a_header_is_not_waited_for_for_ever() {
    let serving = start(Bounds::default()).await;
    let half = sent(&serving, HEALTH).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), read(half)).await;
    ended.expect("the connection is still open");
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_a_place_is_used_again() {
    let serving = start(Bounds { connections: 1, ..PATIENT }).await;
    let mut first = sent(&serving, &format!("{HEALTH}\r\n")).await;
    first.read_u8().await.unwrap();
    let refused = read(sent(&serving, HEALTH).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 5\r\n"), "{refused}");
    assert!(refused.contains(r#""code":"too_many_connections""#), "{refused}");
    drop(first);
    loop {
        let answer =
            read(sent(&serving, &format!("{HEALTH}connection: close\r\n\r\n")).await).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn stopping_waits_for_nobody_who_has_not_sent_a_whole_request() {
    let serving = start(PATIENT).await;
    let idle = sent(&serving, "").await;
    let half_header = sent(&serving, HEALTH).await;
    let half_body = sent(&serving, HALF_POST).await;
    let mut done = sent(&serving, &format!("{HEALTH}\r\n")).await;
    done.read_u8().await.unwrap();
    assert!(serving.stop().await.clean);
    for stream in [idle, half_header] {
        assert_eq!(read(stream).await, "");
    }
    let answer = read(half_body).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""code":"closed""#),
        "{answer}"
    );
}

#[tokio::test]
async fn stopping_waits_for_an_answer_under_way() {
    let serving = start(PATIENT).await;
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let work = move |_: nexus_events_model::Event| {
        begun.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(3))
    };
    serving.app.bus().on("a", work).unwrap();
    let event = r#"{"event_type":"a"}"#;
    let post = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{event}",
        event.len()
    );
    let stream = sent(&serving, &post).await;
    has_begun.recv().await.unwrap();
    tokio::time::pause();
    assert!(serving.stop().await.clean);
    let answer = read(stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}
