//! The trie of the patterns with a wildcard.

use nexus_events_model::limits::EVENT_TYPE_SEGMENTS_MAX;
use nexus_events_model::{EventType, PatternSegment};

use crate::index::map::Map;
use crate::index::name::Name;
use crate::index::values::Values;
use crate::sync::Arc;

/// What follows one beginning of patterns.
///
/// Most patterns end in a wildcard (`a.*`, `a.**`), so their values lie in the node before it:
/// a node less to make, and a cache line less to read. What only longer patterns need is apart.
#[derive(Debug, Clone)]
pub(super) struct Node<T> {
    /// The segment that leads here; empty behind a wildcard.
    name: Name,
    /// Of the patterns that end here.
    ends: Values<T>,
    /// Of those that end with one more `*`.
    ends_one: Values<T>,
    /// Of those that end with `**` from here.
    ends_many: Values<T>,
    below: Option<Arc<Below<T>>>,
}

/// The nodes one segment further.
#[derive(Debug, Clone)]
struct Below<T> {
    exact: Map<Arc<Node<T>>>,
    /// Behind a `*` that is not the end.
    one: Option<Arc<Node<T>>>,
    /// Behind a `**` that is not the end.
    many: Option<Arc<Node<T>>>,
}

impl<T> Default for Below<T> {
    fn default() -> Self {
        Self { exact: Map::default(), one: None, many: None }
    }
}

/// One segment of an event type, hashed once for all nodes that are asked about it.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment<'a> {
    name: &'a str,
    hash: u64,
}

/// The segments of one event type, on the stack.
pub(super) struct Segments<'a> {
    list: [Segment<'a>; EVENT_TYPE_SEGMENTS_MAX],
    len: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn of(event_type: &'a EventType) -> Self {
        let mut segments = Self { list: Default::default(), len: 0 };
        for (slot, name) in segments.list.iter_mut().zip(event_type.segments()) {
            *slot = Segment { name, hash: segment_hash(name) };
            segments.len += 1;
        }
        segments
    }

    pub(super) fn list(&self) -> &[Segment<'a>] {
        &self.list[..self.len]
    }
}

/// FNV-1a, as the hash of an event type is.
fn segment_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl<T> Node<T> {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            ends: Values::None,
            ends_one: Values::None,
            ends_many: Values::None,
            below: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.below.is_none()
            && self.ends.is_empty()
            && self.ends_one.is_empty()
            && self.ends_many.is_empty()
    }

    pub(super) fn visit<'a>(&'a self, rest: &[Segment<'_>], found: &mut impl FnMut(&'a T)) {
        let [_, after @ ..] = rest else {
            self.ends.each(found);
            return;
        };
        if after.is_empty() {
            self.ends_one.each(found);
        }
        self.ends_many.each(found);
        if let Some(below) = &self.below {
            below.visit(rest, found);
        }
    }
}

impl<T> Below<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_none() && self.many.is_none()
    }

    fn visit<'a>(&'a self, rest: &[Segment<'_>], found: &mut impl FnMut(&'a T)) {
        let [first, after @ ..] = rest else { return };
        if let Some(node) = self.exact.get(first.hash, |node| node.name.is(first.name)) {
            node.visit(after, found);
        }
        if let Some(node) = &self.one {
            node.visit(after, found);
        }
        if let Some(node) = &self.many {
            // A pattern has one `**`, so this loop never nests.
            (1..rest.len()).for_each(|taken| node.visit(&rest[taken..], found));
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self::new("")
    }
}

impl<T> Node<T> {
    /// A value under this very pattern for which `same` holds.
    pub(super) fn find(
        &self,
        segments: &[PatternSegment],
        same: impl FnMut(&T) -> bool,
    ) -> Option<&T> {
        let (first, rest) = match segments {
            [] => return self.ends.find(same),
            [PatternSegment::One] => return self.ends_one.find(same),
            [PatternSegment::Many] => return self.ends_many.find(same),
            [first, rest @ ..] => (first, rest),
        };
        let below = self.below.as_ref()?;
        let node = match first {
            PatternSegment::One => below.one.as_ref(),
            PatternSegment::Many => below.many.as_ref(),
            PatternSegment::Exact(name) => {
                below.exact.get(segment_hash(name), |node| node.name.is(name))
            }
        };
        node?.find(rest, same)
    }
}

impl<T: Clone> Node<T> {
    pub(super) fn insert(&mut self, segments: &[PatternSegment], value: T) {
        match segments {
            [] => self.ends.push(value),
            [PatternSegment::One] => self.ends_one.push(value),
            [PatternSegment::Many] => self.ends_many.push(value),
            [first, rest @ ..] => {
                Arc::make_mut(self.below.get_or_insert_default()).insert(first, rest, value);
            }
        }
    }

    pub(super) fn remove(
        &mut self,
        segments: &[PatternSegment],
        same: &impl Fn(&T) -> bool,
    ) -> bool {
        let (first, rest) = match segments {
            [] => return self.ends.remove(same),
            [PatternSegment::One] => return self.ends_one.remove(same),
            [PatternSegment::Many] => return self.ends_many.remove(same),
            [first, rest @ ..] => (first, rest),
        };
        let Some(below) = &mut self.below else { return false };
        let removed = Arc::make_mut(below).remove(first, rest, same);
        if below.is_empty() {
            self.below = None;
        }
        removed
    }
}

impl<T: Clone> Below<T> {
    fn insert(&mut self, first: &PatternSegment, rest: &[PatternSegment], value: T) {
        let slot = match first {
            PatternSegment::One => &mut self.one,
            PatternSegment::Many => &mut self.many,
            PatternSegment::Exact(name) => {
                let is = |node: &Arc<Node<T>>| node.name.is(name);
                let new = || Arc::new(Node::new(name));
                let insert = |node: &mut Arc<Node<T>>| Arc::make_mut(node).insert(rest, value);
                self.exact.change(segment_hash(name), is, new, insert);
                return;
            }
        };
        Arc::make_mut(slot.get_or_insert_default()).insert(rest, value);
    }

    fn remove(
        &mut self,
        first: &PatternSegment,
        rest: &[PatternSegment],
        same: &impl Fn(&T) -> bool,
    ) -> bool {
        let slot = match first {
            PatternSegment::One => &mut self.one,
            PatternSegment::Many => &mut self.many,
            PatternSegment::Exact(name) => return self.remove_exact(name, rest, same),
        };
        let Some(node) = slot else { return false };
        let removed = Arc::make_mut(node).remove(rest, same);
        if node.is_empty() {
            *slot = None;
        }
        removed
    }

    fn remove_exact(
        &mut self,
        name: &str,
        rest: &[PatternSegment],
        same: &impl Fn(&T) -> bool,
    ) -> bool {
        let (hash, is) = (segment_hash(name), |node: &Arc<Node<T>>| node.name.is(name));
        let Some(node) = self.exact.get(hash, is) else { return false };
        let mut node = Node::clone(node);
        if !node.remove(rest, same) {
            return false;
        }
        if node.is_empty() {
            return self.exact.remove(hash, is).is_some();
        }
        let node = Arc::new(node);
        self.exact.change(hash, is, || node.clone(), |old| *old = node.clone()).is_some()
    }
}
