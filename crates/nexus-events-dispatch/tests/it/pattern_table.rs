//! The shared table of patterns: what it remembers is never out of date.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nexus_events_dispatch::{PatternTable, limits};
use nexus_events_model::{EventType, Pattern};
use parking_lot::Mutex;

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

#[test]
fn a_change_shows_at_once_in_what_was_remembered() {
    let table = PatternTable::new();
    let login = EventType::USER_LOGIN;
    for _ in 0..3 {
        assert_eq!(table.matches(&login).len(), 0);
    }
    table.insert(&pattern("user.*"), 1);
    table.insert(&pattern("user.login"), 2);
    for _ in 0..3 {
        let mut found = table.matches(&login).to_vec();
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
    }
    assert!(table.remove(&pattern("user.*"), |value| *value == 1));
    assert!(!table.remove(&pattern("user.*"), |value| *value == 1));
    assert_eq!(table.with_matches(&login, <[i32]>::to_vec), [2]);
    assert_eq!(table.len(), 1);
}

#[test]
fn what_was_removed_is_dropped_and_not_kept_by_the_memory() {
    let table = PatternTable::new();
    let value = Arc::new(());
    table.insert(&Pattern::all(), value.clone());
    assert_eq!(table.matches(&EventType::USER_LOGIN).len(), 1);
    assert!(table.remove(&Pattern::all(), |_| true));
    assert_eq!(Arc::strong_count(&value), 1);
}

/// Runs something once when it is cloned, which a reader does with what it finds.
struct Meddler(Arc<Mutex<Option<Meddling>>>);

type Meddling = Box<dyn FnOnce() + Send>;

impl Clone for Meddler {
    fn clone(&self) -> Self {
        let meddle = self.0.lock().take();
        meddle.into_iter().for_each(|meddle| meddle());
        Self(self.0.clone())
    }
}

#[test]
fn what_was_found_before_a_change_is_not_remembered_after_it() {
    let table = Arc::new(PatternTable::new());
    let meddler = Meddler(Arc::default());
    table.insert(&pattern("user.login"), Meddler(meddler.0.clone()));
    let changed = table.clone();
    *meddler.0.lock() = Some(Box::new(move || {
        assert!(changed.remove(&pattern("user.login"), |_| true));
    }));
    assert_eq!(table.matches(&EventType::USER_LOGIN).len(), 1);
    assert!(meddler.0.lock().is_none());
    assert_eq!(table.matches(&EventType::USER_LOGIN).len(), 0);
}

#[test]
fn more_event_types_than_are_remembered_are_found_all_the_same() {
    let table = PatternTable::new();
    table.insert(&pattern("a.*"), 1);
    for round in 0..2 {
        for number in 0..2 * limits::MATCHES_CACHED_MAX {
            let event_type = EventType::new(format!("a.n{number}")).unwrap();
            assert_eq!(table.matches(&event_type)[..], [1], "{round} {number}");
        }
    }
}

#[test]
fn readers_see_each_change_as_a_whole() {
    let table = Arc::new(PatternTable::new());
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (table, done) = (table.clone(), done.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let found = table.matches(&EventType::USER_LOGIN);
                assert!(found.is_empty() || found.len() == 2, "{found:?}");
            }
        })
    };
    for _ in 0..500 {
        table.change(|index| {
            index.insert(&pattern("user.*"), 1);
            index.insert(&pattern("user.login"), 2);
        });
        assert_eq!(table.matches(&EventType::USER_LOGIN).len(), 2);
        table.change(|index| {
            assert!(index.remove(&pattern("user.*"), |_| true));
            assert!(index.remove(&pattern("user.login"), |_| true));
        });
        assert!(table.matches(&EventType::USER_LOGIN).is_empty());
    }
    done.store(true, Ordering::Relaxed);
    reader.join().unwrap();
}
