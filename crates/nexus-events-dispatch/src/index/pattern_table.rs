//! A pattern index that many threads share, with what it found of late.

use std::fmt;

use nexus_events_model::{EventType, Pattern};

use crate::index::pattern_index::PatternIndex;
use crate::index::recent::Recent;
use crate::sync::{Arc, ArcSwap, AtomicUsize, Mutex, Ordering};

/// Values under patterns, shared by threads: readers take no lock and never wait, writers take
/// turns.
///
/// What matched an event type is remembered, for at most
/// [`MATCHES_CACHED_MAX`](crate::limits::MATCHES_CACHED_MAX) types, and forgotten as a whole when
/// the table changes.
///
/// ```
/// use nexus_events_dispatch::PatternTable;
/// use nexus_events_model::{EventType, Pattern};
///
/// let table = PatternTable::new();
/// table.insert(&Pattern::new("user.*")?, "audit");
/// assert_eq!(table.matches(&EventType::USER_LOGIN)[..], ["audit"]);
///
/// let count = table.with_matches(&EventType::USER_LOGIN, |found| found.len());
/// assert_eq!(count, 1);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
pub struct PatternTable<T> {
    current: ArcSwap<Snapshot<T>>,
    /// Held while a snapshot is built.
    writer: Mutex<()>,
    /// Look-ups that found nothing remembered.
    misses: AtomicUsize,
}

/// Where there is room no more, one look-up of so many is remembered. Event types that come up
/// again and again get in all the same; those that do not cost no copy.
const MISSES_PER_REPLACEMENT: usize = 16;

struct Snapshot<T> {
    /// Counts the changes, so that nothing found in an older index is remembered here.
    generation: u64,
    index: PatternIndex<T>,
    recent: Recent<T>,
}

impl<T> PatternTable<T> {
    /// A table without values.
    #[must_use]
    pub fn new() -> Self {
        let first =
            Snapshot { generation: 0, index: PatternIndex::new(), recent: Recent::default() };
        Self {
            current: ArcSwap::from_pointee(first),
            writer: Mutex::default(),
            misses: AtomicUsize::new(0),
        }
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.load().index.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone> PatternTable<T> {
    /// The values whose patterns match, in no particular order; as good as free when the event
    /// type was asked about since the last change.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> Arc<[T]> {
        let snapshot = self.current.load();
        match snapshot.recent.get(event_type) {
            Some(found) => found.clone(),
            None => self.find(&snapshot, event_type),
        }
    }

    /// As [`matches`](Self::matches), without a share in the list: several threads that ask for
    /// one event type do not write to the same place in memory. No lock is held in `read`.
    pub fn with_matches<R>(&self, event_type: &EventType, read: impl FnOnce(&[T]) -> R) -> R {
        let snapshot = self.current.load();
        match snapshot.recent.get(event_type) {
            Some(found) => read(found),
            None => read(&self.find(&snapshot, event_type)),
        }
    }

    /// The index as it is now; later changes do not show in it.
    ///
    /// ```
    /// # use nexus_events_dispatch::PatternTable;
    /// # use nexus_events_model::Pattern;
    /// let table = PatternTable::new();
    /// let before = table.index();
    /// table.insert(&Pattern::all(), 1);
    /// assert_eq!((before.len(), table.index().len()), (0, 1));
    /// ```
    #[must_use]
    pub fn index(&self) -> PatternIndex<T> {
        self.current.load().index.clone()
    }

    /// Adds a value under a pattern.
    pub fn insert(&self, pattern: &Pattern, value: T) {
        self.change(|index| index.insert(pattern, value));
    }

    /// Removes a value under this very pattern for which `same` holds; says whether there was one.
    ///
    /// ```
    /// # use nexus_events_dispatch::PatternTable;
    /// # use nexus_events_model::Pattern;
    /// let table = PatternTable::new();
    /// table.insert(&Pattern::all(), 1);
    /// assert!(table.remove(&Pattern::all(), |value| *value == 1));
    /// assert!(table.is_empty());
    /// ```
    pub fn remove(&self, pattern: &Pattern, same: impl Fn(&T) -> bool) -> bool {
        self.change(|index| index.remove(pattern, same))
    }

    /// Makes several changes at once: readers see all of them or none, and what was remembered is
    /// forgotten once. `change` runs under the writers' lock, so it must not change the table
    /// itself.
    ///
    /// ```
    /// # use nexus_events_dispatch::PatternTable;
    /// # use nexus_events_model::Pattern;
    /// let table = PatternTable::new();
    /// table.change(|index| (0..3).for_each(|number| index.insert(&Pattern::all(), number)));
    /// assert_eq!(table.len(), 3);
    /// ```
    pub fn change<R>(&self, change: impl FnOnce(&mut PatternIndex<T>) -> R) -> R {
        let lock = self.writer.lock();
        let old = self.current.load_full();
        let mut index = old.index.clone();
        let result = change(&mut index);
        let generation = old.generation + 1;
        self.current.store(Arc::new(Snapshot { generation, index, recent: Recent::default() }));
        // The values' own code may run when the old ones are dropped.
        drop(lock);
        drop(old);
        result
    }

    #[cold]
    fn find(&self, snapshot: &Snapshot<T>, event_type: &EventType) -> Arc<[T]> {
        let mut found = Vec::new();
        snapshot.index.for_each_match(event_type, |value| found.push(value.clone()));
        let found: Arc<[T]> = found.into();
        let misses = self.misses.fetch_add(1, Ordering::Relaxed);
        if misses.is_multiple_of(MISSES_PER_REPLACEMENT) || !snapshot.recent.is_full(event_type) {
            self.remember(snapshot.generation, event_type, &found);
        }
        found
    }

    /// Unless a writer is at work: a reader never waits, it asks again another time.
    fn remember(&self, generation: u64, event_type: &EventType, found: &Arc<[T]>) {
        let Some(lock) = self.writer.try_lock() else { return };
        let old = self.current.load_full();
        if old.generation == generation && old.recent.get(event_type).is_none() {
            let (index, recent) = (old.index.clone(), old.recent.with(event_type, found));
            self.current.store(Arc::new(Snapshot { generation, index, recent }));
        }
        drop(lock);
    }
}

impl<T> Default for PatternTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for PatternTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternTable").field("len", &self.len()).finish_non_exhaustive()
    }
}
