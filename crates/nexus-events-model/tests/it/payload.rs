//! Payloads in every form.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_events_model::{ErrorKind, Payload};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Order {
    id: u32,
    items: Vec<String>,
}

fn order() -> Order {
    Order { id: 7, items: vec!["pen".into()] }
}

const ORDER: &str = r#"{"id":7,"items":["pen"]}"#;

#[test]
fn every_form_becomes_every_other() {
    for payload in [
        Payload::typed(order()),
        Payload::from_json(ORDER).unwrap(),
        Payload::from(serde_json::from_str::<serde_json::Value>(ORDER).unwrap()),
    ] {
        assert_eq!(payload.json().unwrap(), ORDER);
        assert_eq!(payload.value().unwrap(), &json!({"id": 7, "items": ["pen"]}));
        assert_eq!(*payload.decode::<Order>().unwrap(), order());
        assert_eq!(payload.get("id"), Some(&json!(7)));
        assert_eq!(payload.get("none"), None);
    }
    assert_eq!(Payload::typed(order()), Payload::from_json(ORDER).unwrap());
}

#[test]
fn a_typed_value_is_serialised_at_most_once() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            CALLS.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_u32(7)
        }
    }
    let payload = Payload::typed(Counted);
    for _ in 0..3 {
        assert_eq!((payload.json().unwrap(), payload.value().unwrap()), ("7", &json!(7)));
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}

#[test]
fn decoding_twice_gives_the_same_value() {
    let payload = Payload::from_json(ORDER).unwrap();
    assert!(Arc::ptr_eq(&payload.decode::<Order>().unwrap(), &payload.decode::<Order>().unwrap()));
    // Another type still decodes.
    assert_eq!(payload.decode::<serde_json::Value>().unwrap()["id"], 7);
}

#[test]
fn json_text_is_kept_to_the_letter() {
    let text = r#"{"b" : 1.50, "a": 12345678901234567890123, "b2":1e2}"#;
    assert_eq!(Payload::from_json(text).unwrap().json().unwrap(), text);
}

#[test]
fn mistakes_are_typed() {
    let error = Payload::from_json("{\"a\":\n}").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    assert!(error.to_string().contains("line 2"), "{error}");
    let error =
        Payload::from_json(r#"{"id":"seven","items":[]}"#).unwrap().decode::<Order>().unwrap_err();
    assert!(
        error.to_string().contains("payload is not a ") && error.to_string().contains("Order"),
        "{error}"
    );
    for unreadable in [r#"{"n":1e999}"#, r#"{"n":"\ud800"}"#, &format!("1{}", "0".repeat(400))] {
        let error = Payload::from_json(unreadable).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPayload);
        assert!(error.to_string().contains("line 1 column"), "{error}");
    }
    for readable in [r#"{"n":1e30}"#, r#"{"n":"\u00e9 \ud83d\ude00"}"#, r#""5 eggs, 7e""#] {
        assert!(Payload::from_json(readable).unwrap().value().is_ok());
    }
}
