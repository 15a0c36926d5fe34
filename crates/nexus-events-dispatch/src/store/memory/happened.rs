//! Appends that happened under an idempotency key.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nexus_events_model::Text;
use time::OffsetDateTime;

use crate::store::append::Appended;

/// Remembers the last so many keys, each for so long.
pub(super) struct Happened {
    most: usize,
    window: Duration,
    answers: HashMap<Text, Appended>,
    /// The keys in the order they came.
    came: VecDeque<(OffsetDateTime, Text)>,
}

impl Happened {
    pub(super) fn new(most: usize, window: Duration) -> Self {
        Self { most, window, answers: HashMap::new(), came: VecDeque::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.answers.len() as u64
    }

    pub(super) fn answer(&self, key: Option<&Text>) -> Option<&Appended> {
        self.answers.get(key?)
    }

    pub(super) fn remember(&mut self, key: Text, answer: Appended) {
        self.came.push_back((answer.recorded, key.clone()));
        self.answers.insert(key, answer);
        if self.came.len() > self.most {
            self.forget_first();
        }
    }

    /// Forgets the keys that are too old.
    pub(super) fn forget(&mut self, now: OffsetDateTime) {
        while self.came.front().is_some_and(|(at, _)| now - *at > self.window) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.came.pop_front() {
            self.answers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Offset;

    const SECOND: Duration = Duration::from_secs(1);

    fn answer(after: Duration) -> Appended {
        Appended::new(Offset::new(1), Offset::new(1), 1, OffsetDateTime::UNIX_EPOCH + after)
    }

    fn is_known(happened: &Happened, key: &'static str) -> bool {
        happened.answer(Some(&Text::from_static(key))).is_some()
    }

    #[test]
    fn as_many_keys_are_remembered_as_promised() {
        let mut happened = Happened::new(2, SECOND);
        for key in ["a", "b"] {
            happened.remember(key.into(), answer(Duration::ZERO));
            happened.forget(OffsetDateTime::UNIX_EPOCH);
        }
        assert!(is_known(&happened, "a") && is_known(&happened, "b"));
        happened.remember("c".into(), answer(Duration::ZERO));
        assert!(!is_known(&happened, "a") && is_known(&happened, "b"));
        assert_eq!(happened.len(), 2);
    }

    #[test]
    fn a_key_is_remembered_to_the_end_of_its_window() {
        let mut happened = Happened::new(2, SECOND);
        happened.remember("a".into(), answer(Duration::ZERO));
        happened.forget(OffsetDateTime::UNIX_EPOCH + SECOND);
        assert!(is_known(&happened, "a"));
        happened.forget(OffsetDateTime::UNIX_EPOCH + SECOND * 2);
        assert!(!is_known(&happened, "a"));
    }
}
