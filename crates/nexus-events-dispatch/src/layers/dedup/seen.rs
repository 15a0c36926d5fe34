//! The keys seen lately, within a window of time and number.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nexus_events_model::{EventId, Text};

use crate::sync::{Arc, Instant, Mutex, watch};

/// What counts as the same event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(EventId),
    Text(Text),
}

/// Keys and what is known of them; `T` is what the first event left.
pub(super) struct Seen<T> {
    keys: Mutex<Keys<T>>,
    window: Duration,
    keys_max: usize,
}

struct Keys<T> {
    states: HashMap<Key, State<T>>,
    /// Those that are done, in the order in which they were, and until when they count.
    done: VecDeque<(Key, Option<Instant>)>,
}

enum State<T> {
    /// Closed when the first one is over.
    Running(watch::Receiver<()>),
    Done(T),
}

/// What is known of a key.
pub(super) enum Known<T> {
    /// Nothing: the caller is the first.
    New(First<T>),
    /// The first is on its way; this is closed when it is over.
    Running(watch::Receiver<()>),
    /// The first succeeded, and left this.
    Done(T),
}

/// The first event of a key, until it is over. Dropped without [`succeeded`](Self::succeeded), the
/// key is free again.
pub(super) struct First<T> {
    seen: Arc<Seen<T>>,
    key: Key,
    _running: watch::Sender<()>,
    succeeded: bool,
}

impl<T: Clone> Seen<T> {
    pub(super) fn new(window: Duration, keys_max: usize) -> Arc<Self> {
        let keys = Keys { states: HashMap::new(), done: VecDeque::new() };
        Arc::new(Self { keys: Mutex::new(keys), window, keys_max })
    }

    pub(super) fn look(self: &Arc<Self>, key: Key) -> Known<T> {
        let mut keys = self.keys.lock();
        keys.forget_until(Instant::now());
        match keys.states.get(&key) {
            Some(State::Done(left)) => return Known::Done(left.clone()),
            Some(State::Running(over)) => return Known::Running(over.clone()),
            None => {}
        }
        let (running, over) = watch::channel(());
        keys.states.insert(key.clone(), State::Running(over));
        drop(keys);
        Known::New(First { seen: self.clone(), key, _running: running, succeeded: false })
    }

    pub(super) fn len(&self) -> usize {
        let mut keys = self.keys.lock();
        keys.forget_until(Instant::now());
        keys.done.len()
    }
}

impl<T> Keys<T> {
    /// Each key is forgotten once, so this costs as much as remembering them did.
    fn forget_until(&mut self, now: Instant) {
        while let Some((_, Some(until))) = self.done.front()
            && *until <= now
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((key, _)) = self.done.pop_front() {
            self.states.remove(&key);
        }
    }
}

impl<T> First<T> {
    /// Marks the key.
    pub(super) fn succeeded(mut self, left: T) {
        self.succeeded = true;
        let until = Instant::now().checked_add(self.seen.window);
        let mut keys = self.seen.keys.lock();
        while keys.done.len() >= self.seen.keys_max {
            keys.forget_oldest();
        }
        keys.states.insert(self.key.clone(), State::Done(left));
        keys.done.push_back((self.key.clone(), until));
    }
}

impl<T> Drop for First<T> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.seen.keys.lock().states.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn mark(seen: &Arc<Seen<u32>>, key: &str, left: u32) {
        match seen.look(Key::Text(key.into())) {
            Known::New(first) => first.succeeded(left),
            _ => panic!("{key} is known"),
        }
    }

    #[track_caller]
    fn check(seen: &Arc<Seen<u32>>, key: &str, expected: Option<u32>) {
        let left = match seen.look(Key::Text(key.into())) {
            Known::Done(left) => Some(left),
            _ => None,
        };
        assert_eq!(left, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_counts_for_the_window() {
        let seen = Seen::new(WINDOW, 10);
        mark(&seen, "a", 1);
        tokio::time::advance(WINDOW / 2).await;
        mark(&seen, "b", 2);
        tokio::time::advance(WINDOW / 2 - Duration::from_millis(1)).await;
        check(&seen, "a", Some(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        check(&seen, "a", None);
        check(&seen, "b", Some(2));
    }

    #[test]
    fn the_oldest_key_makes_room() {
        let seen = Seen::new(WINDOW, 1_000);
        (0..2_500).for_each(|number| mark(&seen, &number.to_string(), number));
        assert_eq!(seen.len(), 1_000);
        check(&seen, "1499", None);
        check(&seen, "1500", Some(1_500));
        let keys = seen.keys.lock();
        assert_eq!(keys.states.len(), 1_000);
    }

    #[tokio::test]
    async fn who_waits_is_told_that_the_first_is_over() {
        let seen = Seen::<u32>::new(WINDOW, 10);
        let Known::New(first) = seen.look(Key::Text("a".into())) else { panic!("is known") };
        let Known::Running(mut over) = seen.look(Key::Text("a".into())) else {
            panic!("not known")
        };
        drop(first);
        assert!(over.changed().await.is_err());
        check(&seen, "a", None);
    }
}
