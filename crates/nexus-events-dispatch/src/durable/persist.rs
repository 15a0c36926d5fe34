//! The innermost layer of a bus with a store: an event is appended, then dispatched.

use nexus_events_model::{Event, Text};

use super::Durables;
use super::live::{Entering, Live};
use crate::bus::Bus;
use crate::error::Error;
use crate::layer::{Layer, Next, Published};
use crate::publish::Receipt;
use crate::store::{Append, Appended, Cancelled, Offset};
use crate::subscription::HandlerPriority;
use crate::sync::Arc;

pub(crate) struct Persisting(pub(crate) Arc<Durables>);

impl Layer for Persisting {
    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        let durables = &self.0;
        if !durables.persist.means(event.event_type()) {
            return next.run(event);
        }
        if next.bus().gate().is_stopped() {
            return Published::Ready(Err(Error::closed()));
        }
        // In line before anything is awaited, so that events are stored in the order in which they
        // come here.
        let entering = durables.enter(&event);
        let append = durables.append_of(&event);
        let append = durables.store().append(append);
        Published::Pending(Box::pin(async move {
            let appended = append.await?;
            if appended.duplicate {
                return Ok(duplicate(&event, &appended));
            }
            entering.stored(appended.first);
            let id = event.id().clone();
            let published = next.run(event).wait().await;
            let published = published.inspect_err(|_| durables.live.gone(&id))?;
            Ok(published.at(appended.first))
        }))
    }
}

fn duplicate(event: &Event, appended: &Appended) -> Receipt {
    let receipt = Receipt::new(event.id().clone());
    Receipt { duplicate: true, ..receipt }.at(appended.first)
}

impl Receipt {
    fn at(self, offset: Offset) -> Self {
        Self { offset: Some(offset), ..self }
    }
}

impl Durables {
    /// The event is about to be stored; consumers wait for its waves.
    pub(crate) fn enter(self: &Arc<Self>, event: &Event) -> Entering {
        let mut consumers = self.readers();
        consumers.retain(|consumer| consumer.is_meant(event));
        Live::enter(self, event.id(), consumers)
    }

    /// The commit that stores it, once.
    pub(crate) fn append_of(&self, event: &Event) -> Append {
        let key = self.persist.key.as_ref().and_then(|key| key.of_any(event));
        let append = match key {
            Some(key) => Append::new().keyed_event(key, event.clone()),
            None => Append::of(event.clone()),
        };
        append.idempotency_key(event.id().to_string()).ack(self.persist.ack)
    }
}

impl Bus {
    pub(crate) fn durables(&self) -> Option<&Arc<Durables>> {
        self.0.durables.as_ref()
    }

    /// A wave has cancelled the event: those below it do not get it, now or when it is read again.
    pub(crate) fn stored_cancelled(
        &self,
        event: &Event,
        by: &Text,
        priority: HandlerPriority,
        reason: &Text,
    ) {
        let Some(durables) = self.durables() else { return };
        let priority = priority.number();
        let Some(offset) = durables.live.cancelled(event.id(), priority) else { return };
        let cancelled = Cancelled { by: by.to_string(), reason: reason.to_string(), priority };
        // It stands in line now, and is committed whether somebody waits or not.
        drop(durables.store().append(cancelled.append(offset)));
    }

    /// Nobody takes the event through its waves any more; consumers have it from the log.
    pub(crate) fn stored_lost(&self, event: &Event) {
        if let Some(durables) = self.durables() {
            durables.live.gone(event.id());
        }
    }
}
