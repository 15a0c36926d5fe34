//! What is over a bound or makes no sense is refused with a typed error, quickly and without a panic.

use nexus_events_model::{ErrorKind, Filter, UnknownFields, limits};
use serde_json::{Value, json};

fn check_too_large(filter: nexus_events_model::Result<Filter>, says: &str) {
    let error = filter.expect_err(says);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn deep_text() {
    check_too_large(Filter::parse(&"(".repeat(10_000)), "deep");
    check_too_large(Filter::parse(&"!".repeat(10_000)), "deep");
    check_too_large(
        Filter::parse(&format!("{}source == 'a'{}", "(".repeat(8_000), ")".repeat(8_000))),
        "deep",
    );
    let nested = (0..100).fold("x == 1".to_owned(), |inner, _| format!("x.exists(x, {inner})"));
    check_too_large(Filter::parse(&format!("payload.exists(x, {nested})")), "deep");
    let within = format!("{}source == 'a'{}", "(".repeat(60), ")".repeat(60));
    assert!(Filter::parse(&within).is_ok(), "parentheses cost no nodes");
}

#[test]
fn long_text() {
    let long = format!("source == '{}'", "a".repeat(limits::FILTER_TEXT_BYTES_MAX));
    check_too_large(Filter::parse(&long), "16384");
    let many = vec!["has(target)"; limits::FILTER_NODES_MAX + 1].join(" && ");
    check_too_large(Filter::parse(&many), "nodes");
}

fn nested(key: &str, start: Value, depth: usize) -> Value {
    (0..depth)
        .fold(start, |inner, _| Value::Object([(key.to_owned(), inner)].into_iter().collect()))
}

#[test]
fn deep_and_huge_json() {
    check_too_large(Filter::from_value_pattern(&nested("x", json!([1]), 1_000)), "deep");
    let all_of = (0..100).fold(json!("a"), |inner, _| json!({"all_of": [inner]}));
    check_too_large(Filter::from_event_pattern(&json!({"source": [all_of]})), "deep");
    let not = nested("$not", json!({"source": ["a"]}), 1_000);
    check_too_large(Filter::from_event_pattern(&not), "deep");
    let but = nested("anything-but", json!("a"), 1_000);
    check_too_large(Filter::from_event_pattern(&json!({"source": [but]})), "deep");
    let list: Vec<usize> = (0..=limits::FILTER_LIST_MAX).collect();
    check_too_large(Filter::from_event_pattern(&json!({"payload": {"x": list}})), "1024");
    let longest: Vec<usize> = (0..limits::FILTER_LIST_MAX).collect();
    let filter = Filter::from_value_pattern(&json!({"x": longest})).unwrap();
    assert!(
        filter.matches_value(&json!({"x": 1_023})) && !filter.matches_value(&json!({"x": 1_024}))
    );
    let fields: serde_json::Map<String, Value> =
        (0..2_000).map(|i| (format!("payload.f{i}"), json!(i))).collect();
    check_too_large(Filter::from_fields(&fields, UnknownFields::Reject), "nodes");
}

#[test]
fn regexes_are_bounded_in_length_number_and_compiled_size() {
    let long = format!("source.matches('{}')", "a".repeat(limits::REGEX_BYTES_MAX + 1));
    assert!(Filter::parse(&long).unwrap_err().to_string().contains("1024"));
    let nested = format!("source.matches('{}a{}')", "(".repeat(200), ")".repeat(200));
    assert!(Filter::parse(&nested).is_err());
    let huge = Filter::parse(r"source.matches(r'(\w{200}){200}')").unwrap_err();
    assert!(huge.to_string().contains("compiles to more than"), "{huge}");
    let many = vec!["source.matches('a')"; limits::FILTER_REGEXES_MAX + 1].join(" || ");
    check_too_large(Filter::parse(&many), "regexes");
    let half = ["source.matches('a')"; 10].join(" || ");
    check_too_large(Filter::parse(&half).unwrap().and(Filter::parse(&half).unwrap()), "regexes");
}

#[test]
fn combining_stays_within_the_bounds() {
    let mut filter = Filter::parse("source == 'a'").unwrap();
    let mut refused = None;
    for round in 0..100 {
        let other = Filter::parse("channel == 'b'").unwrap();
        let combined =
            if round % 2 == 0 { filter.clone().and(other) } else { filter.clone().or(other) };
        match combined {
            Ok(combined) => filter = combined,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert_eq!(refused.unwrap().kind(), ErrorKind::TooLarge);
    assert_eq!(filter.depth(), limits::FILTER_DEPTH_MAX);
    let twice = filter.clone().negated().unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::TooLarge);
    let shallow = Filter::parse("source == 'a'").unwrap();
    assert_eq!(shallow.clone().negated().unwrap().negated().unwrap(), shallow);
}

#[test]
fn an_array_deeper_than_json_text_can_nest_is_not_followed() {
    let deep = (0..1_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let filter = Filter::from_value_pattern(&json!({"x": [1]})).unwrap();
    assert!(!filter.matches_value(&nested("x", deep, 1)));
    assert!(filter.matches_value(&json!({"x": [[[[1]]]]})));
}

#[test]
fn an_explanation_is_bounded() {
    let items: Vec<Value> = (0..10_000).map(|i| json!({"n": i})).collect();
    let filter = Filter::parse("payload.items.exists(x, x.n == 1 && x.n == 2)").unwrap();
    let event = super::filter::event(&json!({"payload": {"items": items}}).to_string());
    let explanation = filter.explain(&event);
    let lines = explanation.to_string().lines().count();
    assert!(lines <= limits::EXPLANATION_NODES_MAX + 1, "{lines} lines");
    assert!(explanation.reason().contains("not shown"), "{}", explanation.reason());
}

#[test]
fn odd_text_is_refused_at_its_place() {
    for (text, at) in [
        ("\u{0}", 0),
        ("source == '\u{7f}", 10),
        ("source == 'é' && ü == 1", 18),
        (r"source == '\x'", 11),
        (r"source == '\xé'", 11),
        (r"source == '\uD83D\uDE00'", 11),
        (r"source == '\U00110000'", 11),
        (r"source == '\", 11),
        ("payload[", 8),
        ("payload[1.5] == 1", 8),
        ("payload[-1] == 1", 8),
        ("payload[x] == 1", 8),
        ("payload. == 1", 9),
        ("payload.`a == 1", 8),
        ("payload.x in [1 2]", 16),
        ("payload.x in 1", 13),
        ("payload.x not 1", 14),
        ("payload.x == --5", 13),
        ("payload.x == 01", 13),
        ("payload.x == 5z", 13),
        ("5", 1),
        ("5 == 5", 5),
        ("null", 4),
        ("has()", 4),
        ("has(5)", 4),
        ("size(payload.x)", 15),
        ("payload.x.lower() > 'a'", 18),
        ("payload.x.exists(true, true)", 17),
        ("payload.x.exists(x)", 18),
        ("timestamp('now') < timestamp", 10),
        ("source == 'a' ||", 16),
        ("&& source == 'a'", 0),
        ("source == 'a' source == 'b'", 14),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidFilter, "{text}");
        assert_eq!(error.position(), Some(at), "{text}: {error}");
    }
}
