//! Replays over HTTP and on the command line.

use hyper::Method;
use nexus_events_dispatch::{Context, HandlerExt};
use nexus_events_model::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http::{Connection, Server, request};
use crate::program::run;

/// A handler `report` that tells what it is given, and fails at 3; `count` beside it.
async fn with_orders(count: u64) -> (Server, mpsc::UnboundedReceiver<u64>) {
    let server = Server::with_memory().await;
    for number in 1..=count {
        let event_type = if number % 2 == 0 { "order.paid" } else { "order.created" };
        server.bus.publish(Event::builder(event_type).payload(json!(number))).await.unwrap();
    }
    let (sender, received) = mpsc::unbounded_channel();
    let report = move |event: &Event, context: &Context| {
        assert!(context.is_replay());
        let number = event.payload().value().unwrap().as_u64().unwrap();
        let _ = sender.send(number);
        if number == 3 { Err("three") } else { Ok(()) }
    };
    server.bus.on("order.*", report.named("report")).unwrap();
    server.bus.on("order.paid", (|_: &Event| {}).named("count")).unwrap();
    (server, received)
}

fn all(received: &mut mpsc::UnboundedReceiver<u64>) -> Vec<u64> {
    std::iter::from_fn(|| received.try_recv().ok()).collect()
}

async fn replay(server: &Server, content: &str) -> Value {
    let answer = server.ask(Method::POST, "/replay", content).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    serde_json::from_str(answer.text.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn a_range_goes_to_handlers_again_and_a_dry_run_calls_none() {
    let (server, mut received) = with_orders(5).await;
    let last = replay(&server, r#"{"dry_run":true}"#).await;
    assert_eq!(
        (&last["events"], &last["end"], &last["done"]),
        (&json!(5), &json!("done"), &json!(true))
    );
    assert_eq!(
        (&last["handlers"]["report"]["handled"], &last["handlers"]["count"]["handled"]),
        (&json!(5), &json!(2))
    );
    assert!(all(&mut received).is_empty());

    let last = replay(&server, "").await;
    assert_eq!(
        (&last["handlers"]["report"]["handled"], &last["handlers"]["report"]["failed"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(all(&mut received), [1, 2, 3, 4, 5]);
    let last =
        replay(&server, r#"{"after":1,"until":4,"type":"order.paid","handler":"report"}"#).await;
    assert_eq!((&last["events"], &last["handlers"]["count"]), (&json!(2), &Value::Null));
    assert_eq!(all(&mut received), [2, 4]);
    replay(&server, r#"{"filter":"payload > 3","rate":100000}"#).await;
    assert_eq!(all(&mut received), [4, 5]);
    let nothing = replay(&server, r#"{"before":"2000-01-01T00:00:00Z"}"#).await;
    assert_eq!((&nothing["events"], &nothing["end"]), (&json!(0), &json!("done")));
    assert_eq!(server.bus.store().unwrap().bounds().len(), 5, "nothing is stored again");
}

#[tokio::test]
async fn a_wrong_replay_is_refused_with_its_status() {
    let (server, _received) = with_orders(1).await;
    for (content, status, code) in [
        ("[", 400, "invalid_replay"),
        (r#"{"colour":1}"#, 400, "invalid_replay"),
        (r#"{"speed":1,"rate":1}"#, 400, "invalid_replay"),
        (r#"{"speed":0}"#, 422, "invalid_option"),
        (r#"{"handler":"nobody"}"#, 404, "unknown_handler"),
        (r#"{"type":"a..b"}"#, 400, "invalid_pattern"),
        (r#"{"since":"noon"}"#, 400, "invalid_query"),
    ] {
        let answer = server.ask(Method::POST, "/replay", content).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{content}");
    }
    let server = Server::start().await;
    assert_eq!(server.ask(Method::POST, "/replay", "").await.code(), "no_store");
}

#[tokio::test]
async fn it_stops_when_its_client_goes_away() {
    let (server, mut received) = with_orders(50).await;
    let authority = server.authority.clone();
    // One event an hour: only the first one comes, whoever waits.
    let content = r#"{"handler":"report","rate":0.0003}"#;
    let client = tokio::spawn(async move {
        let mut connection = Connection::open(&authority).await;
        connection.send(request(Method::POST, "/replay", &authority, content)).await;
    });
    assert_eq!(received.recv().await, Some(1));
    client.abort();
    drop(client.await);
    // The handler keeps its sender until it is unsubscribed, and the bus is idle when nobody replays.
    assert!(server.bus.shutdown(std::time::Duration::from_secs(60)).await.is_clean());
    assert!(all(&mut received).is_empty());
}

#[tokio::test]
async fn the_command_line_says_what_each_handler_was_given() {
    let (server, mut received) = with_orders(5).await;
    let url = server.url();
    let replay =
        async |arguments: &[&str]| run(&[&["replay"], arguments, &["--url", &url]].concat()).await;
    let dry = replay(&["--dry-run", "--from", "start"]).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.out.starts_with("5 events would be replayed\n"), "{}", dry.out);
    assert!(all(&mut received).is_empty());

    let paid =
        replay(&["--type", "order.paid", "--handler", "report", "--speed", "1000000x"]).await;
    assert_eq!((paid.code, all(&mut received)), (Some(0), vec![2, 4]), "{paid:?}");
    let failed = replay(&["--from", "3", "--to", "3", "-o", "json"]).await;
    assert_eq!((failed.code, all(&mut received)), (Some(1), vec![3]), "{failed:?}");
    assert_eq!(serde_json::from_str::<Value>(&failed.out).unwrap()["failed"], 1);
    let hour =
        replay(&["--from", "1h", "--to", "2999-01-01T00:00:00Z", "--filter", "payload < 2"]).await;
    assert_eq!((hour.code, all(&mut received)), (Some(0), vec![1]), "{hour:?}");

    replay(&["--handler", "nobody"]).await.refused(4, "nobody");
    replay(&["--from", "noon"]).await.refused(2, "--from is an offset");
    replay(&["--filter", "payload >"]).await.refused(7, "filter");
    assert_eq!(replay(&["--speed", "1", "--rate", "1"]).await.code, Some(2));
}
