//! Many patterns, one event type.

use nexus_events_model::{EventType, Pattern};

use crate::index::map::Map;
use crate::index::name::Name;
use crate::index::node::{Node, Segments};
use crate::index::values::Values;
use crate::sync::Arc;

/// Values under patterns; says which of them match an event type.
///
/// It is a value: a clone is two pointers, and a change copies only the nodes on its own path, so
/// a reader keeps the version it has.
///
/// A pattern without wildcard is found by one look-up of the event type's own hash. The others
/// stand in a trie over their segments, so what a look-up costs depends on the segments of the
/// event type and hardly on the number of patterns.
///
/// ```
/// use nexus_events_dispatch::PatternIndex;
/// use nexus_events_model::{EventType, Pattern};
///
/// let mut index = PatternIndex::new();
/// index.insert(&Pattern::new("user.*")?, "audit");
/// index.insert(&Pattern::new("order.**")?, "billing");
///
/// let mut found = Vec::new();
/// index.for_each_match(&EventType::USER_LOGIN, |name| found.push(*name));
/// assert_eq!(found, ["audit"]);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PatternIndex<T> {
    exact: Map<Arc<Exact<T>>>,
    wild: Arc<Node<T>>,
    len: usize,
}

/// The values of the patterns that are this very event type.
#[derive(Debug, Clone)]
struct Exact<T> {
    name: Name,
    values: Values<T>,
}

impl<T> PatternIndex<T> {
    /// An index without values.
    #[must_use]
    pub fn new() -> Self {
        Self { exact: Map::default(), wild: Arc::default(), len: 0 }
    }

    /// Calls `found` for each value whose pattern matches, in no particular order.
    pub fn for_each_match<'a>(&'a self, event_type: &EventType, mut found: impl FnMut(&'a T)) {
        let is = |exact: &Arc<Exact<T>>| exact.name.is(event_type.as_str());
        if let Some(exact) = self.exact.get(event_type.name_hash(), is) {
            exact.values.each(&mut found);
        }
        if !self.wild.is_empty() {
            self.wild.visit(Segments::of(event_type).list(), &mut found);
        }
    }

    /// A value under this very pattern for which `same` holds.
    pub(super) fn find(&self, pattern: &Pattern, same: impl FnMut(&T) -> bool) -> Option<&T> {
        let Some(event_type) = pattern.as_event_type() else {
            return self.wild.find(pattern.segments(), same);
        };
        let is = |exact: &Arc<Exact<T>>| exact.name.is(event_type.as_str());
        self.exact.get(event_type.name_hash(), is)?.values.find(same)
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Clone> PatternIndex<T> {
    /// Adds a value under a pattern; the same one may stand there several times.
    pub fn insert(&mut self, pattern: &Pattern, value: T) {
        match pattern.as_event_type() {
            Some(event_type) => self.insert_exact(&event_type, value),
            None => Arc::make_mut(&mut self.wild).insert(pattern.segments(), value),
        }
        self.len += 1;
    }

    /// Removes a value under this very pattern for which `same` holds; says whether there was
    /// one. It asks each value of the pattern in turn.
    ///
    /// ```
    /// # use nexus_events_dispatch::PatternIndex;
    /// # use nexus_events_model::Pattern;
    /// let pattern = Pattern::new("user.*")?;
    /// let mut index = PatternIndex::new();
    /// index.insert(&pattern, 7);
    /// assert!(index.remove(&pattern, |value| *value == 7));
    /// assert!(index.is_empty());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn remove(&mut self, pattern: &Pattern, same: impl Fn(&T) -> bool) -> bool {
        let removed = match pattern.as_event_type() {
            Some(event_type) => self.remove_exact(&event_type, same),
            None => Arc::make_mut(&mut self.wild).remove(pattern.segments(), &same),
        };
        self.len -= usize::from(removed);
        removed
    }

    fn insert_exact(&mut self, event_type: &EventType, value: T) {
        let is = |exact: &Arc<Exact<T>>| exact.name.is(event_type.as_str());
        let new = || Arc::new(Exact { name: event_type.as_str().into(), values: Values::None });
        self.exact.change(event_type.name_hash(), is, new, |exact| {
            Arc::make_mut(exact).values.push(value);
        });
    }

    fn remove_exact(&mut self, event_type: &EventType, same: impl Fn(&T) -> bool) -> bool {
        let hash = event_type.name_hash();
        let is = |exact: &Arc<Exact<T>>| exact.name.is(event_type.as_str());
        let Some(exact) = self.exact.get(hash, is) else { return false };
        let mut values = exact.values.clone();
        let removed = values.remove(same);
        if !removed {
            return false;
        }
        if values.is_empty() {
            return self.exact.remove(hash, is).is_some();
        }
        let exact = Arc::new(Exact { name: event_type.as_str().into(), values });
        self.exact.change(hash, is, || exact.clone(), |old| *old = exact.clone()).is_some()
    }
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self::new()
    }
}
