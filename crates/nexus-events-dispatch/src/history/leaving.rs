//! Events that the history has pushed out and that wait for their publisher to drop them.
//!
//! What a thread allocates it frees itself, one with each publish: then the memory is at hand for
//! the next event, and no other thread writes the count of its payload. Nothing waits for a
//! publisher that is away, or where a drop may run code of the program.

use nexus_events_model::Event;

use super::stage::StageMax;

/// What each stage is to get back, by its number.
#[derive(Default)]
pub(super) struct Leaving(Vec<Returned>);

#[derive(Default)]
pub(super) struct Returned {
    events: Vec<Event>,
    bytes: usize,
}

impl Leaving {
    #[inline]
    pub(super) fn of(&mut self, stage: usize) -> &mut Returned {
        if stage >= self.0.len() {
            self.0.resize_with(stage + 1, Returned::default);
        }
        &mut self.0[stage]
    }
}

impl Returned {
    /// Keeps an event of so many bytes, up to twice of what a stage holds; gives back one that is
    /// to be dropped at once.
    #[inline]
    pub(super) fn add(&mut self, event: Event, bytes: usize, max: StageMax) -> Option<Event> {
        if self.events.len() >= 2 * max.events || self.bytes + bytes > 2 * max.bytes {
            return Some(event);
        }
        self.events.push(event);
        self.bytes += bytes;
        None
    }

    /// Gives all of it for an empty list.
    pub(super) fn swap(&mut self, empty: &mut Vec<Event>) {
        std::mem::swap(&mut self.events, empty);
        self.bytes = 0;
    }
}
