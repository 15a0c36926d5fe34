//! Whatever comes, the server stays.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::raw::RawClient;
use crate::support::{Client, Server};

/// What a client may do wrong.
#[derive(Debug, Clone)]
enum Act {
    Text(String),
    Bytes(Vec<u8>),
    Frame { first: u8, payload: Vec<u8> },
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![Just("subscribe"), Just("unsubscribe"), Just("get_stats")];
    let value = prop_oneof![
        any::<String>().prop_map(|text| json!(text)),
        any::<f64>().prop_map(|number| json!(number)),
        vec(any::<String>(), 0..4).prop_map(|texts| json!(texts)),
        (any::<String>(), any::<bool>()).prop_map(|(name, value)| json!({name: value})),
        Just(json!(null)),
    ];
    let request = (kind, value.clone(), value.clone(), value).prop_map(|(kind, a, b, c)| {
        let request = json!({"type": kind, "event_types": a, "filters": b, "session_id": c, "subscription_id": a});
        request.to_string()
    });
    prop_oneof![
        request.prop_map(Act::Text),
        any::<String>().prop_map(Act::Text),
        vec(any::<u8>(), 0..200).prop_map(Act::Bytes),
        (any::<u8>(), vec(any::<u8>(), 0..100))
            .prop_map(|(first, payload)| Act::Frame { first, payload }),
    ]
}

#[test]
fn garbage_never_hurts_the_server_or_a_healthy_client() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, healthy) = runtime.block_on(async {
        let server = Server::with(
            nexus_events_stream::StreamOptions::new().inbound_rate(1_000_000, 1_000_000),
        )
        .await;
        let mut healthy = Client::connect(&server).await;
        healthy.subscribe(json!({"event_types": ["health.check"]})).await;
        (server, tokio::sync::Mutex::new(healthy))
    });
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(act(), 1..12), |acts| {
        runtime.block_on(async {
            let mut client = RawClient::connect(&server, None).await;
            for act in &acts {
                if !client.write(&bytes(act)).await {
                    break;
                }
            }
            server.publish_type("health.check");
            let mut healthy = healthy.lock().await;
            prop_assert_eq!(healthy.event_types().await, ["health.check"]);
            Ok(())
        })
    });
    outcome.unwrap();
    runtime.block_on(server.until(|stats| stats.connected_clients == 1));
}

fn bytes(act: &Act) -> Vec<u8> {
    let frame = |first: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | 126];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    };
    match act {
        Act::Text(text) => frame(0x81, text.as_bytes()),
        Act::Frame { first, payload } => frame(*first, payload),
        Act::Bytes(bytes) => bytes.clone(),
    }
}
