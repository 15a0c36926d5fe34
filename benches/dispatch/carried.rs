//! The two events that peers carry which can carry any: ours, and the lean one.

use std::borrow::Borrow;
use std::sync::Arc;

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;

use crate::event::{Given, Lean, handle_lean, handle_ours, stamped};
use crate::sink::Sink;

/// Which event, and what is done with it.
pub(crate) trait Carried: Send + Sync + 'static {
    type Event: Send + Sync + 'static;
    /// The same as it goes to several tasks.
    type Shared: Borrow<Self::Event> + From<Self::Event> + Clone + Send + Sync + 'static;

    fn new() -> Self;
    fn make(&self, given: Given) -> Self::Event;
    /// On the producer's stack.
    fn handle(event: &Self::Event);
    /// Elsewhere.
    fn report(sink: &Sink, event: &Self::Event);
}

/// Stamped by a bus that does nothing else.
pub(crate) struct OurEvent(Bus);

impl Carried for OurEvent {
    type Event = Event;
    type Shared = Event;

    fn new() -> Self {
        Self(Bus::new())
    }

    fn make(&self, given: Given) -> Event {
        stamped(&self.0, given)
    }

    fn handle(event: &Event) {
        handle_ours(event);
    }

    fn report(sink: &Sink, event: &Event) {
        sink.ours(event);
    }
}

pub(crate) struct LeanEvent;

impl Carried for LeanEvent {
    type Event = Lean;
    type Shared = Arc<Lean>;

    fn new() -> Self {
        Self
    }

    fn make(&self, given: Given) -> Lean {
        Lean::new(given)
    }

    fn handle(event: &Lean) {
        handle_lean(event);
    }

    fn report(sink: &Sink, event: &Lean) {
        sink.lean(event);
    }
}
