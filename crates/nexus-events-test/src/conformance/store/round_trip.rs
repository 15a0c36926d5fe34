//! An event comes back as it was appended.

use nexus_events_dispatch::store::{Append, Read};
use nexus_events_model::{Event, EventBuilder, Priority, TraceContext};
use serde_json::{Value, json};

use super::candidate::Candidate;
use super::kit::{all, built, draft, large};
use super::outcomes::Done;

/// Whether it comes back, and its text with it: equal JSON values may be written differently.
async fn comes_back(it: Candidate, events: Vec<EventBuilder>) -> Done {
    let events: Vec<Event> = events.into_iter().map(built).collect();
    let append = events.iter().cloned().fold(Append::new(), Append::event);
    it.store().append(append).await?;
    let read = all(&**it.store(), Read::all()).await?;
    assert_eq!(read.len(), events.len());
    for (stored, event) in read.iter().zip(&events) {
        assert!(stored.event == *event, "{event:?} came back as {:?}", stored.event);
        assert_eq!(stored.event.timestamp().offset(), event.timestamp().offset());
        let (there, here) = (stored.event.encoded(), event.encoded());
        let text = |encoded: nexus_events_model::Result<&nexus_events_model::Encoded>| {
            encoded.map(|encoded| encoded.as_str().to_owned()).expect("it has JSON")
        };
        assert_eq!(text(there), text(here));
    }
    Ok(())
}

fn payload(value: Value) -> EventBuilder {
    draft(1).payload(value)
}

macro_rules! rows {
    ($($name:ident: $events:expr;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            comes_back(it, Vec::from($events)).await
        }
    )* };
}

rows! {
    the_least: [Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z")];
    source: [draft(1).source("shop")];
    target: [draft(1).target("billing"), draft(2).target("")];
    priorities: Priority::ALL.map(|priority| draft(1).priority(priority));
    correlation: [draft(1).correlation_id("c"), draft(2).correlation_id("018f3c5e-1b2a-7c3d-8e4f-5a6b7c8d9e0f")];
    causation: [draft(1).causation_id(built(draft(7)).id())];
    session_and_user: [draft(1).session_id("s").user_id("u")];
    channel: [draft(1).channel("web")];
    retries: [draft(1).retryable(false).max_retries(0), draft(2).max_retries(u32::MAX).retry_count(u32::MAX)];
    trace: [draft(1).trace_context(&TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("valid"))];
    metadata: [draft(1).metadata("b", json!({"x": [1, null]})).metadata("a", "text").metadata("", 0)];
    much_metadata: [(0..256).fold(draft(1), |it, n| it.metadata(format!("name-{n}"), n))];
    every_field: [draft(1).source("s").target("t").correlation_id("c").session_id("e").user_id("u")
        .channel("web").priority(Priority::Critical).retryable(false).max_retries(9).retry_count(2)
        .metadata("m", true).causation_id(built(draft(7)).id())];
    long_names: [draft(1).source("x".repeat(1024)).user_id("u".repeat(1024)).id("i".repeat(1024)),
        draft(2).event_type(vec!["abcdefghijklmno"; 15].join("."))];
    timestamps: [
        draft(1).timestamp_text("1970-01-01T00:00:00Z"),
        draft(2).timestamp_text("1969-12-31T23:59:59.999999Z"),
        draft(3).timestamp_text("2026-01-02T03:04:05.000001Z"),
        draft(4).timestamp_text("2026-01-02T03:04:05.123456+05:30"),
        draft(5).timestamp_text("9999-12-31T23:59:59-11:00"),
    ];
    uuids: ["018f3c5e-1b2a-7c3d-8e4f-5a6b7c8d9e0f", "018F3C5E-1B2A-7C3D-8E4F-5A6B7C8D9E0F",
        "018f3c5e1b2a7c3d8e4f5a6b7c8d9e0f", "00000000-0000-0000-0000-000000000000"].map(|id| draft(1).id(id));
    unusual_ids: ["0", " ", "a b", "é", "日本", "\u{1f600}", "a\nb", "a\"b\\c", "\u{0}", "null", "1.0"]
        .map(|id| draft(1).id(id));
    unicode: [payload(json!({"é": "日本語 \u{1f600} \u{0} \u{7f} \u{2028} \u{fffd}", "": "\"\\/\n"})),
        draft(2).source("Ж").metadata("ключ", "ü")];
    empty_payloads: [draft(1), payload(json!({}))];
    payloads_of_every_kind: [json!([]), json!("text"), json!(""), json!(true), json!(0), json!(-1), json!([[[]]])]
        .map(payload);
    numbers: [json!(u64::MAX), json!(i64::MIN), json!(1.5), json!(-0.0), json!(1e300), json!(5e-324),
        json!(0.1), json!(9_007_199_254_740_993_u64)].map(|number| payload(json!({"n": number})));
    a_deep_payload: [payload((0..90).fold(json!(1), |inner, _| json!([inner])))];
    many_fields: [payload((0..5000).map(|n| (format!("field-{n}"), json!(n))).collect())];
    a_typed_payload: [draft(1).typed(vec![("a", 1), ("b", 2)])];
}

pub(super) async fn a_payload_of_nearly_a_mebibyte(it: Candidate) -> Done {
    let large = large(1, (1 << 20) - 1024);
    comes_back(it, vec![large.to_builder()]).await
}

pub(super) async fn the_key_beside_it(it: Candidate) -> Done {
    for key in ["k", "", "é\u{0}", "a b"] {
        it.store().append(Append::new().keyed_event(key, built(draft(1)))).await?;
    }
    it.store().append(Append::of(built(draft(2)))).await?;
    let read = all(&**it.store(), Read::all()).await?;
    let keys: Vec<_> = read.iter().map(|stored| stored.key.as_deref()).collect();
    assert_eq!(keys, [Some("k"), Some(""), Some("é\u{0}"), Some("a b"), None]);
    Ok(())
}
