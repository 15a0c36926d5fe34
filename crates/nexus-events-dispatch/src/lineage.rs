//! How an event came to be published.

use nexus_events_model::{Event, EventType, SubscriptionId};

use crate::context::Context;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PUBLISH_DEPTH_MAX;
use crate::sync::{Arc, Weak};

/// How an event came to be published: by the program (no ancestor), or by handlers of others.
#[derive(Clone, Default)]
pub(crate) struct Lineage(Option<Arc<Ancestor>>);

struct Ancestor {
    event_type: EventType,
    before: Lineage,
    depth: u32,
    /// The handler that waits for the report and so stays busy meanwhile.
    waiting: Option<Asking>,
}

/// A handler that waits for a report.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) handler: SubscriptionId,
    /// The event that it handles.
    pub(crate) delivery: Weak<Delivery>,
}

impl Asking {
    pub(crate) fn of(context: &Context) -> Self {
        Self { handler: context.entry().id, delivery: Arc::downgrade(context.delivery()) }
    }
}

impl Lineage {
    /// The lineage of an event published while `event` was handled.
    pub(crate) fn descend(&self, event: &Event, waiting: Option<Asking>) -> Result<Self> {
        let depth = self.depth() + 1;
        if depth > PUBLISH_DEPTH_MAX {
            let chain: Vec<String> =
                self.chain(event.event_type()).iter().map(ToString::to_string).collect();
            let message = format!(
                "events published by handlers are {PUBLISH_DEPTH_MAX} deep, most likely a cycle: {}; make one of the handlers stop",
                chain.join(" > "),
            );
            return Err(Error::new(ErrorKind::TooDeep, message));
        }
        let ancestor = Ancestor {
            event_type: event.event_type().clone(),
            before: self.clone(),
            depth,
            waiting,
        };
        Ok(Self(Some(Arc::new(ancestor))))
    }

    fn ancestors(&self) -> impl Iterator<Item = &Ancestor> {
        std::iter::successors(self.0.as_deref(), |ancestor| ancestor.before.0.as_deref())
    }

    fn depth(&self) -> u32 {
        self.0.as_ref().map_or(0, |ancestor| ancestor.depth)
    }

    /// The event types from the first ancestor down to `last`.
    pub(crate) fn chain(&self, last: &EventType) -> Vec<EventType> {
        let mut chain = vec![last.clone()];
        chain.extend(self.ancestors().map(|ancestor| ancestor.event_type.clone()));
        chain.reverse();
        chain
    }

    /// The handlers that wait for this event, the nearest first. Nobody waits for a follow-up,
    /// so what waits for its ancestors does not wait for it.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &Asking> {
        self.ancestors().map_while(|ancestor| ancestor.waiting.as_ref())
    }

    /// How many runs of this subscription wait for this event.
    pub(crate) fn waiting(&self, id: SubscriptionId) -> usize {
        self.waiters().filter(|asking| asking.handler == id).count()
    }

    /// How many handlers wait for this event.
    pub(crate) fn waits(&self) -> usize {
        self.waiters().count()
    }
}
