//! `nexus demo`: the main job, and proof that its self-check can fail.

use hyper::Method;

use crate::directory::Directory;
use crate::http::{exchange, request};
use crate::program::{Ended, Running, run};

const FLIGHTS: &[u8] = include_bytes!("../../data/nycflights-2013-02-05_11.ndjson.gz");

async fn demo(arguments: &[&str]) -> Ended {
    run(&[&["demo", "--max", "--port", "0"][..], arguments].concat()).await
}

/// A row of the table, as its words.
#[track_caller]
fn row<'a>(out: &'a str, name: &str) -> Vec<&'a str> {
    let line = out.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no row {name} in {out}")).split_whitespace().collect()
}

#[tokio::test]
async fn the_week_passes_its_self_check_with_the_counts_of_the_data() {
    let ended = demo(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (name, numbers) in [
        ("flight.departed", "5,109 5,109 5,109 0 0 ok"),
        ("flight.landed", "5,089 5,089 5,089 0 0 ok"),
        ("flight.cancelled", "992 992 992 0 0 ok"),
        ("weather.observed", "504 504 385 119 0 ok"),
        ("github", "329 329 325 0 4 ok"),
        ("flight.delayed (follow-up)", "452 452 452 0 0 ok"),
        ("total without follow-ups", "12,023 12,023 11,900 119 4"),
    ] {
        assert_eq!(row(&ended.out, name).join(" "), numbers, "{name}");
    }
    assert_eq!(row(&ended.out, "alerts")[0], "186");
    assert_eq!(row(&ended.out, "audit")[0], "993");
    assert!(ended.out.contains("self-check holds: "), "{}", ended.out);
    let number = |text: &str| text.replace(',', "").parse::<u64>().unwrap();
    assert!(number(row(&ended.out, "in the store:")[0]) > 12_475, "and what the saga publishes");
    assert_eq!(row(&ended.out, "delays")[0], "1199");
    let rebooking = row(&ended.out, "rebooking");
    let (begun, rebooked, looking) = (rebooking[0], rebooking[5], rebooking[7]);
    assert_eq!(number(begun), number(rebooked) + number(looking), "{rebooking:?}");
    assert!(number(rebooked) > 300, "{rebooking:?}");
    for pointer in [
        "console  http://127.0.0.1:",
        "curl -s http://127.0.0.1:",
        "tail 'flight.*' --url http://127.0.0.1:",
    ] {
        assert!(ended.out.contains(pointer), "{pointer}");
    }
    // Where it takes long it says how far it is.
    assert!(ended.err.lines().all(|line| line.contains(" of 12,023 events ")), "{}", ended.err);
}

#[tokio::test]
async fn without_the_store_it_holds_as_well() {
    let ended = demo(&["--ephemeral"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("self-check holds: ") && !ended.out.contains("in the store"));
}

#[tokio::test]
async fn a_count_that_does_not_fit_fails_the_check() {
    let ended = demo(&["--expect", "flight.departed=5110"]).await;
    assert_eq!(ended.code, Some(10), "{ended:?}");
    assert_eq!(row(&ended.out, "flight.departed").join(" "), "5,110 5,109 5,109 0 0 WRONG");
    assert!(
        ended
            .out
            .contains("self-check FAILED\n  flight.departed: 5110 in the data, 5109 published"),
        "{}",
        ended.out
    );
}

#[tokio::test]
async fn a_handler_that_fails_fails_the_check() {
    let directory = Directory::new();
    let departed = r#"{"event_type":"flight.delayed","payload":{"dep_delay":130.5}}"#;
    let file = directory.file("mine.ndjson", departed.as_bytes());
    let ended = demo(&["--data", &file]).await;
    assert_eq!(ended.code, Some(10), "{ended:?}");
    assert!(ended.out.contains("1 failed"), "{}", ended.out);
}

#[tokio::test]
async fn data_of_ones_own_is_counted_by_type() {
    let directory = Directory::new();
    let lines = "{\"event_type\":\"order.created\"}\n{\"event_type\":\"order.cancelled\"}\n{\"event_type\":\"weather.observed\"}\n";
    let file = directory.file("mine.ndjson", lines.as_bytes());
    let ended = demo(&["--data", &file, "--expect", "order.created=1"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(row(&ended.out, "order.created").join(" "), "1 1 0 0 1 ok");
    assert_eq!(row(&ended.out, "order.cancelled").join(" "), "1 1 1 0 0 ok");
    assert_eq!(row(&ended.out, "weather.observed").join(" "), "1 1 0 1 0 ok");
    assert_eq!(demo(&["--data", &file, "--expect", "no.such=1"]).await.code, Some(10));
}

#[tokio::test]
async fn a_data_file_that_is_cut_is_one_line_with_its_place() {
    let directory = Directory::new();
    let half = directory.file("half.ndjson.gz", &FLIGHTS[..FLIGHTS.len() / 2]);
    demo(&["--data", &half]).await.refused(1, "half.ndjson.gz is cut off or damaged in line ");
    let half = directory.file("half.ndjson", b"{\"event_type\":\"a\"}\n{\"event_type\":");
    demo(&["--data", &half]).await.refused(1, "half.ndjson is cut off in line 2");
    let wrong = directory.file("bad.ndjson", b"{\"event_type\":\"a\"}\nnull x\n{}\n");
    let ended = demo(&["--data", &wrong]).await;
    ended.refused(1, "bad.ndjson, line 2: ");
    assert!(!ended.err.contains("line 1"), "{}", ended.err);
    assert_eq!(ended.err.matches(" at column ").count(), 1, "{}", ended.err);
    let wrong =
        directory.file("wrong.ndjson", b"{\"event_type\":\"a\"}\n{\"event_typ\":\"a\"}\n{}\n");
    demo(&["--data", &wrong]).await.refused(1, "line 2: an event has no field `event_typ`");
    demo(&["--data", "/no/such/file"]).await.refused(1, "/no/such/file");
}

#[tokio::test]
async fn its_time_ends_it_and_what_was_published_is_checked() {
    let ended = run(&["demo", "--port", "0", "--seconds", "1"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("self-check holds for what was published"), "{}", ended.out);
}

#[tokio::test]
async fn visitors_see_the_replay_and_do_not_disturb_its_check() {
    let demo = Running::start(&["demo", "--port", "0"]).await;
    let send = async |method, path, content: &'static str| {
        exchange(demo.authority(), request(method, path, demo.authority(), content)).await
    };
    let event = r#"{"event_type":"flight.departed","payload":{"dep_delay":200}}"#;
    assert_eq!(
        send(Method::POST, "/events", event).await.json()["results"][1]["status"],
        "cancelled"
    );
    let delayed = r#"{"event_type":"flight.delayed","payload":{"dep_delay":200}}"#;
    assert_eq!(send(Method::POST, "/events", delayed).await.status, 201);
    loop {
        let events = send(
            Method::GET,
            "/events?type=flight.departed&filter=has(metadata.replayed_from)",
            "",
        )
        .await
        .json();
        if events["count"].as_u64().unwrap() > 5 {
            break;
        }
        tokio::task::yield_now().await;
    }
    demo.signal("-INT").await;
    let ended = demo.end().await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.out.contains("self-check holds for what was published"), "{}", ended.out);
}
