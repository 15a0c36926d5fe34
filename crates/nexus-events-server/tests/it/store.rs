//! The store of `nexus serve`: through crashes, beside other servers, and looked after offline.

use std::path::Path;
use std::sync::Arc;

use hyper::Method;
use nexus_events_dispatch::store::{Append, Cursor, EventStore, Offset, space};
use nexus_events_dispatch::{Bus, Durable, HandlerExt, Start};
use nexus_events_model::Event;
use nexus_events_store::Store;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::directory::Directory;
use crate::http::{Answer, exchange, request};
use crate::program::{Ended, Running, run};

async fn serve(data: &str) -> Running {
    Running::start(&["serve", "--port", "0", "--data", data]).await
}

async fn ask(server: &Running, method: Method, path: &str, content: &str) -> Answer {
    let request = request(method, path, server.authority(), content.to_owned());
    exchange(server.authority(), request).await
}

async fn publish(server: &Running, count: usize) {
    let lines: String = (0..count)
        .map(|number| {
            format!("{}\n", json!({"event_type": "order.created", "payload": {"number": number}}))
        })
        .collect();
    let answer = ask(server, Method::POST, "/events", &lines).await;
    assert_eq!(answer.json()["accepted"], count, "{}", answer.text);
}

async fn stopped(server: Running) -> Ended {
    server.signal("-TERM").await;
    server.end().await
}

/// A store with so many events that nobody has open.
async fn with_events(count: usize) -> Directory {
    let directory = Directory::new();
    let server = serve(&directory.path("data")).await;
    publish(&server, count).await;
    assert_eq!(stopped(server).await.code, Some(0));
    directory
}

async fn store(action: &[&str], directory: &Directory) -> Ended {
    run(&[&["store"], action, &["--data", &directory.path("data")]].concat()).await
}

