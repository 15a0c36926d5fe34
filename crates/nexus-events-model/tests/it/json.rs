//! Events as JSON, in and out.

use nexus_events_model::{Encoded, ErrorKind, Event, EventBuilder, EventId, Priority, Stamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

fn stamp() -> Stamp {
    Stamp { id: EventId::new("stamped").unwrap(), timestamp: datetime!(2026-01-02 03:04:05 UTC) }
}

fn read(value: &Value) -> Event {
    EventBuilder::from_json(&value.to_string()).unwrap().build_with(stamp).unwrap()
}

fn refuse(json: &str) -> (ErrorKind, String) {
    let error = EventBuilder::from_json(json).unwrap_err();
    (error.kind(), error.to_string())
}

const FULL: &str = r#"{"event_id":"evt-1","event_type":"workflow.started","source":"engine","target":"ops","payload":{"z":1,"a":[1.50,"x"]},"metadata":{"mode":"production","deep":{"x":null}},"timestamp":"2026-11-22T03:48:23.433602+00:00","priority":"high","correlation_id":"corr_123","session_id":"session_456","user_id":"user_789","channel":"web","retryable":false,"max_retries":5,"retry_count":2}"#;

#[test]
fn fifteen_fields_in_order_and_a_round_trip_to_the_letter() {
    let event = Event::from_json(FULL).unwrap();
    assert_eq!(event.encoded().map(Encoded::as_str).unwrap(), FULL);
    assert_eq!(serde_json::to_string(&event).unwrap(), FULL);
    assert_eq!(serde_json::from_str::<Event>(FULL).unwrap(), event);
}

#[test]
fn unset_fields_are_null_and_defaults_are_written() {
    let event = read(&json!({}));
    let expected = concat!(
        r#"{"event_id":"stamped","event_type":"custom.event","source":"","target":null,"payload":{},"metadata":{},"#,
        r#""timestamp":"2026-01-02T03:04:05+00:00","priority":"normal","correlation_id":null,"session_id":null,"#,
        r#""user_id":null,"channel":null,"retryable":true,"max_retries":3,"retry_count":0}"#,
    );
    assert_eq!(event.encoded().unwrap().as_str(), expected);
}

#[test]
fn null_is_the_same_as_absent() {
    let mut nulls = serde_json::Map::new();
    for field in serde_json::from_str::<Value>(FULL).unwrap().as_object().unwrap().keys() {
        nulls.insert(field.clone(), Value::Null);
    }
    assert_eq!(read(&Value::Object(nulls)), read(&json!({})));
}

#[test]
fn data_is_another_name_for_payload() {
    assert_eq!(
        read(&json!({"data": {"user_id": "42"}})),
        read(&json!({"payload": {"user_id": "42"}}))
    );
    let none = r#"{"payload":null,"data":{"a":1},"timestamp":""}"#;
    assert_eq!(
        EventBuilder::from_json(none).unwrap().build_with(stamp).unwrap(),
        read(&json!({"data": {"a": 1}}))
    );
    let (kind, text) = refuse(r#"{"data":{},"payload":{}}"#);
    assert_eq!(kind, ErrorKind::InvalidEvent);
    assert!(text.contains("`data` is another name for it"), "{text}");
}

#[test]
fn timestamps_keep_their_offset() {
    let text = |timestamp: &str| {
        let event = read(&json!({"timestamp": timestamp}));
        serde_json::from_str::<Value>(event.encoded().unwrap().as_str()).unwrap()["timestamp"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(text("2026-11-22T03:48:23Z"), "2026-11-22T03:48:23+00:00");
    assert_eq!(text("2013-02-05T00:00:00-05:00"), "2013-02-05T00:00:00-05:00");
    assert_eq!(text("2026-11-22T03:48:23.5+05:30"), "2026-11-22T03:48:23.500000+05:30");
    assert_eq!(text("2026-11-22T03:48:23"), "2026-11-22T03:48:23+00:00");
}

#[test]
fn ids_are_kept_as_they_came() {
    for id in [
        "evt-1",
        "0196F3A2-0000-7000-8000-000000000000",
        "0196f3a2-0000-7000-8000-000000000000",
        "{braces}",
        "ü",
    ] {
        assert_eq!(read(&json!({"event_id": id})).id(), &EventId::new(id).unwrap());
        assert_eq!(read(&json!({"event_id": id})).id().to_string(), id);
    }
}

#[test]
fn an_unknown_field_is_named_with_its_nearest_known_one() {
    let (kind, text) = refuse(r#"{"event_typ":"a"}"#);
    assert_eq!(kind, ErrorKind::UnknownField);
    assert_eq!(text, "an event has no field `event_typ`; did you mean `event_type`?");
    assert!(refuse(r#"{"prioritty":"high"}"#).1.contains("did you mean `priority`?"));
    assert!(refuse(r#"{"colour":"red"}"#).1.contains("an event has event_id, event_type, source"));
    let lenient = EventBuilder::from_json_lenient(r#"{"event_type":"a.b","colour":{"deep":[1]}}"#)
        .unwrap()
        .build_with(stamp)
        .unwrap();
    assert_eq!(lenient, read(&json!({"event_type": "a.b"})));
}

#[test]
fn wrong_types_name_the_field() {
    for (json, says) in [
        (r#"{"event_type":7}"#, "field `event_type`: invalid type: integer `7`, expected a string"),
        (r#"{"metadata":[]}"#, "field `metadata`: invalid type: sequence, expected an object"),
        (
            r#"{"retryable":"yes"}"#,
            "field `retryable`: invalid type: string \"yes\", expected a boolean",
        ),
        (r#"{"max_retries":-1}"#, "field `max_retries`: invalid value: integer `-1`"),
        (r#"{"max_retries":5000000000}"#, "field `max_retries`: invalid value"),
        (
            r#"{"priority":"urgent"}"#,
            "field `priority`: unknown variant `urgent`, expected one of `low`, `normal`, `high`, `critical`",
        ),
        (r#"{"timestamp":"yesterday"}"#, "timestamp `yesterday` is not ISO 8601"),
        (r#"{"event_id":""}"#, "event_id is empty"),
        (r#"{"source":"a","source":"b"}"#, "field `source` is given twice"),
        ("[]", "expected an event, which is a JSON object"),
        ("7", "expected an event"),
        (r#"{"event_id":"#, "EOF while parsing"),
        (r#"{"payload":{"a":}}"#, "field `payload`"),
        (r#"{} trailing"#, "trailing characters"),
        ("", "EOF while parsing"),
    ] {
        let (kind, text) = refuse(json);
        assert_eq!(kind, ErrorKind::InvalidEvent, "{json}");
        assert!(text.contains(says), "{json} gave: {text}");
    }
    let (kind, text) = refuse(r#"{"event_type":"two words"}"#);
    assert_eq!(kind, ErrorKind::InvalidEventType);
    assert!(text.contains("`two words`"), "{text}");
}

#[test]
fn what_is_too_large_is_refused() {
    let long = format!(r#"{{"payload":"{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(refuse(&long).0, ErrorKind::TooLarge);
    assert_eq!(refuse(&format!(r#"{{"source":"{}"}}"#, "x".repeat(1_025))).0, ErrorKind::TooLarge);
    let metadata: serde_json::Map<String, Value> =
        (0..257).map(|number| (format!("k{number}"), json!(1))).collect();
    assert!(refuse(&json!({"metadata": metadata}).to_string()).1.contains("at most 256 entries"));
    let nested = |levels: usize| {
        format!("{{\"payload\":{}\"[[[\\\"{{\"{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert_eq!(refuse(&nested(101)).0, ErrorKind::TooLarge);
    assert_eq!(refuse(&nested(100_000)).0, ErrorKind::TooLarge);
    assert!(
        EventBuilder::from_json(&nested(100))
            .unwrap()
            .build_with(stamp)
            .unwrap()
            .payload()
            .value()
            .is_ok()
    );
}

#[test]
fn a_complete_event_needs_id_and_timestamp() {
    let error = Event::from_json(r#"{"event_type":"a"}"#).unwrap_err();
    assert!(
        error.to_string().contains("event has no id; publish it through a bus, which stamps it"),
        "{error}"
    );
    let error = Event::from_json(r#"{"event_id":"1"}"#).unwrap_err();
    assert!(error.to_string().contains("event has no timestamp"), "{error}");
}

#[test]
fn a_payload_that_cannot_be_json_is_an_error_and_not_a_panic() {
    let odd: std::collections::HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    let event = Event::builder("a").typed(odd).build_with(stamp).unwrap();
    let error = event.encoded().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    assert!(error.to_string().contains("HashMap"), "{error}");
    assert!(serde_json::to_string(&event).is_err());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn optional() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{1,20}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_event_survives_a_round_trip(
        payload in json_value(),
        metadata in prop::collection::btree_map(".{0,8}", json_value(), 0..4),
        texts in (optional(), optional(), optional(), optional(), optional()),
        micros in -30_000_000_000_000_000_i64..200_000_000_000_000_000,
        priority in prop::sample::select(&Priority::ALL[..]),
        (retryable, max_retries, retry_count) in any::<(bool, u32, u32)>(),
    ) {
        let (target, correlation, session, user, channel) = texts;
        let value = json!({
            "event_id": "evt", "event_type": "a.b", "source": "s", "target": target, "payload": payload,
            "metadata": metadata, "priority": priority, "correlation_id": correlation, "session_id": session,
            "user_id": user, "channel": channel, "retryable": retryable, "max_retries": max_retries, "retry_count": retry_count,
            "timestamp": nexus_events_model::IsoFormat(time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()).to_string(),
        });
        let event = read(&value);
        let expected = if value["payload"].is_null() { let mut v = value.clone(); v["payload"] = json!({}); v } else { value };
        prop_assert_eq!(serde_json::from_str::<Value>(event.encoded().unwrap().as_str()).unwrap(), expected);
        prop_assert_eq!(Event::from_json(event.encoded().unwrap().as_str()).unwrap(), event);
    }

    #[test]
    fn reading_never_panics(text in ".{0,120}", field in "[a-z_]{1,12}", value in ".{0,20}") {
        let _ = EventBuilder::from_json(&text);
        let _ = EventBuilder::from_json(&format!("{{\"{field}\":{value}}}"));
        let _ = EventBuilder::from_json_lenient(&format!("{{\"{field}\":{value:?}}}"));
    }
}
