//! D3: a client that does not read is its own problem.

use nexus_events_model::Event;
use serde_json::json;
use tokio::sync::mpsc;

use crate::raw::RawClient;
use crate::support::{Server, unhurried};

const READERS: usize = 200;
const BATCH: usize = 100;
const EVENTS_MIN: usize = 2_000;

/// The events for all have 512 bytes of payload. Larger ones for the stalled client alone fill
/// what the system buffers for it, which takes far longer than its queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d03_stalled_reader_delays_nobody_and_is_closed() {
    // It is to be told why, however slow this machine is.
    let server = Server::with(unhurried()).await;
    let (done, mut finished) = mpsc::channel(READERS);
    for _ in 0..READERS {
        let mut client = RawClient::connect(&server, None).await;
        client.say(r#"{"type":"subscribe","event_types":["tick"]}"#).await;
        assert!(client.text().await.contains("subscription_created"));
        tokio::spawn(read_batches(client, done.clone()));
    }
    let mut stalled = RawClient::connect(&server, Some(4 * 1024)).await;
    stalled.say(r#"{"type":"subscribe","event_types":["tick","fill"]}"#).await;
    assert!(stalled.text().await.contains("subscription_created"));

    let mut published = 0;
    while published < EVENTS_MIN || server.streamer.stats().connected_clients > READERS {
        for _ in 0..4 {
            server.publish(Event::builder("fill").payload(json!({"text": "x".repeat(100_000)})));
        }
        for number in published..published + BATCH {
            let payload = json!({"n": format!("{number:06}"), "text": "x".repeat(490)});
            server.publish(Event::builder("tick").payload(payload));
        }
        published += BATCH;
        // All others have the whole batch, whatever the stalled one does.
        for _ in 0..READERS {
            finished.recv().await.expect("no reader fails");
        }
        assert!(published < 100_000, "the stalled client was never closed");
    }

    let stats = server.streamer.stats();
    assert_eq!(stats.connected_clients, READERS);
    assert_eq!(serde_json::to_value(&stats.disconnected).unwrap(), json!({"slow_client": 1}));
    assert!(stats.dropped["slow_client"] > 0);
    assert_eq!(stats.queued_messages, 0);
    let (read, code) = stalled.read_to_end().await;
    assert_eq!(code, Some(1013));
    assert!(read < published);
}

async fn read_batches(mut client: RawClient, done: mpsc::Sender<()>) {
    let mut frame = Vec::new();
    for number in 0.. {
        if client.frame(&mut frame).await != Some(1) {
            return;
        }
        let text = std::str::from_utf8(&frame).unwrap();
        let expected = format!(r#""payload":{{"n":"{number:06}""#);
        assert!(text.contains(&expected), "expected {expected} in {text}");
        if number % BATCH == BATCH - 1 && done.send(()).await.is_err() {
            return;
        }
    }
}
