//! Patterns against an obvious oracle.

use nexus_events_model::{ErrorKind, EventType, Pattern};
use proptest::prelude::*;

/// Slow and obvious: tries every number of segments a `**` could stand for.
fn oracle(pattern: &[&str], name: &[&str]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((&"**", rest)) => (1..=name.len()).any(|taken| oracle(rest, &name[taken..])),
        Some((first, rest)) => {
            !name.is_empty() && (*first == "*" || *first == name[0]) && oracle(rest, &name[1..])
        }
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..7)
        .prop_map(|segments| segments.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "a", "b", "*", "*", "**"]);
    prop::collection::vec(part, 1..7)
        .prop_filter("at most one **", |parts| {
            parts.iter().filter(|part| **part == "**").count() <= 1
        })
        .prop_map(|parts| parts.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn matches_as_the_oracle(pattern in pattern(), name in name()) {
        let matched = Pattern::new(pattern.as_str()).unwrap().matches(&EventType::new(name.as_str()).unwrap());
        prop_assert_eq!(matched, oracle(&split(&pattern), &split(&name)), "{} on {}", pattern, name);
    }

    /// A covered pattern matches nothing more, and what is not covered has a witness.
    #[test]
    fn covers_exactly_when_no_type_tells_them_apart(outer in pattern(), inner in pattern()) {
        let covers = Pattern::new(outer.as_str()).unwrap().covers(&Pattern::new(inner.as_str()).unwrap());
        let witness = witnesses(&split(&inner)).into_iter().find(|name| !oracle(&split(&outer), &split(name)));
        prop_assert_eq!(covers, witness.is_none(), "{} covers {}: {:?}", outer, inner, witness);
    }

    #[test]
    fn parsing_never_panics_and_what_parses_prints_back(text in ".{0,80}") {
        if let Ok(pattern) = Pattern::new(text.as_str()) {
            prop_assert_eq!(Pattern::new(pattern.as_str()).unwrap(), pattern);
        }
        let _ = EventType::new(text.as_str());
    }
}

/// Types that a pattern matches, with `z`, which no pattern names, in place of every wildcard;
/// `**` stands for each number of segments up to the longest type there is.
fn witnesses(pattern: &[&str]) -> Vec<String> {
    let many = pattern.contains(&"**");
    let lengths = if many { 1..=17 - pattern.len() } else { 1..=1 };
    lengths
        .map(|length| {
            let fill = vec!["z"; length].join(".");
            let parts: Vec<&str> = pattern
                .iter()
                .map(|part| match *part {
                    "*" => "z",
                    "**" => fill.as_str(),
                    exact => exact,
                })
                .collect();
            parts.join(".")
        })
        .collect()
}

#[test]
fn wildcards_mean_what_the_table_says() {
    let check = |pattern: &str, yes: &[&str], no: &[&str]| {
        let pattern = Pattern::new(pattern).unwrap();
        for (names, expected) in [(yes, true), (no, false)] {
            for name in names {
                assert_eq!(
                    pattern.matches(&EventType::new(*name).unwrap()),
                    expected,
                    "{pattern} on {name}"
                );
            }
        }
    };
    check(
        "data.*",
        &["data.created", "data.request"],
        &["data", "data.user.created", "metadata.x"],
    );
    check("*.encrypted", &["order.encrypted"], &["encrypted", "a.b.encrypted"]);
    check(
        "user.activity.*",
        &["user.activity.page"],
        &["user.activity", "user.activity.page.view"],
    );
    check("**", &["a", "a.b.c.d"], &[]);
    check("*", &["a"], &["a.b"]);
    check("a.**", &["a.b", "a.b.c"], &["a", "b.a"]);
    check("**.z", &["a.z", "a.b.z"], &["z", "a.z.b"]);
    check("a.**.z", &["a.b.z", "a.b.c.z"], &["a.z", "a.b"]);
    check("a.>", &["a.b", "a.b.c"], &["a"]);
}

#[test]
fn the_alias_prints_as_two_stars() {
    assert_eq!(Pattern::new("user.>").unwrap().as_str(), "user.**");
    assert_eq!(Pattern::new("user.>").unwrap(), Pattern::new("user.**").unwrap());
}

#[test]
fn mistakes_name_the_place() {
    let check = |text: &str, position: usize, says: &str| {
        let error = Pattern::new(text).unwrap_err();
        assert_eq!(
            (error.kind(), error.position()),
            (ErrorKind::InvalidPattern, Some(position)),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    };
    check("", 0, "is empty");
    check("a..b", 2, "empty segment");
    check("a.b.", 4, "empty segment");
    check("**.a.**", 5, "second `**`");
    check("a.>.>", 4, "second `>`");
    check("a.us*r", 4, "a wildcard is a whole segment");
    check("a.b c", 3, "' '");
    check("ä.b", 0, "'ä'");
    check(&"a.".repeat(16), 32, "more than 16 segments");
    check(&"x".repeat(256), 255, "256 bytes");
}

#[test]
fn event_types_follow_their_rules() {
    for good in [
        "a",
        "A-z_9",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
        "repository_dispatch.on-demand-test",
        &"x".repeat(255),
    ] {
        assert_eq!(EventType::new(good).unwrap(), good);
    }
    let check = |text: &str, position: usize, says: &str| {
        let error = EventType::new(text).unwrap_err();
        assert_eq!(
            (error.kind(), error.position()),
            (ErrorKind::InvalidEventType, Some(position)),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    };
    check("", 0, "is empty");
    check("order created", 5, "' '");
    check(".a", 0, "empty segment");
    check("a.*", 2, "'*'");
    check("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", 32, "more than 16");
    check(&"y".repeat(256), 255, "256 bytes");
}