#[tokio::test]
async fn d01_what_was_acknowledged_is_there_after_a_kill_and_a_durable_handler_gets_it() {
    let directory = Directory::new();
    let data = directory.path("deep/data");
    let mut server = serve(&data).await;
    publish(&server, 3).await;
    server.child.kill().await.unwrap();

    let server = serve(&data).await;
    let log = ask(&server, Method::GET, "/log", "").await.json();
    assert_eq!(
        (&log["count"], &log["events"][2]["event"]["payload"]),
        (&json!(3), &json!({"number": 2}))
    );
    let answer = ask(&server, Method::POST, "/events", r#"{"event_type":"order.paid"}"#).await;
    assert_eq!(answer.json()["offset"], 4);
    let ended = stopped(server).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("kept 4 events; none waits for a handler"), "{}", ended.err);

    let file = Path::new(&data).join("events.nexus");
    let bus = Bus::builder().store(Arc::new(Store::open(file).unwrap())).open().await.unwrap();
    let (sender, mut received) = mpsc::unbounded_channel();
    let billing = move |event: Event| {
        let sent = sender.send(event.event_type().to_string());
        async move { drop(sent) }
    };
    let earliest = Durable::named("billing").start(Start::Earliest);
    bus.on("order.*", billing.durable(earliest)).unwrap();
    for expected in ["order.created", "order.created", "order.created", "order.paid"] {
        assert_eq!(received.recv().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_start_says_where_events_are_kept() {
    let directory = Directory::new();
    let data = directory.path("data");
    let start = async |more: &[&str]| {
        let arguments = [&["serve", "--port", "0", "--data", &data], more].concat();
        let server = Running::start(&arguments).await;
        let kept = server.before.clone();
        let log = ask(&server, Method::GET, "/log", "").await.status;
        let ended = stopped(server).await;
        (kept, log, ended.err.contains("kept 0 events"))
    };
    let (kept, log, said) = start(&[]).await;
    assert!(kept.contains(&format!("kept     {data}/events.nexus, 0 events so far")), "{kept}");
    assert!(log.is_success() && said);
    let (kept, ..) =
        start(&["--ack", "buffered", "--keep-age", "30d", "--keep-bytes", "1GiB"]).await;
    assert!(kept.contains("acknowledged when buffered"), "{kept}");
    let (kept, log, said) = start(&["--ephemeral"]).await;
    assert!(kept.contains("in memory only (--ephemeral)"), "{kept}");
    assert!(log.is_client_error() && !said);
}

#[tokio::test]
async fn only_as_many_events_are_kept_as_asked_for() {
    let directory = Directory::new();
    let data = directory.path("data");
    let arguments = ["serve", "--port", "0", "--data", &data, "--keep-events", "20"];
    let server = Running::start(&arguments).await;
    // The bound is looked at every 256 commits.
    for _ in 0..300 {
        ask(&server, Method::POST, "/events", r#"{"event_type":"a"}"#).await;
    }
    let log = ask(&server, Method::GET, "/log?limit=1", "").await.json();
    assert!(log["first"].as_u64().unwrap() > 200, "{log}");
    assert_eq!(log["last"], 300);
    assert_eq!(ask(&server, Method::GET, "/log/1", "").await.status.as_u16(), 404);
    let gone = ask(&server, Method::GET, "/log?after=3", "").await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (410, "trimmed"));
}

#[tokio::test]
async fn a_second_server_names_the_file_that_is_in_use() {
    let directory = Directory::new();
    let data = directory.path("data");
    let first = serve(&data).await;
    let second = run(&["serve", "--port", "0", "--data", &data]).await;
    second.refused(9, "events.nexus` is open already");
    store(&["verify"], &directory)
        .await
        .refused(9, &format!("nexus store backup --url {}", first.url));
    store(&["repair"], &directory).await.refused(9, "events.nexus");
    assert_eq!(stopped(first).await.code, Some(0));
    let _held = Store::open(Path::new(&data).join("events.nexus")).unwrap();
    store(&["verify"], &directory).await.refused(9, "--url URL, which it shows at its start");
}

#[tokio::test]
async fn a_store_is_verified_and_counted_while_its_server_runs() {
    let directory = Directory::new();
    let server = serve(&directory.path("data")).await;
    publish(&server, 50).await;
    let verified = run(&["store", "verify", "--url", &server.url]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.out.starts_with("50 events and "), "{}", verified.out);
    let stats = run(&["store", "stats", "--url", &server.url, "-o", "json"]).await;
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(
        (&stats["events"], &stats["first"], &stats["last"]),
        (&json!(50), &json!(1), &json!(50))
    );
    let stats = run(&["store", "stats", "--url", &server.url]).await;
    assert!(stats.out.contains("offsets 1 to 50"), "{stats:?}");
    run(&["store", "stats", "--url", "http://127.0.0.1:1"])
        .await
        .refused(5, "start one there with `nexus serve --port 1`");
    run(&["store", "stats", "--url", &server.url[7..]]).await.refused(2, &server.url);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read_is_shown() {
    let directory = with_events(3).await;
    let opened = Store::open(Path::new(&directory.path("data")).join("events.nexus")).unwrap();
    let wrong = Append::new().put(space::CURSORS, "billing", "{}");
    let right = wrong.cursor("shipping", &Cursor::at(Offset::new(2)));
    opened.append(right).await.unwrap();
    opened.close().await.unwrap();
    drop(opened);
    let offline = store(&["stats"], &directory).await;
    assert!(offline.out.contains("shipping: handled up to 2, 1 behind"), "{offline:?}");
    assert!(offline.out.contains("billing\n  failing: "), "{offline:?}");
    let server = serve(&directory.path("data")).await;
    let asked = run(&["store", "stats", "--url", &server.url]).await;
    // How large the file is changes with a start.
    let from_epoch = |ended: &Ended| ended.out.split_once("epoch").unwrap().1.to_owned();
    assert_eq!(from_epoch(&asked), from_epoch(&offline));
    let consumers = ask(&server, Method::GET, "/consumers", "").await.json();
    assert_eq!(consumers["consumers"][0]["name"], "billing");
    let why = consumers["consumers"][0]["failing"].as_str().unwrap();
    assert!(why.contains("Append::cursor"), "{why}");
}

#[tokio::test]
async fn what_is_in_the_way_of_a_store_is_one_line() {
    let directory = Directory::new();
    let serve = async |data: &str| run(&["serve", "--port", "0", "--data", data]).await;
    let file = directory.file("file", b"x");
    serve(&file).await.refused(1, "is no directory");
    std::fs::create_dir_all(directory.path("folder/events.nexus")).unwrap();
    serve(&directory.path("folder")).await.refused(1, "is a folder");
    std::fs::create_dir(directory.path("foreign")).unwrap();
    directory.file("foreign/events.nexus", b"no store at all");
    serve(&directory.path("foreign")).await.refused(1, "events.nexus");
    for usage in [["--keep-bytes", "many"], ["--keep-age", "0d"], ["--ack", "never"]] {
        let ended = run(&[&["serve", "--port", "0"], &usage[..]].concat()).await;
        assert_eq!(ended.code, Some(2), "{usage:?}");
    }
    for action in [&["verify"][..], &["compact"], &["stats"], &["repair"], &["backup", "x"]] {
        store(action, &directory).await.refused(4, "there is no store in");
    }
}

#[tokio::test]
async fn a_store_is_verified_counted_and_compacted() {
    let directory = with_events(50).await;
    let verified = store(&["verify"], &directory).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.out.starts_with("50 events and "), "{}", verified.out);
    let stats = store(&["stats", "-o", "json"], &directory).await;
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(
        (&stats["events"], &stats["first"], &stats["last"]),
        (&json!(50), &json!(1), &json!(50))
    );
    assert!(store(&["stats"], &directory).await.out.contains("offsets 1 to 50"));
    let compacted = store(&["compact"], &directory).await;
    assert!(compacted.out.contains("given back to the disk"), "{compacted:?}");
    let repaired = store(&["repair"], &directory).await;
    assert!(repaired.out.contains("nothing was damaged"), "{repaired:?}");
}

#[tokio::test]
async fn damage_is_found_named_by_its_offset_and_repaired() {
    let directory = with_events(50).await;
    let path = directory.path("data/events.nexus");
    let mut bytes = std::fs::read(&path).unwrap();
    // Of event 18, wherever the file has it.
    let needle = br#"{"number":17}"#;
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 11] ^= 0x01;
    }
    std::fs::write(&path, bytes).unwrap();

    store(&["verify"], &directory).await.refused(10, " to 50: its checksum does not match");

    let refused = store(&["repair"], &directory).await;
    refused.refused(10, "--accept-loss");
    let repaired = store(&["repair", "--accept-loss"], &directory).await;
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    assert!(repaired.out.contains("lost: offset"), "{}", repaired.out);
    assert!(Path::new(&directory.path("data/events.nexus.damaged")).exists());
    assert_eq!(store(&["verify"], &directory).await.code, Some(0));
}

#[tokio::test]
async fn half_a_file_is_one_line_and_no_panic() {
    let directory = with_events(500).await;
    let path = directory.path("data/events.nexus");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    drop(file);
    store(&["verify"], &directory).await.refused(10, "events.nexus` is damaged");
    store(&["repair"], &directory).await.refused(10, "restore a backup");
    let data = directory.path("data");
    run(&["serve", "--port", "0", "--data", &data]).await.refused(10, "events.nexus` is damaged");
}

#[tokio::test]
async fn a_backup_is_made_while_serving_and_restored() {
    let directory = Directory::new();
    let data = directory.path("data");
    let server = serve(&data).await;
    publish(&server, 10).await;
    let backup = ["store", "backup", "--url", &server.url, "--name", "monday"];
    let made = run(&backup).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.out.contains("10 events") && made.out.contains("data/backups/monday.nexus"),
        "{}",
        made.out
    );
    run(&backup).await.refused(9, "there is a backup");
    let outside = ask(&server, Method::POST, "/store/backup?name=..%2Fx", "").await;
    assert_eq!(outside.status.as_u16(), 400);
    let backup = async |path: &str, content: &str| {
        let answer = ask(&server, Method::POST, path, content).await;
        (answer.status.as_u16(), answer.text)
    };
    let (status, text) = backup("/store/backup", r#"{"name":"tuesday"}"#).await;
    assert!(status == 201 && text.contains("backups/tuesday.nexus"), "{text}");
    let (status, text) = backup("/store/backup", r#"{"nam":"friday"}"#).await;
    assert!(status == 400 && text.contains("`nam`"), "{text}");
    let (status, text) = backup("/store/backup?name=a", r#"{"name":"friday"}"#).await;
    assert!(status == 400 && text.contains("`name`"), "{text}");
    publish(&server, 5).await;
    stopped(server).await;

    let other = directory.path("other");
    let from = directory.path("data/backups/monday.nexus");
    let restored = run(&["store", "restore", &from, "--data", &other]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let again = run(&["store", "restore", &from, "--data", &other]).await;
    again.refused(1, "already");
    run(&["store", "restore", &directory.path("nothing"), "--data", &other])
        .await
        .refused(4, "no backup");
    let server = serve(&other).await;
    assert_eq!(ask(&server, Method::GET, "/log", "").await.json()["count"], 10);

    let offline = directory.path("offline.nexus");
    let made = store(&["backup", &offline], &directory).await;
    assert!(made.out.starts_with("15 events"), "{made:?}");
    store(&["backup", &offline], &directory).await.refused(1, "already");
}
