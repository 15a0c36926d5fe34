//! Scheduled events over HTTP and on the command line, through a restart.

use hyper::Method;
use serde_json::{Value, json};

use crate::directory::Directory;
use crate::http::{Server, exchange, request};
use crate::program::{Running, run};

async fn ask(server: &Running, method: Method, path: &str, content: &str) -> Value {
    let request = request(method, path, server.authority(), content.to_owned());
    exchange(server.authority(), request).await.json()
}

#[tokio::test]
async fn d18_one_that_is_due_while_nobody_runs_fires_once_after_the_start() {
    let directory = Directory::new();
    let data = directory.path("data");
    let arguments = ["serve", "--port", "0", "--data", &data];
    let mut server = Running::start(&arguments).await;
    let later = r#"{"event":{"event_type":"later"},"due":"2999-01-01T00:00:00Z"}"#;
    ask(&server, Method::POST, "/scheduled", later).await;
    let soon = r#"{"event":{"event_type":"soon","event_id":"s"},"after_ms":3600000}"#;
    assert_eq!(ask(&server, Method::POST, "/scheduled", soon).await["id"], "s");
    // As if an hour had passed: what is due is in the past, and the server is gone.
    server.child.kill().await.unwrap();

    let mut server = Running::start(&arguments).await;
    assert_eq!(ask(&server, Method::GET, "/scheduled", "").await["count"], 2);
    ask(&server, Method::PATCH, "/scheduled/s", r#"{"due":"2020-01-01T00:00:00Z"}"#).await;
    loop {
        let log = ask(&server, Method::GET, "/log?type=soon", "").await;
        if log["count"] == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    server.child.kill().await.unwrap();

    let server = Running::start(&arguments).await;
    assert_eq!(ask(&server, Method::GET, "/log", "").await["count"], 1);
    let left = ask(&server, Method::GET, "/scheduled", "").await;
    assert_eq!(left["scheduled"][0]["event"]["event_type"], "later");
    assert_eq!((&left["count"], &left["total"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn they_are_listed_moved_and_cancelled() {
    let server = Server::with_memory().await;
    for (id, due) in [("c", 3), ("a", 1), ("b/ü?", 2)] {
        let due = format!("299{due}-01-01T00:00:00Z");
        let content = json!({"event": {"event_type": "invoice.due", "event_id": id}, "due": due});
        let answer = server.ask(Method::POST, "/scheduled", &content.to_string()).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    }
    let (mut ids, mut next) = (Vec::new(), Some("/scheduled?limit=1".to_owned()));
    while let Some(path) = next {
        let page = server.get(&path).await.json();
        ids.extend(page["scheduled"].as_array().unwrap().iter().map(|it| it["id"].to_string()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(ids, [r#""a""#, r#""b/ü?""#, r#""c""#]);
    assert_eq!(server.get("/scheduled?type=order.*").await.json()["count"], 0);

    for (content, code) in [
        ("", "invalid_schedule"),
        (r#"{"event":{"event_type":"a"}}"#, "invalid_schedule"),
        (
            r#"{"event":{"event_type":"a"},"due":"2999-01-01T00:00:00Z","after_ms":1}"#,
            "invalid_schedule",
        ),
        (r#"{"event":{"event_type":"a"},"after_ms":18446744073709551615}"#, "invalid_schedule"),
        (r#"{"event":{"event_type":"a"},"due":"soon"}"#, "invalid_query"),
        (r#"{"event":{"event_type":"a b"},"after_ms":1}"#, "invalid_event_type"),
        (r#"{"event":{"event_type":"x","event_id":"a"},"after_ms":99999}"#, "conflict"),
    ] {
        let answer = server.ask(Method::POST, "/scheduled", content).await;
        assert_eq!(answer.code(), code, "{content}");
    }

    let url = server.url();
    let scheduled = async |arguments: &[&str]| {
        run(&[&["scheduled"], arguments, &["--url", &url]].concat()).await
    };
    let list = scheduled(&["list"]).await;
    assert_eq!((list.code, list.out.lines().count()), (Some(0), 3), "{list:?}");
    assert!(list.out.starts_with("2991-01-01T00:00:00+00:00  invoice.due"), "{}", list.out);
    let moved = scheduled(&["move", "b/ü?", "2999-01-01T00:00:00Z"]).await;
    assert!(moved.out.starts_with("2999-01-01"), "{moved:?}");
    assert_eq!(scheduled(&["move", "c", "10m", "-o", "json"]).await.code, Some(0));
    scheduled(&["move", "c", "soon"]).await.refused(7, "soon");
    assert_eq!(scheduled(&["cancel", "a", "b/ü?"]).await.out, "2 cancelled\n");
    let gone = scheduled(&["cancel", "a"]).await;
    gone.refused(4, "nothing is scheduled as `a`");
    assert_eq!(gone.err.matches("list").count(), 1, "{}", gone.err);
    let left = scheduled(&["list", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&left.out).unwrap()["id"], "c");
}

#[tokio::test]
async fn one_is_published_later_from_the_command_line() {
    let server = Server::with_memory().await;
    let url = server.url();
    let publish = async |arguments: &[&str]| {
        run(&[&["publish", "invoice.due"], arguments, &["--url", &url]].concat()).await
    };
    let at = publish(&[r#"{"amount":12.50}"#, "--source", "shop", "--at", "2999-01-01T00:00:00Z"]);
    let at = at.await;
    assert_eq!(at.code, Some(0), "{at:?}");
    let id = serde_json::from_str::<Value>(&at.out).unwrap()["id"].clone();
    let after = publish(&["--after", "365000d"]).await;
    assert_eq!(after.code, Some(0), "{after:?}");
    let listed = server.get("/scheduled").await.json();
    assert_eq!((&listed["count"], &listed["scheduled"][0]["id"]), (&json!(2), &id));
    assert_eq!(listed["scheduled"][0]["due"], "2999-01-01T00:00:00+00:00");
    let event = &listed["scheduled"][0]["event"];
    assert_eq!((&event["source"], &event["payload"]["amount"]), (&json!("shop"), &json!(12.5)));
    assert_eq!(server.get("/log").await.json()["count"], 0);

    publish(&["--at", "noon"]).await.refused(7, "`due` is no time: `noon`");
    for usage in [
        &["--after", "soon"][..],
        &["--after", "1s", "--no-wait"],
        &["--at", "2999-01-01T00:00:00Z", "--after", "1s"],
    ] {
        assert_eq!(publish(usage).await.code, Some(2), "{usage:?}");
    }
    let piped = crate::program::run_with(&["publish", "--after", "1s", "--url", &url], "{}").await;
    piped.refused(2, "--after");
    assert_eq!(publish(&["--after", "1s"]).await.code, Some(0));
}
