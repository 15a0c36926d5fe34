//! D1 once more, by a client in another language that shares no code with ours.

use std::process::Stdio;

use nexus_events_model::EventBuilder;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::support::Server;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/seed_client.py");

#[tokio::test]
async fn d01_seed_transcript_from_python() {
    let Some(python) = std::env::var_os("NEXUS_TEST_PYTHON").filter(|path| !path.is_empty()) else {
        let required = std::env::var("NEXUS_TEST_REQUIRE").is_ok_and(|value| value == "1");
        assert!(!required, "set NEXUS_TEST_PYTHON to a Python that has websockets");
        println!("skipped: NEXUS_TEST_PYTHON names no Python that has websockets");
        return;
    };
    let server = Server::start().await;
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .arg(server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Every line is an event to publish, until the last.
    let mut last = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.starts_with('{') {
            server.publish(EventBuilder::from_json(&line).unwrap());
            stdin.write_all(b"published\n").await.unwrap();
        }
        last = line;
    }
    assert!(child.wait().await.unwrap().success(), "its errors are above");
    assert_eq!(last, "all as the seed has it");
}
