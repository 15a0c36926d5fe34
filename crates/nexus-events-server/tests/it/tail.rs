//! `nexus tail`, against a running server.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

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

#[tokio::test]
async fn a_server_that_stops_ends_it_with_a_reason() {
    let server = Running::serve().await;
    let tail = command(&["tail", "--url", &server.url]).spawn().unwrap();
    subscribed(&server, 1).await;
    server.signal("-TERM").await;
    let ended = crate::program::Ended::from(tail.wait_with_output().await.unwrap());
    ended.refused(1, "the server closed the connection");
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn a_wrong_pattern_or_filter_is_wrong_usage() {
    run(&["tail", "a..b"]).await.refused(2, "a..b");
    run(&["tail", "--filter", "payload.amount >"]).await.refused(2, "filter");
    run(&["tail", "--filter", "colour=red"]).await.refused(2, "colour");
    assert_eq!(run(&["tail", "--count", "0"]).await.code, Some(2));
}
