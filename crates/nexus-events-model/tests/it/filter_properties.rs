//! Random filters on random events: against the oracle, read again from their text, and garbage.

use nexus_events_model::{Event, Filter, Priority};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::filter_oracle::{Ask, Leaf, Step, judge, seen, text};

/// Few names and few values, so that filters and events meet often.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c.d", "0", "é"]).prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "a",
        "b",
        "ab",
        "aba",
        "Ab",
        "AÉ",
        "aé",
        "10",
        "true",
        "high",
        "low",
        "s1",
        "a.b",
        "a.b.c",
        "10.1.2.3",
        "2001:db8::1",
        "it's \\ \"",
        "2026-01-02T03:04:05Z",
    ])
    .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(1.5),
        json!(301.8),
        json!(3.018e2),
        json!(10),
        json!(3),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(18_446_744_073_709_551_616.0),
        json!(1e20),
    ])
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        5 => word().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
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
        priority in prop::sample::select(Priority::ALL.to_vec()),
        event_type in prop::sample::select(vec!["a", "a.b", "a.b.c", "b.b"]),
        time in prop::sample::select(vec!["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.5-05:00"]),
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

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![4 => name().prop_map(Step::Key), 1 => (0_usize..3).prop_map(Step::Index)], 0..3)
}

/// A path from an event: deep only where an event is deep.
fn path() -> impl Strategy<Value = Vec<Step>> {
    let root = |name: &str| vec![Step::Key(name.to_owned())];
    let scalars = vec![
        "event_id",
        "source",
        "target",
        "correlation_id",
        "causation_id",
        "session_id",
        "user_id",
        "channel",
        "retryable",
        "max_retries",
        "retry_count",
    ];
    prop_oneof![
        5 => (prop::sample::select(vec!["payload", "payload", "data", "metadata"]), steps())
            .prop_map(move |(name, steps)| [root(name), steps].concat()),
        2 => prop::sample::select(scalars).prop_map(root),
    ]
}

const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

