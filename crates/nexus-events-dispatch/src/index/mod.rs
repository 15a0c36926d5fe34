//! Finding what matches, faster than asking each pattern.

use std::collections::HashMap;

use nexus_events_model::{EventType, Pattern, PatternSegment};

use crate::sync::Arc;

/// Values under patterns; says which of them match an event type.
///
/// A trie over segments. It is a value: a clone is one pointer, and a change copies only the
/// nodes on its own path, so a reader keeps the version it has.
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
    root: Arc<Node<T>>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Node<T> {
    exact: HashMap<Box<str>, Arc<Node<T>>>,
    /// Behind `*`.
    one: Option<Arc<Node<T>>>,
    /// Behind `**`.
    many: Option<Arc<Node<T>>>,
    /// Of the patterns that end here.
    values: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), one: None, many: None, values: Vec::new() }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_none() && self.many.is_none() && self.values.is_empty()
    }

    fn visit<'a>(
        &'a self,
        rest: &mut (impl Iterator<Item = &'a str> + Clone),
        found: &mut impl FnMut(&'a T),
    ) {
        let Some(segment) = rest.next() else {
            self.values.iter().for_each(found);
            return;
        };
        if let Some(node) = self.exact.get(segment) {
            node.visit(&mut rest.clone(), found);
        }
        if let Some(node) = &self.one {
            node.visit(&mut rest.clone(), found);
        }
        if let Some(node) = &self.many {
            // A pattern has one `**`, so this loop never nests.
            loop {
                node.visit(&mut rest.clone(), found);
                if rest.next().is_none() {
                    break;
                }
            }
        }
    }
}

impl<T: Clone> Node<T> {
    fn insert(&mut self, segments: &[PatternSegment], value: T) {
        let Some((first, rest)) = segments.split_first() else {
            self.values.push(value);
            return;
        };
        let child = match first {
            PatternSegment::Exact(text) => self.exact.entry(text.as_str().into()).or_default(),
            PatternSegment::One => self.one.get_or_insert_default(),
            PatternSegment::Many => self.many.get_or_insert_default(),
        };
        Arc::make_mut(child).insert(rest, value);
    }

    fn remove(&mut self, segments: &[PatternSegment], same: &impl Fn(&T) -> bool) -> bool {
        let Some((first, rest)) = segments.split_first() else {
            let at = self.values.iter().position(same);
            return at.map(|at| self.values.remove(at)).is_some();
        };
        match first {
            PatternSegment::Exact(text) => {
                let Some(child) = self.exact.get_mut(text.as_str()) else { return false };
                let removed = Arc::make_mut(child).remove(rest, same);
                if child.is_empty() {
                    self.exact.remove(text.as_str());
                }
                removed
            }
            PatternSegment::One => Self::remove_below(&mut self.one, rest, same),
            PatternSegment::Many => Self::remove_below(&mut self.many, rest, same),
        }
    }

    fn remove_below(
        slot: &mut Option<Arc<Self>>,
        rest: &[PatternSegment],
        same: &impl Fn(&T) -> bool,
    ) -> bool {
        let Some(child) = slot else { return false };
        let removed = Arc::make_mut(child).remove(rest, same);
        if child.is_empty() {
            *slot = None;
        }
        removed
    }
}

impl<T> PatternIndex<T> {
    /// An index without values.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Arc::default(), len: 0 }
    }

    /// Calls `found` for each value whose pattern matches, in no particular order.
    pub fn for_each_match<'a>(&'a self, event_type: &'a EventType, mut found: impl FnMut(&'a T)) {
        self.root.visit(&mut event_type.segments(), &mut found);
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
        Arc::make_mut(&mut self.root).insert(pattern.segments(), value);
        self.len += 1;
    }

    /// Removes the first value under this pattern for which `same` holds; says whether there was
    /// one.
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
        let removed = Arc::make_mut(&mut self.root).remove(pattern.segments(), &same);
        self.len -= usize::from(removed);
        removed
    }
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self::new()
    }
}
