//! The index against asking each pattern.

use nexus_events_dispatch::PatternIndex;
use nexus_events_model::{EventType, Pattern};
use proptest::prelude::*;

/// Few names, so that patterns meet.
fn segment() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn event_type() -> impl Strategy<Value = EventType> {
    prop::collection::vec(segment(), 1..6)
        .prop_map(|segments| EventType::new(segments.join(".")).unwrap())
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let part = prop_oneof![4 => segment(), 2 => Just("*".to_owned()), 1 => Just("**".to_owned())];
    prop::collection::vec(part, 1..6)
        .prop_filter_map("two **", |parts| Pattern::new(parts.join(".")).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn finds_what_the_patterns_themselves_find(
        patterns in prop::collection::vec((pattern(), any::<bool>()), 0..24),
        names in prop::collection::vec(event_type(), 1..8),
    ) {
        let mut index = PatternIndex::new();
        for (number, (pattern, _)) in patterns.iter().enumerate() {
            index.insert(pattern, number);
        }
        let all = index.clone();
        for (number, (pattern, removed)) in patterns.iter().enumerate() {
            if *removed {
                prop_assert!(index.remove(pattern, |value| *value == number));
                prop_assert!(!index.remove(pattern, |value| *value == number));
            }
        }
        for name in &names {
            for (index, keeps_removed) in [(&all, true), (&index, false)] {
                let mut found = Vec::new();
                index.for_each_match(name, |number| found.push(*number));
                found.sort_unstable();
                let expected: Vec<usize> = patterns.iter().enumerate()
                    .filter(|(_, (pattern, removed))| (keeps_removed || !removed) && pattern.matches(name))
                    .map(|(number, _)| number)
                    .collect();
                prop_assert_eq!(found, expected, "{}", name);
            }
        }
        prop_assert_eq!(index.len(), patterns.iter().filter(|(_, removed)| !removed).count());
    }
}
