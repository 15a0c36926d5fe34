//! Generators for property tests.

use nexus_events_model::{Event, EventType, Pattern, Priority};
use proptest::prelude::*;
use serde_json::Value;

/// Event types of one to five segments out of few names, so that patterns meet them.
///
/// ```
/// use nexus_events_test::generate;
/// use proptest::prelude::*;
/// proptest!(|(event_type in generate::event_type())| {
///     prop_assert!(event_type.segments().count() <= 5);
/// });
/// ```
pub fn event_type() -> impl Strategy<Value = EventType> {
    let segment = prop::sample::select(vec!["order", "user", "created", "failed", "x"]);
    prop::collection::vec(segment, 1..=5)
        .prop_map(|segments| EventType::new(segments.join(".")).expect("valid segments"))
}

/// Patterns over the same names, with wildcards.
///
/// ```
/// use nexus_events_test::generate;
/// use proptest::prelude::*;
/// proptest!(|(pattern in generate::pattern())| prop_assert!(pattern.covers(&pattern)));
/// ```
pub fn pattern() -> impl Strategy<Value = Pattern> {
    let part =
        prop::sample::select(vec!["order", "user", "created", "failed", "x", "*", "*", "**"]);
    prop::collection::vec(part, 1..=5)
        .prop_filter_map("two **", |parts| Pattern::new(parts.join(".")).ok())
}

/// JSON values up to three levels deep.
///
/// ```
/// use nexus_events_test::generate;
/// use proptest::prelude::*;
/// proptest!(|(value in generate::value())| prop_assert_eq!(&value, &value.clone()));
/// ```
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-100_i64..100).prop_map(Value::from),
        (-100.0..100.0_f64).prop_map(Value::from),
        "[a-c]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Complete events.
///
/// ```
/// use nexus_events_model::Event;
/// use nexus_events_test::generate;
/// use proptest::prelude::*;
/// proptest!(|(event in generate::event())| {
///     prop_assert_eq!(Event::from_json(event.encoded().unwrap().as_str()).unwrap(), event);
/// });
/// ```
pub fn event() -> impl Strategy<Value = Event> {
    let ids = (
        prop::option::of("[a-c]{1,3}"),
        prop::option::of("[a-c]{1,3}"),
        prop::option::of("[a-c]{1,3}"),
    );
    (event_type(), value(), "[a-c]{0,3}", prop::sample::select(&Priority::ALL[..]), ids, 0_u32..9)
        .prop_map(
            |(event_type, payload, source, priority, (correlation, session, user), number)| {
                // `null` is read back as the empty payload, so it is none to begin with.
                let payload =
                    if payload.is_null() { Value::Object(serde_json::Map::new()) } else { payload };
                let mut event = Event::builder(event_type)
                    .id(format!("evt-{number}"))
                    .timestamp(crate::TestEventBus::START)
                    .payload(payload)
                    .source(source)
                    .priority(priority);
                if let Some(id) = correlation {
                    event = event.correlation_id(id);
                }
                if let Some(id) = session {
                    event = event.session_id(id);
                }
                if let Some(id) = user {
                    event = event.user_id(id);
                }
                event.build().expect("every part is valid")
            },
        )
}
