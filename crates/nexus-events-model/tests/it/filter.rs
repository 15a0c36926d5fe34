//! Filters against rows of data: ours in three syntaxes, and EventBridge's 51.

use nexus_events_model::{ErrorKind, Event, EventBuilder, EventId, Filter, Stamp, UnknownFields};
use serde::Deserialize;
use serde_json::Value;
use time::macros::datetime;

macro_rules! testdata {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../nexus-events-test/testdata/", $file))
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    filter: Vec<Row>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    text: Option<String>,
    fields: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    matches: Vec<String>,
    #[serde(default)]
    rejects: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    text: Option<String>,
    fields: Option<String>,
    pattern: Option<String>,
    at: Option<usize>,
    says: String,
}

#[derive(Deserialize)]
struct EventBridgeRow {
    name: String,
    rule: Value,
    event: Value,
    expected: bool,
}

fn rows() -> Rows {
    toml::from_str(testdata!("filters.toml")).unwrap()
}

pub(crate) fn event(json: &str) -> Event {
    let mut event: Value = serde_json::from_str(json).unwrap();
    event.as_object_mut().unwrap().entry("event_type").or_insert("test.event".into());
    let stamp = || Stamp {
        id: EventId::new("evt-test").unwrap(),
        timestamp: datetime!(2026-01-02 03:04:05 UTC),
    };
    EventBuilder::from_json(&event.to_string()).unwrap().build_with(stamp).unwrap()
}

pub(crate) fn fields(json: &str) -> nexus_events_model::Result<Filter> {
    Filter::from_fields(&serde_json::from_str(json).unwrap(), UnknownFields::Reject)
}

pub(crate) fn pattern(json: &str) -> nexus_events_model::Result<Filter> {
    Filter::from_event_pattern(&serde_json::from_str(json).unwrap())
}

#[test]
fn rows_match_in_every_syntax() {
    for row in rows().filter {
        let filters = [
            row.text.as_deref().map(Filter::parse),
            row.fields.as_deref().map(fields),
            row.pattern.as_deref().map(pattern),
        ];
        let filters: Vec<Filter> = filters
            .into_iter()
            .flatten()
            .map(|filter| filter.unwrap_or_else(|error| panic!("{}: {error}", row.name)))
            .collect();
        assert!(!filters.is_empty(), "{}: no filter", row.name);
        let matches = row.matches.iter().map(|json| (json, true));
        for (json, expected) in matches.chain(row.rejects.iter().map(|json| (json, false))) {
            for filter in &filters {
                check(&row.name, filter, json, expected);
            }
        }
    }
}

/// The filter, its canonical text read again, and its explanation all have to say the same.
fn check(name: &str, filter: &Filter, json: &str, expected: bool) {
    let event = event(json);
    let explanation = filter.explain(&event);
    assert_eq!(filter.matches(&event), expected, "{name}: {json}\n{filter}\n{explanation}");
    assert_eq!(explanation.matched(), expected, "{name}: {json}\n{explanation}");
    let again = Filter::parse(&filter.to_string())
        .unwrap_or_else(|error| panic!("{name}: {filter}: {error}"));
    assert_eq!(again.matches(&event), expected, "{name}: {json}\n{filter}\nread again: {again}");
    assert_eq!(again.to_string(), filter.to_string(), "{name}");
}

#[test]
fn rows_are_refused_with_their_place() {
    for row in rows().refused {
        let (given, result) = match (&row.text, &row.fields, &row.pattern) {
            (Some(text), None, None) => (text, Filter::parse(text)),
            (None, Some(json), None) => (json, fields(json)),
            (None, None, Some(json)) => (json, pattern(json)),
            _ => panic!("one syntax a row: {}", row.says),
        };
        let error = result.expect_err(given);
        assert_eq!(error.kind(), ErrorKind::InvalidFilter, "{given}");
        assert_eq!(error.position(), row.at, "{given}: {error}");
        assert!(error.to_string().contains(&row.says), "{given}: {error}");
    }
}

#[test]
fn eventbridge_rows() {
    let rows: Vec<EventBridgeRow> =
        serde_json::from_str(testdata!("eventbridge-patterns-51.json")).unwrap();
    assert_eq!(rows.len(), 51);
    for row in &rows {
        let filter = Filter::from_value_pattern(&row.rule)
            .unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert_eq!(filter.matches_value(&row.event), row.expected, "{}: {filter}", row.name);
    }
}

