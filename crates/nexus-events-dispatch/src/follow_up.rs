//! Events published by handlers: queued behind the running wave, never dispatched inside a
//! handler's call, so that a chain of them is a loop and not a recursion.

use nexus_events_model::{Event, EventType, SubscriptionId};

use crate::delivery::{Delivery, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{FOLLOW_UPS_MAX, PUBLISH_DEPTH_MAX};
use crate::runtime::contain;
use crate::sync::{Arc, AtomicUsize, Handle, Mutex, Ordering, mpsc};

/// How an event came to be published: by the program (no ancestor), or by handlers of others.
#[derive(Clone, Default)]
pub(crate) struct Lineage(Option<Arc<Ancestor>>);

struct Ancestor {
    event_type: EventType,
    before: Lineage,
    depth: u32,
    /// The handler that waits for the report and so stays busy meanwhile.
    waiting: Option<SubscriptionId>,
}

impl Lineage {
    /// The lineage of an event published while `event` was handled.
    pub(crate) fn descend(&self, event: &Event, waiting: Option<SubscriptionId>) -> Result<Self> {
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
    fn waiters(&self) -> impl Iterator<Item = SubscriptionId> {
        self.ancestors().map_while(|ancestor| ancestor.waiting)
    }

    /// How many runs of this subscription wait for this event.
    pub(crate) fn waiting(&self, id: SubscriptionId) -> usize {
        self.waiters().filter(|waiter| *waiter == id).count()
    }

    /// How many handlers wait for this event.
    pub(crate) fn waits(&self) -> usize {
        self.waiters().count()
    }
}

/// Deliveries that nobody's stack drives: follow-ups of handlers on tasks, and what a publisher
/// left half way. One task drives them in the order they came, and waits for no queue.
#[derive(Default)]
pub(crate) struct FollowUps {
    sender: Mutex<Option<mpsc::UnboundedSender<Arc<Delivery>>>>,
    /// Published by handlers and not yet concluded.
    waiting: AtomicUsize,
}

impl FollowUps {
    /// Room for one more.
    pub(crate) fn reserve(&self) -> Result<()> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < FOLLOW_UPS_MAX {
            return Ok(());
        }
        self.release();
        let message = format!(
            "{FOLLOW_UPS_MAX} events published by handlers wait already; publish fewer or speed up the handlers they wait for"
        );
        Err(Error::new(ErrorKind::Overloaded, message))
    }

    pub(crate) fn release(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Leaves a delivery to the task, which is started where there is none; gives it back where
    /// there is no runtime.
    pub(crate) fn hand_over(
        &self,
        delivery: Arc<Delivery>,
        runtime: Option<Handle>,
    ) -> Result<(), Arc<Delivery>> {
        let mut sender = self.sender.lock();
        let delivery = match sender.as_ref().map(|sender| sender.send(delivery.clone())) {
            Some(Ok(())) => return Ok(()),
            // Its runtime has ended.
            Some(Err(mpsc::error::SendError(delivery))) => delivery,
            None => delivery,
        };
        let Some(runtime) = runtime else { return Err(delivery) };
        let (started, receiver) = mpsc::unbounded_channel();
        runtime.spawn(run(receiver));
        let sent = started.send(delivery).map_err(|mpsc::error::SendError(delivery)| delivery);
        *sender = Some(started);
        sent
    }
}

async fn run(mut receiver: mpsc::UnboundedReceiver<Arc<Delivery>>) {
    while let Some(delivery) = receiver.recv().await {
        // The same as for lanes: what panics outside of a handler costs its event only.
        let driven = contain(Box::pin(Delivery::drive(delivery, Wait::Apart))).await;
        driven.unwrap_or_else(std::mem::forget);
    }
}
