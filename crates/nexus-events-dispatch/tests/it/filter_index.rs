//! The index of filters against asking each filter.

use nexus_events_dispatch::FilterIndex;
use nexus_events_model::{Event, Filter, Priority};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Few names and few values, so that filters and events meet often.
fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "0", "1"]).prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["", "a", "b", "ab", "aba", "é", "10", "high", "low", "a.b", "2026-01-02T03:04:05Z"])
        .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    select(vec![
        json!(0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(1.5),
        json!(2),
        json!(3),
        json!(10),
        json!(u64::MAX),
        json!(1e20),
    ])
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        4 => word().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(name(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn event()(
        payload in value(),
        metadata in prop::collection::btree_map(name(), value(), 0..3),
        cause in prop::option::of(scalar()),
        texts in vec(prop::option::of(word().prop_filter("ids are not empty", |text| !text.is_empty())), 6),
        priority in select(Priority::ALL.to_vec()),
        event_type in select(vec!["a", "a.b", "a.b.c", "b.b"]),
        time in select(vec!["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.5-05:00"]),
        retryable in any::<bool>(),
        retries in 0_u32..4,
    ) -> Event {
        let mut json = json!({
            "event_id": texts[0].clone().unwrap_or_else(|| "0190a5b2-0000-7000-8000-000000000001".to_owned()),
            "event_type": event_type, "payload": payload, "metadata": metadata, "timestamp": time,
            "priority": priority.as_str(), "retryable": retryable, "max_retries": retries, "retry_count": 1,
            "source": texts[1], "target": texts[2], "correlation_id": texts[3], "session_id": texts[4], "user_id": texts[5],
        });
        if let Some(cause) = cause {
            json["metadata"]["causation_id"] = cause;
        }
        Event::from_json(&json.to_string()).unwrap()
    }
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"))
}

fn steps(from: usize) -> impl Strategy<Value = String> {
    let step = prop_oneof![
        4 => name().prop_map(|name| format!("['{name}']")),
        1 => (0_usize..3).prop_map(|place| format!("[{place}]")),
    ];
    vec(step, from..3).prop_map(|steps| steps.concat())
}

/// What may stand at a path that is no time, no priority and no event type.
fn leaf() -> impl Strategy<Value = String> {
    let order = select(vec!["<", "<=", ">", ">="]);
    prop_oneof![
        5 => scalar().prop_map(|value| format!("@ == {}", quoted(&value))),
        1 => scalar().prop_map(|value| format!("@ != {}", quoted(&value))),
        4 => (order, number()).prop_map(|(order, number)| format!("@ {order} {number}")),
        3 => (number(), number()).prop_map(|(low, high)| format!("@ >= {low} && @ < {high}")),
        1 => word().prop_map(|word| format!("@ > '{word}'")),
        3 => (any::<bool>(), vec(scalar(), 1..5)).prop_map(|(within, values)| {
            let values: Vec<String> = values.iter().map(quoted).collect();
            format!("@ {} [{}]", if within { "in" } else { "not in" }, values.join(", "))
        }),
        2 => word().prop_map(|word| format!("@.startsWith('{word}')")),
        2 => word().prop_map(|word| format!("@.endsWith('{word}')")),
        1 => word().prop_map(|word| format!("@.lower().startsWith('{word}')")),
        1 => select(vec!["*", "a*", "*b", "a*a", "ab"]).prop_map(|shape| format!("@.like('{shape}')")),
        1 => Just("@.matches('^a')".to_owned()),
        1 => Just("has(@)".to_owned()),
        1 => Just("exists(@)".to_owned()),
        1 => scalar().prop_map(|value| format!("@ contains {}", quoted(&value))),
        1 => (0..3).prop_map(|size| format!("size(@) > {size}")),
        1 => Just("@ == timestamp('2026-01-02T03:04:05Z')".to_owned()),
        1 => Just("@ in [null, timestamp('2026-01-02T03:04:05Z')]".to_owned()),
        1 => Just("@ < timestamp('2026-01-03T03:04:05Z')".to_owned()),
    ]
}

fn special() -> impl Strategy<Value = String> {
    let order = || select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let priority = || select(vec!["low", "normal", "high", "critical"]);
    let time = || select(vec!["2026-01-02T03:04:05Z", "2026-01-02T03:04:06+00:00"]);
    prop_oneof![
        (order(), priority())
            .prop_map(|(order, priority)| format!("priority {order} '{priority}'")),
        (priority(), priority()).prop_map(|(a, b)| format!("priority in ['{a}', '{b}']")),
        Just("priority.startsWith('h')".to_owned()),
        (order(), time()).prop_map(|(order, time)| format!("timestamp {order} '{time}'")),
        Just("timestamp.startsWith('2026-01')".to_owned()),
        select(vec!["a.b", "b.b"]).prop_map(|name| format!("event_type == '{name}'")),
        select(vec!["a.*", "**", "*.b", "a.b"])
            .prop_map(|pattern| format!("event_type.matchesPattern('{pattern}')")),
    ]
}

/// A condition on the fields of an event, or of the element that the variable stands for.
fn condition(variable: &'static str, depth: u32) -> BoxedStrategy<String> {
    let scalars = select(vec![
        "event_id",
        "source",
        "target",
        "causation_id",
        "session_id",
        "retryable",
        "retry_count",
    ]);
    let path = if variable.is_empty() {
        prop_oneof![
            6 => (select(vec!["payload", "payload", "data", "metadata"]), steps(0)).prop_map(|(root, steps)| format!("{root}{steps}")),
            2 => scalars.prop_map(str::to_owned),
        ].boxed()
    } else {
        steps(0).prop_map(move |steps| format!("{variable}{steps}")).boxed()
    };
    let field =
        (path.clone(), leaf()).prop_map(|(path, leaf)| format!("({})", leaf.replace('@', &path)));
    let one = if variable.is_empty() {
        prop_oneof![5 => field, 1 => special()].boxed()
    } else {
        field.boxed()
    };
    if depth == 0 {
        return one;
    }
    let inner = match variable {
        "" => "x",
        "x" => "y",
        _ => "z",
    };
    let below = condition(variable, depth - 1);
    let each = (path, condition(inner, depth - 1))
        .prop_map(move |(path, node)| format!("{path}.exists({inner}, {node})"));
    prop_oneof![
        3 => one,
        4 => vec(below.clone(), 1..4).prop_map(|all| format!("({})", all.join(" && "))),
        2 => vec(below.clone(), 1..4).prop_map(|any| format!("({})", any.join(" || "))),
        1 => below.prop_map(|not| format!("!({not})")),
        2 => each,
        1 => Just("true".to_owned()),
        1 => Just("false".to_owned()),
    ]
    .boxed()
}

fn filter() -> impl Strategy<Value = Filter> {
    let outside = prop_oneof![
        scalar().prop_map(|value| json!({"payload": {"a": [value]}})),
        (scalar(), scalar()).prop_map(|(a, b)| json!({"payload": {"a": [a], "b": {"0": [b]}}})),
        (number(), number()).prop_map(
            |(low, high)| json!({"payload": {"a": [{"numeric": [">", low, "<=", high]}]}})
        ),
        Just(
            json!({"priority": ["high"], "timestamp": [{"prefix": "2026"}], "event_type": ["a.b"]})
        ),
        Just(json!({"nowhere": ["a"]})),
        any::<bool>().prop_map(|exists| json!({"session_id": [{"exists": exists}]})),
    ];
    prop_oneof![
        6 => condition("", 2).prop_map(|text| Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))),
        1 => outside.prop_map(|pattern| Filter::from_value_pattern(&pattern).unwrap()),
    ]
}

