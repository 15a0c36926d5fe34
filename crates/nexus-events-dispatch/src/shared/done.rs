//! Events that were handled and wait to be dropped.
//!
//! Whoever publishes drops one old event or two for each new one: memory that goes back where it
//! came from is reused at once, while freeing on one thread what another allocates costs as much
//! as all the rest of a publish. A lane that parks drops what is left, and at once what might run code
//! of the program when it is dropped: that is not to happen on the stack, and under the locks, of
//! somebody else.

use nexus_events_model::Event;

use super::lane::BATCH;
use crate::limits::SHARED_LANE_EVENTS;
use crate::runtime::contained;

/// A bigger event is dropped by the lane: what waits to be dropped is about 4 MiB at most then.
pub(super) const RETURNED_BYTES_MAX: usize = 4 * 1024;

/// What one publish drops.
pub(crate) type Few = [Option<Event>; 2];

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
    pub(super) fn take_some(&mut self) -> Few {
        if self.0.is_empty() {
            return [None, None];
        }
        let first = self.0.pop();
        [first, if self.0.len() > BATCH { self.0.pop() } else { None }]
    }

    /// All of it.
    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.0)
    }
}

/// Drops what the program made: payloads, handlers. A drop that panics is not to be felt by whoever
/// happens to come by.
pub(crate) fn let_go<T>(what: T) {
    contained(|| drop(what));
}

/// The same one by one, so that a panic costs no other's drop.
pub(crate) fn let_all_go<T>(all: impl IntoIterator<Item = T>) {
    all.into_iter().for_each(let_go);
}
