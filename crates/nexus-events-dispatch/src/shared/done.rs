//! Events that were handled and wait to be dropped.
//!
//! Whoever publishes drops one old event or two for each new one: memory that goes back where it
//! came from is reused at once, while freeing on one thread what another allocates costs as much
//! as all the rest of a publish. A lane that parks drops what is left.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nexus_events_model::Event;

use super::lane::BATCH;
use crate::limits::SHARED_LANE_EVENTS;

#[derive(Default)]
pub(super) struct Done(Vec<Event>);

impl Done {
    /// Takes over what was handled; gives back what is too much.
    pub(super) fn add(&mut self, events: &mut Vec<Event>) -> Vec<Event> {
        if self.0.len() + events.len() > SHARED_LANE_EVENTS {
            return std::mem::take(events);
        }
        if self.0.is_empty() {
            std::mem::swap(&mut self.0, events);
        } else {
            self.0.append(events);
        }
        Vec::new()
    }

    /// Some to be dropped by the caller: two, as long as there are many.
    pub(super) fn take_some(&mut self) -> [Option<Event>; 2] {
        if self.0.is_empty() || DROPPING.get() {
            return [None, None];
        }
        let first = self.0.pop();
        [first, if self.0.len() > BATCH { self.0.pop() } else { None }]
    }
}

impl IntoIterator for Done {
    type Item = Event;
    type IntoIter = std::vec::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

thread_local! {
    /// Whether this thread is in here: the drop of a payload may publish, and is not to drop the
    /// next one in turn.
    static DROPPING: Cell<bool> = const { Cell::new(false) };
}

/// Drops events. Their payloads are the program's own, and a drop that panics is not to be felt
/// by a publisher who happens to come by.
pub(super) fn let_go(events: impl IntoIterator<Item = impl Droppable>) {
    for event in events {
        event.let_go();
    }
}

/// An event, or perhaps none.
pub(super) trait Droppable {
    fn let_go(self);
}

impl Droppable for Event {
    fn let_go(self) {
        let before = DROPPING.replace(true);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self)));
        DROPPING.set(before);
        dropped.unwrap_or_else(std::mem::forget);
    }
}

impl Droppable for Option<Event> {
    fn let_go(self) {
        if let Some(event) = self {
            event.let_go();
        }
    }
}