fn found(index: &FilterIndex<usize>, event: &Event) -> Vec<usize> {
    let mut found = Vec::new();
    index.for_each_match(event, |number| found.push(*number));
    found.sort_unstable();
    found
}

proptest! {
    // With 32 events each.
    #![proptest_config(ProptestConfig::with_cases(320))]

    #[test]
    fn finds_what_the_filters_themselves_find(
        filters in vec((filter(), any::<bool>()), 0..24),
        events in vec(event(), 32),
    ) {
        let mut index = FilterIndex::new();
        for (number, (filter, _)) in filters.iter().enumerate() {
            index.insert(filter, number);
        }
        let all = index.clone();
        for (number, (filter, removed)) in filters.iter().enumerate() {
            if *removed {
                prop_assert!(index.remove(filter, |value| *value == number), "{}", filter);
                prop_assert!(!index.remove(filter, |value| *value == number), "{}", filter);
            }
        }
        prop_assert_eq!(index.len(), filters.iter().filter(|(_, removed)| !removed).count());
        for event in &events {
            for (index, keeps_removed) in [(&all, true), (&index, false)] {
                let expected: Vec<usize> = filters.iter().enumerate()
                    .filter(|(_, (filter, removed))| (keeps_removed || !removed) && filter.matches(event))
                    .map(|(number, _)| number)
                    .collect();
                let found = found(index, event);
                let wrong: Vec<_> = filters.iter().enumerate().filter(|(number, _)| found.contains(number) != expected.contains(number)).collect();
                prop_assert_eq!(found, expected, "{:?} on {}", wrong, event.encoded().unwrap().as_str());
            }
        }
    }
}

