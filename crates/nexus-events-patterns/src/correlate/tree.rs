//! Which event led to which.

use std::collections::{HashMap, HashSet};
use std::fmt;

use nexus_events_model::{Event, EventId};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

/// The events of a conversation, each below the one that led to it.
///
/// They are in the order in which one would tell them: a cause before what it led to, and what one
/// event led to in the order of time. An event whose cause is not among them stands at the left.
///
/// ```
/// use nexus_events_model::{Event, EventId};
/// use nexus_events_patterns::CausationTree;
/// use time::macros::datetime;
/// let first = Event::builder("order.created").id("a").timestamp(datetime!(2026-01-02 03:04 UTC)).build()?;
/// let then = Event::builder("order.paid").id("b").timestamp(datetime!(2026-01-02 03:05 UTC));
/// let then = then.caused_by(&first).build()?;
/// let tree = CausationTree::build([then, first]);
/// assert_eq!(tree.to_string(), "order.created a\n  order.paid b\n");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CausationTree {
    nodes: Vec<CausationNode>,
    pub(crate) truncated: bool,
}

/// One event of a [`CausationTree`].
#[derive(Debug, Clone)]
pub struct CausationNode {
    event: Event,
    depth: usize,
    cause: Option<usize>,
}

impl CausationNode {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// How many events stand above it.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Where in [`CausationTree::nodes`] its cause is, when that is known.
    #[must_use]
    pub fn cause(&self) -> Option<usize> {
        self.cause
    }
}

impl CausationTree {
    /// The tree of these events; of those with the same id the first counts. Events that are each
    /// other's cause, which no bus makes, are told from the earliest of them on.
    #[must_use]
    pub fn build(events: impl IntoIterator<Item = Event>) -> Self {
        let mut ids = HashSet::new();
        let mut events: Vec<Event> =
            events.into_iter().filter(|event| ids.insert(event.id().clone())).collect();
        events.sort_by(|a, b| (a.timestamp(), a.id()).cmp(&(b.timestamp(), b.id())));
        let places: HashMap<String, usize> =
            events.iter().enumerate().map(|(at, event)| (event.id().to_string(), at)).collect();
        let mut led_to = vec![Vec::new(); events.len()];
        let mut first = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let cause = event.causation_id().and_then(|id| places.get(&id.to_string()));
            match cause.filter(|cause| **cause != at) {
                Some(cause) => led_to[*cause].push(at),
                None => first.push(at),
            }
        }
        let mut walk = Walk { nodes: Vec::new(), seen: vec![false; events.len()] };
        first.iter().for_each(|at| walk.from(*at, &events, &led_to));
        // Whatever is left goes round in a circle.
        (0..events.len()).for_each(|at| walk.from(at, &events, &led_to));
        Self { nodes: walk.nodes, truncated: false }
    }

    /// The events, a cause before what it led to.
    #[must_use]
    pub fn nodes(&self) -> &[CausationNode] {
        &self.nodes
    }

    /// Where this event is, if it is there.
    #[must_use]
    pub fn find(&self, id: &EventId) -> Option<usize> {
        self.nodes.iter().position(|node| node.event.id() == id)
    }

    /// The events from the first one that is known to this one.
    #[must_use]
    pub fn path_to(&self, place: usize) -> Vec<&Event> {
        let cause = |node: &&CausationNode| node.cause.and_then(|cause| self.nodes.get(cause));
        let mut path: Vec<_> =
            std::iter::successors(self.nodes.get(place), cause).map(CausationNode::event).collect();
        path.reverse();
        path
    }

    /// Whether there were more events than a tree takes, or than were looked through.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

/// Trees may be as deep as they are large, so nothing here calls itself.
struct Walk {
    nodes: Vec<CausationNode>,
    seen: Vec<bool>,
}

impl Walk {
    fn from(&mut self, first: usize, events: &[Event], led_to: &[Vec<usize>]) {
        let mut next = vec![(first, 0, None)];
        while let Some((at, depth, cause)) = next.pop() {
            if std::mem::replace(&mut self.seen[at], true) {
                continue;
            }
            let place = self.nodes.len();
            self.nodes.push(CausationNode { event: events[at].clone(), depth, cause });
            next.extend(led_to[at].iter().rev().map(|at| (*at, depth + 1, Some(place))));
        }
    }
}

/// One line for each event: its type and id, as far to the right as events stand above it, to
/// 64 at most.
impl fmt::Display for CausationTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let (indent, event) = (2 * node.depth.min(64), &node.event);
            writeln!(f, "{:indent$}{} {}", "", event.event_type(), event.id())?;
        }
        if self.truncated {
            writeln!(f, "… and more")?;
        }
        Ok(())
    }
}

/// `{"truncated": .., "events": [{"id", "event_type", "source", "depth", "cause"}, ..]}`, in the
/// order of the nodes; `cause` is an id, and null where it is not known.
impl Serialize for CausationTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tree = serializer.serialize_struct("CausationTree", 2)?;
        tree.serialize_field("truncated", &self.truncated)?;
        tree.serialize_field("events", &Rows(&self.nodes))?;
        tree.end()
    }
}

struct Rows<'a>(&'a [CausationNode]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|node| Row(node, self.0)))
    }
}

struct Row<'a>(&'a CausationNode, &'a [CausationNode]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(node, all) = self;
        let cause = node.cause.and_then(|cause| all.get(cause)).map(|cause| cause.event.id());
        let mut row = serializer.serialize_map(Some(5))?;
        row.serialize_entry("id", node.event.id())?;
        row.serialize_entry("event_type", node.event.event_type())?;
        row.serialize_entry("source", node.event.source())?;
        row.serialize_entry("depth", &node.depth)?;
        row.serialize_entry("cause", &cause)?;
        row.end()
    }
}