fn compared(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Leaf> {
    (prop::sample::select(OPERATORS.to_vec()), value).prop_map(|(operator, value)| match value {
        Value::Null | Value::Bool(_) if !matches!(operator, "==" | "!=") => Leaf::Is("==", value),
        value => Leaf::Is(operator, value),
    })
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        1 => Just(Leaf::Has),
        1 => Just(Leaf::Exists),
        6 => compared(scalar()),
        3 => (any::<bool>(), vec(scalar(), 1..12)).prop_map(|(one_of, values)| Leaf::In(one_of, values)),
        1 => (word(), any::<bool>()).prop_map(|(text, any)| Leaf::Starts(text, any)),
        1 => (word(), any::<bool>()).prop_map(|(text, any)| Leaf::Ends(text, any)),
        1 => word().prop_map(Leaf::EqualsIgnoringCase),
        1 => (prop::sample::select(vec!["*", "a*", "*b", "*b*", "a*a", "a", "É*", "*é"]), any::<bool>())
            .prop_map(|(shape, any)| Leaf::Like(shape.to_owned(), any)),
        1 => prop::sample::select(vec!["^a", "b$", r"\d+", "", "(?i)AB"]).prop_map(Leaf::Regex),
        1 => prop::sample::select(vec!["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "2001:db8::/32", "::/0"]).prop_map(Leaf::Cidr),
        1 => prop::sample::select(vec!["a.*", "**", "*.b", "a"]).prop_map(Leaf::Pattern),
        2 => scalar().prop_map(Leaf::Contains),
        2 => (prop::sample::select(OPERATORS.to_vec()), 0_u64..4).prop_map(|(operator, size)| Leaf::Size(operator, size)),
    ]
}

/// The fields of the envelope with a meaning of their own take only values that they can have.
fn special() -> impl Strategy<Value = Ask> {
    let root = |name: &str, leaf: Leaf| Ask::Leaf(vec![Step::Key(name.to_owned())], leaf);
    let priority =
        || prop::sample::select(vec!["low", "normal", "high", "critical"]).prop_map(Value::from);
    let time = || {
        prop::sample::select(vec![
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:06+00:00",
            "2026-01-02T04:04:05+01:00",
        ])
        .prop_map(Value::from)
    };
    let event_type = || prop::sample::select(vec!["a", "a.b", "b.b"]).prop_map(Value::from);
    prop_oneof![
        compared(priority()).prop_map(move |leaf| root("priority", leaf)),
        (any::<bool>(), vec(priority(), 1..4))
            .prop_map(move |(one_of, values)| root("priority", Leaf::In(one_of, values))),
        compared(time()).prop_map(move |leaf| root("timestamp", leaf)),
        compared(event_type()).prop_map(move |leaf| root("event_type", leaf)),
        prop::sample::select(vec!["a.*", "**", "*.b"])
            .prop_map(move |pattern| root("event_type", Leaf::Pattern(pattern))),
    ]
}

/// Filters whose paths start at an element (`inner`) or at an event.
fn ask(inner: bool, depth: u32) -> BoxedStrategy<Ask> {
    let path = if inner { steps().boxed() } else { path().boxed() };
    let one = (path.clone(), leaf()).prop_map(|(steps, leaf)| Ask::Leaf(steps, leaf));
    let one = if inner { one.boxed() } else { prop_oneof![4 => one, 1 => special()].boxed() };
    if depth == 0 {
        return one;
    }
    let many = vec(ask(inner, depth - 1), 0..4);
    prop_oneof![
        3 => one,
        2 => many.clone().prop_map(Ask::All),
        2 => many.prop_map(Ask::Any),
        1 => ask(inner, depth - 1).prop_map(|ask| Ask::Not(ask.into())),
        2 => (path, ask(true, depth - 1)).prop_map(|(steps, ask)| Ask::Each(steps, ask.into())),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn filters_agree_with_the_oracle(ask in ask(false, 3), event in event()) {
        let text = text(&ask, 0);
        let filter = Filter::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let (json, unset) = seen(&event);
        let expected = judge(&ask, &json, &unset);
        prop_assert_eq!(filter.matches(&event), expected, "{} on {}", text, json);
        prop_assert_eq!(filter.explain(&event).matched(), expected);

        let again = Filter::parse(&filter.to_string()).map_err(|error| TestCaseError::fail(format!("{filter}: {error}")))?;
        prop_assert_eq!(again.matches(&event), expected, "{} read again as {}", text, again);
        prop_assert_eq!(&again, &filter);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,80}") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(error.position().is_none_or(|at| at <= text.len() && text.is_char_boundary(at)), "{}", error);
        }
    }

    #[test]
    fn text_that_is_almost_a_filter_is_parsed_or_refused(words in vec(prop::sample::select(WORDS.to_vec()), 0..14)) {
        let text = words.concat();
        match Filter::parse(&text) {
            Ok(filter) => prop_assert_eq!(&Filter::parse(&filter.to_string()).unwrap(), &filter),
            Err(error) => {
                let inside = error.position().is_none_or(|at| at <= text.len() && text.is_char_boundary(at));
                prop_assert!(inside, "{}: {}", text, error);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn patterns_read_again_from_their_text_match_alike(pattern in pattern_json(3), event in event()) {
        let pattern = json!({"payload": pattern});
        let filter = Filter::from_event_pattern(&pattern).map_err(|error| TestCaseError::fail(format!("{pattern}: {error}")))?;
        let matched = filter.matches(&event);
        prop_assert_eq!(filter.explain(&event).matched(), matched, "{}", pattern);
        prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap().matches(&event), matched, "{}", filter);
        let outside = Filter::from_value_pattern(&pattern).unwrap();
        prop_assert_eq!(outside.matches_value(&json!({"payload": event.payload().value().unwrap()})), matched, "{}", pattern);
    }

    #[test]
    fn any_json_is_parsed_or_refused(value in value(), event in event()) {
        for filter in [Filter::from_event_pattern(&json!({"payload": value})), Filter::from_value_pattern(&value)].into_iter().flatten() {
            prop_assert_eq!(filter.explain(&event).matched(), filter.matches(&event));
        }
    }
}

/// A list of alternatives, as the EventBridge-style form has them.
fn alternatives() -> impl Strategy<Value = Value> {
    let texts = || vec(word(), 1..3);
    let operators = prop_oneof![
        word().prop_map(|text| json!({"prefix": text})),
        word().prop_map(|text| json!({"suffix": text, "ignore_case": true})),
        word().prop_map(|text| json!({"equals-ignore-case": text})),
        any::<bool>().prop_map(|exists| json!({"exists": exists})),
        scalar().prop_map(|but| json!({"anything-but": but})),
        texts().prop_map(|texts| json!({"anything-but": texts})),
        texts().prop_map(|texts| json!({"anything-but": {"prefix": texts}})),
        number().prop_map(|number| json!({"numeric": [">", number]})),
        (number(), number()).prop_map(|(low, high)| json!({"numeric": [">=", low, "<", high]})),
        (word(), word())
            .prop_map(|(start, end)| json!({"all_of": [{"prefix": start}, {"suffix": end}]})),
        (0_u32..3).prop_map(|size| json!({"size": {"<=": size}})),
    ];
    vec(prop_oneof![scalar().boxed(), operators.boxed()], 1..4).prop_map(Value::from)
}

fn pattern_json(depth: u32) -> BoxedStrategy<Value> {
    let below = if depth == 0 {
        alternatives().boxed()
    } else {
        prop_oneof![2 => alternatives().boxed(), 2 => pattern_json(depth - 1)].boxed()
    };
    let fields = prop::collection::btree_map(name(), below, 1..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        .boxed();
    if depth == 0 {
        return fields;
    }
    let (either, not) = (vec(pattern_json(depth - 1), 1..3), pattern_json(depth - 1));
    prop_oneof![
        6 => fields.clone(),
        1 => (fields.clone(), either).prop_map(|(mut fields, either)| {
            fields["$or"] = Value::from(either);
            fields
        }),
        1 => (fields, not).prop_map(|(mut fields, not)| {
            fields["$not"] = not;
            fields
        }),
    ]
    .boxed()
}

const WORDS: [&str; 44] = [
    "payload",
    "source",
    "timestamp",
    "x",
    ".",
    "a",
    "[",
    "]",
    "(",
    ")",
    "==",
    "!=",
    "<",
    ">=",
    " in ",
    " not in ",
    " contains ",
    "&&",
    "||",
    "!",
    "'a'",
    "\"b\"",
    "'",
    "\\",
    "r'",
    "1",
    "-",
    "1.5",
    "e3",
    "true",
    "null",
    ",",
    " ",
    "has(",
    "exists(",
    "size(",
    ".exists(x, x",
    ".lower()",
    ".startsWith('a')",
    ".matches('[')",
    ".like('*')",
    ".all(x, ",
    "`",
    "é",
];