fn event_of(payload: Value) -> Event {
    let event = Event::builder("a.b").id("1").timestamp_text("2026-01-02T03:04:05Z");
    event.source("shop").payload(payload).build().unwrap()
}

#[track_caller]
fn check(filter: &str, payload: Value, matches: bool) {
    let mut index = FilterIndex::new();
    index.insert(&Filter::parse(filter).unwrap(), 0);
    assert_eq!(found(&index, &event_of(payload)).len(), usize::from(matches), "{filter}");
}

#[test]
fn the_bounds_of_one_range_may_be_kept_by_two_elements() {
    check("payload.a > 3 && payload.a < 2", json!({"a": [1, 4]}), true);
    check("payload.a > 1 && payload.a < 5", json!({"a": [0, 10]}), true);
    check("payload.a.exists(x, x > 1 && x < 5)", json!({"a": [0, 10]}), false);
    check("payload.a.exists(x, x > 1 && x < 5)", json!({"a": [[0, 3], 10]}), true);
    check("payload.a.b > 3 && payload.a.b < 2", json!({"a": [{"b": 1}, {"b": 4}]}), true);
}

#[test]
fn numbers_in_a_path_mean_places_and_names() {
    check("payload.a[0] == 1", json!({"a": [1, 2]}), true);
    check("payload.a[0] == 1", json!({"a": {"0": 1}}), true);
    check("payload.a['0'] == 1", json!({"a": [{"0": 1}]}), true);
    check("payload.a.exists(x, x[0] == 1)", json!({"a": [{"0": 1}]}), true);
    check("payload.a.exists(x, x[0] == 1)", json!({"a": [1]}), false);
}

#[test]
fn a_value_is_told_once_however_often_it_is_met() {
    check("payload.a in [1, 2, 3]", json!({"a": [1, 2, 1]}), true);
    check(
        "payload.a == 1 || payload.b == 1 || source == 'shop'",
        json!({"a": [1, 1], "b": 1}),
        true,
    );
}

#[test]
fn filters_that_cannot_match_are_not_asked() {
    let mut index = FilterIndex::new();
    let texts = (0..10_000).map(|number| match number % 5 {
        0 => format!("payload.id == {number} && source == 'shop'"),
        1 => format!("payload.name in ['n{number}', 'm{number}']"),
        2 => format!("payload.path.startsWith('/p{number}/')"),
        3 => format!("payload.size > {number} && payload.size <= {}", number + 5),
        _ => format!("has(payload.f{number})"),
    });
    for (number, text) in texts.enumerate() {
        index.insert(&Filter::parse(&text).unwrap(), number);
    }
    let event = event_of(json!({"id": 5, "name": "m11", "path": "/p17/x", "size": 24, "f29": 1}));
    assert_eq!(found(&index, &event), [5, 11, 17, 23, 29]);
}