/// The same rows inside the payload of an event.
#[test]
fn eventbridge_rows_in_a_payload() {
    let rows: Vec<EventBridgeRow> =
        serde_json::from_str(testdata!("eventbridge-patterns-51.json")).unwrap();
    for row in &rows {
        let filter = Filter::from_event_pattern(&serde_json::json!({"payload": row.rule})).unwrap();
        check(
            &row.name,
            &filter,
            &serde_json::json!({"payload": row.event}).to_string(),
            row.expected,
        );
    }
}

#[test]
fn lenient_fields_pass_over_what_no_event_has() {
    let json =
        serde_json::json!({"sorce": "shop", "user_id": "u1", "room": ["a"], "priority": "urgent"});
    let lenient =
        |json: &Value| Filter::from_fields(json.as_object().unwrap(), UnknownFields::Ignore);
    let filter = lenient(&json).unwrap();
    assert!(!filter.matches(&event(r#"{"user_id":"u1"}"#)), "no event has the priority `urgent`");
    let filter = lenient(&serde_json::json!({"sorce": "shop", "user_id": "u1"})).unwrap();
    assert!(filter.matches(&event(r#"{"user_id":"u1"}"#)));
    assert!(!filter.matches(&event(r#"{"user_id":"u2"}"#)));
    assert!(
        lenient(&serde_json::json!({"user_id": {">>": 1}})).is_err(),
        "a bad operator is an error all the same"
    );
}

#[test]
fn explains_what_was_found_and_what_is_nearest() {
    let filter = Filter::parse(
        "source == 'shop' && payload.detials.amount > 5 && payload.items.exists(x, x.sku == 'a' && x.n > 1)",
    )
    .unwrap();
    let json = r#"{"source":"shop","payload":{"details":{"amount":9},"items":[{"sku":"a","n":1},{"sku":"b"}]}}"#;
    let explanation = filter.explain(&event(json));
    let expected = "\
no   all of
yes    source == 'shop': found \"shop\"
no     payload.detials.amount > 5: nothing is there; did you mean `details`?
no     one element of payload.items
no       all of
yes        x.sku == 'a': found \"a\"
no         x.n > 1: found 1
no       all of
no         x.sku == 'a': found \"b\"
no         x.n > 1: nothing is there; beside it are sku
";
    assert_eq!(explanation.to_string(), expected);
    assert_eq!(explanation.children()[1].path(), Some("payload.detials.amount"));
    assert_eq!(explanation.children()[0].found(), ["\"shop\""]);
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["children"][0]["matched"], true);
}

#[test]
fn explains_unset_fields_long_arrays_and_times() {
    let filter = Filter::parse(
        "user_id == 'u' || payload.x == 9 || payload.y == 1 || timestamp < '2020-01-01T00:00:00Z'",
    );
    let explanation = filter.unwrap().explain(&event(r#"{"payload":{"x":[1,2,3,4,5,6],"y":[]}}"#));
    let expected = "\
no   any of
no     user_id == 'u': found nothing, the field is not set
no     payload.x == 9: found 1, 2, 3, 4 and 2 more
no     payload.y == 1: found an array of 0
no     timestamp < timestamp('2020-01-01T00:00:00+00:00'): found \"2026-01-02T03:04:05+00:00\"
";
    assert_eq!(explanation.to_string(), expected);
}

#[test]
fn a_payload_that_cannot_be_json_matches_nothing_and_says_so() {
    let odd: std::collections::HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    let event = Event::builder("a.b")
        .id("1")
        .timestamp_text("2026-01-02T03:04:05Z")
        .typed(odd)
        .build()
        .unwrap();
    let filter = Filter::parse("payload.x == 1").unwrap();
    assert!(!filter.matches(&event));
    assert!(
        filter.explain(&event).reason().contains("cannot be written as JSON"),
        "{}",
        filter.explain(&event)
    );
}

#[test]
fn typed_payloads_match_as_their_json() {
    #[derive(serde::Serialize)]
    struct Placed {
        amount: u64,
        tags: Vec<&'static str>,
    }
    let event = Event::builder("order.placed")
        .id("1")
        .timestamp_text("2026-01-02T03:04:05Z")
        .typed(Placed { amount: 120, tags: vec!["new"] })
        .build()
        .unwrap();
    assert!(
        Filter::parse("payload.amount > 100 && payload.tags == 'new'").unwrap().matches(&event)
    );
}
