//! `nexus publish`, against a running server.

use hyper::Method;
use serde_json::{Value, json};

use crate::directory::Directory;
use crate::http::{exchange, request};
use crate::program::{Running, run, run_with};

async fn history(server: &Running) -> Vec<Value> {
    let answer =
        exchange(server.authority(), request(Method::GET, "/events", server.authority(), "")).await;
    answer.json()["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_event_is_published_with_its_fields_and_the_report_printed() {
    let server = Running::serve().await;
    let ended = run(&[
        "publish",
        "order.created",
        r#"{"amount":1.50}"#,
        "--source",
        "shop",
        "--priority",
        "high",
        "--user-id",
        "u",
        "--session-id",
        "s",
        "--correlation-id",
        "c",
        "--url",
        &server.url,
    ])
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    let events = history(&server).await;
    assert_eq!(events[0]["event_id"], report["event_id"]);
    for (field, value) in [
        ("source", "shop"),
        ("priority", "high"),
        ("user_id", "u"),
        ("session_id", "s"),
        ("correlation_id", "c"),
    ] {
        assert_eq!(events[0][field], value);
    }
    assert_eq!(events[0]["payload"], json!({"amount": 1.5}));
}

#[tokio::test]
async fn a_payload_comes_from_a_file_or_standard_input() {
    let server = Running::serve().await;
    let directory = Directory::new();
    let path = directory.file("payload.json", b"[1,2]");
    let ended =
        run(&["publish", "a", &format!("@{path}"), "--url", &server.url, "--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap()["results"], json!([]));
    assert_eq!(
        run_with(&["publish", "a", "-", "--url", &server.url], "{\"x\":1}\n").await.code,
        Some(0)
    );
    let events = history(&server).await;
    assert_eq!((&events[0]["payload"], &events[1]["payload"]), (&json!([1, 2]), &json!({"x": 1})));
}

#[tokio::test]
async fn lines_are_published_and_bad_ones_named() {
    let server = Running::serve().await;
    let mut lines: Vec<String> =
        (0..700).map(|n| json!({"event_type": "a", "payload": n}).to_string()).collect();
    lines[599] = r#"{"event_type":"a b"}"#.to_owned();
    lines.insert(5, String::new());
    for arguments in
        [&["publish", "-", "--url", &server.url][..], &["publish", "--url", &server.url]]
    {
        let ended = run_with(arguments, &lines.join("\n")).await;
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!(ended.out, "{\"accepted\":699,\"rejected\":1}\n");
        assert!(ended.err.starts_with("line 601: event type `a b`"), "{}", ended.err);
    }
    let ended = run_with(&["publish", "--url", &server.url], "{\"event_type\":\"b\"}").await;
    assert_eq!((ended.code, &*ended.out), (Some(0), "{\"accepted\":1,\"rejected\":0}\n"));
    for nothing in ["", "\n \n"] {
        let ended = run_with(&["publish", "-", "--url", &server.url], nothing).await;
        ended.refused(2, "standard input has no event");
    }
}

#[tokio::test]
async fn a_refusal_is_one_line_and_its_own_code() {
    let server = Running::serve().await;
    let url = &*server.url;
    let ended = run(&["publish", "order created", "--url", url]).await;
    ended.refused(7, "order created");
    assert_eq!(ended.err.matches("A-Z").count(), 1, "{}", ended.err);
    run(&["publish", "a", "--priority", "loud", "--url", url]).await.refused(7, "loud");
    run(&["publish", "a", "{", "--url", url]).await.refused(2, "the payload is not JSON");
    run(&["publish", "a", "@/no/such/file", "--url", url]).await.refused(1, "/no/such/file");
    run(&["publish", "a", "--url", "https://events.example"]).await.refused(2, "TLS");
    run(&["publish", "-", "--source", "me", "--url", url]).await.refused(2, "--source");
    let large = format!("{:?}", "x".repeat(2 * 1024 * 1024));
    run_with(&["publish", "a", "-", "--url", url], &large).await.refused(1, "1048576");
}

#[tokio::test]
async fn no_server_is_a_code_of_its_own() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    run(&["publish", "a", "--url", &url]).await.refused(5, "nexus serve");
    run_with(&["publish", "--url", &url], "{}").await.refused(5, "nexus serve");
    run_with(&["publish", "-", "--url", &url], "").await.refused(5, "nexus serve");
    run(&["tail", "--url", &url]).await.refused(5, "nexus serve");
}
