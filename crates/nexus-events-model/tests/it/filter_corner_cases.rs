//! The corner cases whose answers are pinned, each by name.

use nexus_events_model::Filter;
use serde_json::{Value, json};

fn check(pattern: Value, event: Value, expected: bool) {
    let filter = Filter::from_value_pattern(&pattern).unwrap();
    assert_eq!(filter.matches_value(&event), expected, "{pattern} on {event}: {filter}");
}

#[test]
fn numbers_compare_exactly() {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    check(read(r#"{"x":[301.8]}"#), read(r#"{"x":3.018e2}"#), true);
    check(read(r#"{"x":[3.018e2]}"#), read(r#"{"x":301.8}"#), true);
    check(read(r#"{"x":[9007199254740993]}"#), read(r#"{"x":9007199254740992}"#), false);
    check(read(r#"{"x":[9007199254740993]}"#), read(r#"{"x":9007199254740993}"#), true);
    check(read(r#"{"x":[9007199254740993]}"#), read(r#"{"x":9007199254740992.0}"#), false);
    check(
        read(r#"{"x":[{"numeric":[">",9007199254740992]}]}"#),
        read(r#"{"x":9007199254740993}"#),
        true,
    );
    check(
        read(r#"{"x":[{"numeric":[">",9007199254740992.0]}]}"#),
        read(r#"{"x":9007199254740993}"#),
        true,
    );
    check(read(r#"{"x":[1]}"#), read(r#"{"x":1.0}"#), true);
    check(read(r#"{"x":[10]}"#), read(r#"{"x":1e1}"#), true);
    check(read(r#"{"x":[-0.0]}"#), read(r#"{"x":0}"#), true);
    check(read(r#"{"x":[18446744073709551615]}"#), read(r#"{"x":18446744073709551616}"#), false);
    check(read(r#"{"x":[-9223372036854775808]}"#), read(r#"{"x":-9223372036854775808}"#), true);
}

#[test]
fn a_numeric_rule_on_text_does_not_match() {
    check(json!({"x": [{"numeric": [">", 5]}]}), json!({"x": "10"}), false);
    check(json!({"x": [{"numeric": ["=", 10]}]}), json!({"x": "10"}), false);
    check(json!({"x": [10]}), json!({"x": "10"}), false);
    check(json!({"x": ["10"]}), json!({"x": 10}), false);
}

#[test]
fn true_and_the_text_true_differ() {
    check(json!({"x": [true]}), json!({"x": "true"}), false);
    check(json!({"x": ["true"]}), json!({"x": true}), false);
    check(json!({"x": [true]}), json!({"x": true}), true);
    check(json!({"x": [null]}), json!({"x": "null"}), false);
}

#[test]
fn exists_true() {
    let exists = || json!({"x": [{"exists": true}]});
    check(exists(), json!({"x": null}), true);
    check(exists(), json!({"x": 0}), true);
    check(exists(), json!({"x": ""}), true);
    check(exists(), json!({"x": [1]}), true);
    check(exists(), json!({"x": []}), false);
    check(exists(), json!({"x": {}}), false);
    check(exists(), json!({"x": {"y": 1}}), false);
    check(exists(), json!({}), false);
}

#[test]
fn exists_false() {
    let missing = || json!({"x": [{"exists": false}]});
    check(missing(), json!({}), true);
    check(missing(), json!({"x": []}), true);
    check(missing(), json!({"x": {}}), true);
    check(missing(), json!({"x": {"y": 1}}), true);
    check(missing(), json!({"x": null}), false);
    check(missing(), json!({"x": 1}), false);
}

#[test]
fn anything_but_on_a_missing_field_does_not_match() {
    check(json!({"x": [{"anything-but": "a"}]}), json!({}), false);
    check(json!({"x": [{"anything-but": ["a", "b"]}]}), json!({}), false);
    check(json!({"x": [{"anything-but": {"prefix": "a"}}]}), json!({}), false);
    check(json!({"x": [{"anything-but": "a"}]}), json!({"x": []}), false);
    check(json!({"x": [{"anything-but": "a"}]}), json!({"x": {}}), false);
}

#[test]
fn anything_but_numbers_on_text_matches() {
    check(json!({"x": [{"anything-but": [1, 2]}]}), json!({"x": "1"}), true);
    check(json!({"x": [{"anything-but": [1, 2]}]}), json!({"x": 1}), false);
    check(json!({"x": [{"anything-but": "a"}]}), json!({"x": null}), true);
}

#[test]
fn anything_but_on_an_array_needs_one_other_value() {
    check(json!({"x": [{"anything-but": "a"}]}), json!({"x": ["a", "b"]}), true);
    check(json!({"x": [{"anything-but": "a"}]}), json!({"x": ["a", "a"]}), false);
    check(json!({"x": [{"anything-but": ["a", "b"]}]}), json!({"x": ["a", "b"]}), false);
    check(json!({"x": [{"anything-but": {"suffix": "a"}}]}), json!({"x": ["aa", "ab"]}), true);
}

#[test]
fn two_fields_under_one_array_hold_in_the_same_element() {
    let both = || json!({"d": {"a": [1], "b": [2]}});
    check(both(), json!({"d": [{"a": 1, "b": 2}]}), true);
    check(both(), json!({"d": [{"a": 1}, {"b": 2}]}), false);
    check(both(), json!({"d": [{"a": 1, "b": 3}, {"a": 4, "b": 2}]}), false);
    check(both(), json!({"d": [[{"a": 0}], [{"a": 1, "b": 2}]]}), true);
    check(both(), json!({"d": {"a": 1, "b": 2}}), true);
    check(
        json!({"d": {"a": [1], "b": [{"exists": false}]}}),
        json!({"d": [{"a": 1, "b": 2}, {"a": 1}]}),
        true,
    );
    check(
        json!({"d": {"a": [1], "b": [{"exists": false}]}}),
        json!({"d": [{"a": 1, "b": 2}, {"a": 2}]}),
        false,
    );
}

/// A nested object with one field is a path: it exists nowhere, not merely in one element less.
#[test]
fn exists_false_alone_under_an_array_looks_at_all_elements() {
    let missing = || json!({"d": {"a": [{"exists": false}]}});
    check(missing(), json!({"d": [{"a": 1}, {"b": 1}]}), false);
    check(missing(), json!({"d": [{"b": 1}]}), true);
    check(missing(), json!({}), true);
}

#[test]
fn a_key_with_a_dot_is_not_nesting() {
    check(json!({"a.b": [1]}), json!({"a.b": 1}), true);
    check(json!({"a.b": [1]}), json!({"a": {"b": 1}}), false);
    check(json!({"a": {"b": [1]}}), json!({"a.b": 1}), false);
    check(json!({"a": {"b": [1]}}), json!({"a": {"b": 1}}), true);
    check(json!({"a/b": [1]}), json!({"a": {"b": 1}}), false);
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    let filter =
        Filter::from_value_pattern(&serde_json::from_str(r#"{"x":[1],"x":[2]}"#).unwrap()).unwrap();
    assert!(!filter.matches_value(&json!({"x": 1})));
    assert!(filter.matches_value(&json!({"x": 2})));
    let filter = Filter::from_value_pattern(&json!({"x": [2]})).unwrap();
    assert!(filter.matches_value(&serde_json::from_str(r#"{"x":1,"x":2}"#).unwrap()));
    assert!(!filter.matches_value(&serde_json::from_str(r#"{"x":2,"x":1}"#).unwrap()));
}

#[test]
fn an_empty_list_is_refused() {
    for pattern in [
        json!({"x": []}),
        json!({"a": {"b": []}}),
        json!({"x": [{"anything-but": []}]}),
        json!({"x": [{"anything-but": {"prefix": []}}]}),
        json!({"x": [{"numeric": []}]}),
        json!({"x": [{"all_of": []}]}),
        json!({"$or": []}),
    ] {
        let error = Filter::from_value_pattern(&pattern).unwrap_err();
        assert_eq!(
            error.kind(),
            nexus_events_model::ErrorKind::InvalidFilter,
            "{pattern}: {error}"
        );
    }
}

#[test]
fn all_of_holds_for_one_value() {
    let both =
        || json!({"x": [{"all_of": [{"prefix": "a"}, {"suffix": "z"}, {"anything-but": "a-z"}]}]});
    check(both(), json!({"x": "a to z"}), true);
    check(both(), json!({"x": "a-z"}), false);
    check(both(), json!({"x": ["a", "z"]}), false);
    check(both(), json!({"x": ["a", "az"]}), true);
}

/// The trigger defects of the seed, 5 to 8.
#[test]
fn seed_defects_stay_fixed() {
    let event = super::filter::event(r#"{"session_id":"s","payload":{"other":0}}"#);
    let missing_number = Filter::parse("payload.dep_delay < 1").unwrap();
    assert!(!missing_number.matches(&event), "a missing field is not 0");
    let missing_text = Filter::parse("payload.name.matches('.*')").unwrap();
    assert!(!missing_text.matches(&event), "a missing field is not empty text");
    assert!(
        super::filter::fields(r#"{"sesion_id":"s"}"#).is_err(),
        "an unknown key lets nothing through"
    );
    assert!(
        !super::filter::fields(r#"{"session_id":"t"}"#).unwrap().matches(&event),
        "session_id counts"
    );
    assert!(
        Filter::parse("payload.name.matches('[')").is_err(),
        "a regex is checked when it is registered"
    );
}
