//! How what is closed gets out: one after the other, each until the bus has it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nexus_events_dispatch::{Error, ErrorKind, Status};
use nexus_events_model::{Event, EventBuilder};
use tokio::time::sleep;
use tracing::warn;

use super::core::{AggregateKey, Core, Ended, Out, To};
use super::options::Late;
use super::output::{Conversation, Held};
use crate::limits::AGGREGATE_PAUSE;

impl To<'_> {
    async fn publish(&self, event: Event) -> Result<(), Error> {
        match self {
            Self::Bus(bus) => bus.publish(event).await.map(drop),
            Self::Closing(closing) => closing.publish(event).await.map(drop),
            Self::Handler(context) => context.publish(event).map(drop),
        }
    }

    fn stamp(&self, event: EventBuilder) -> Result<Event, Error> {
        match self {
            Self::Bus(bus) => bus.stamp(event),
            Self::Closing(closing) => closing.stamp(event),
            Self::Handler(context) => context.bus().stamp(event),
        }
    }
}

impl<I, K, A> Core<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    /// Publishes what is closed until nothing is left. Whoever is stopped in between leaves what he
    /// has in hand to the next one; under the same id, so that a store knows it again.
    pub(super) async fn publish_out(&self, to: &To<'_>) -> Result<(), Ended> {
        let _one_at_a_time = self.publishing.lock().await;
        while let Some(event) = self.next_out(to) {
            match to.publish(event).await {
                Ok(()) => self.is_out(true),
                Err(error) if error.kind() == ErrorKind::Closed => return Err(Ended),
                Err(error) if error.status() == Status::Temporary => {
                    warn!(%error, "an aggregate could not be published; it is tried again");
                    sleep(AGGREGATE_PAUSE).await;
                }
                Err(error) => {
                    warn!(%error, "an aggregate was refused, and is lost");
                    self.is_out(false);
                }
            }
        }
        Ok(())
    }

    /// What comes next; it is in hand until it is out.
    fn next_out(&self, to: &To<'_>) -> Option<Event> {
        loop {
            let next = {
                let mut state = self.state.lock();
                if let Some(event) = &state.in_hand {
                    return Some(event.clone());
                }
                state.out.pop_front()?
            };
            self.room.notify_waiters();
            // The program's own code, so not under the lock.
            let made = catch_unwind(AssertUnwindSafe(|| self.event_of(next)));
            let made = made.map_err(std::mem::forget).ok();
            match made.map(|event| to.stamp(event)) {
                Some(Ok(event)) => {
                    self.state.lock().in_hand = Some(event.clone());
                    return Some(event);
                }
                Some(Err(error)) => warn!(%error, "an aggregate is no event, and is lost"),
                None => warn!("the shape of an aggregate panicked, and it is lost"),
            }
            self.is_out(false);
        }
    }

    fn is_out(&self, published: bool) {
        let mut state = self.state.lock();
        state.in_hand = None;
        match published {
            true => state.counts.published += 1,
            false => state.counts.refused += 1,
        }
    }

    pub(super) fn event_of(&self, out: Out<K, A>) -> EventBuilder {
        match out {
            Out::Window(window) => {
                let (aggregate, origin) = Held::output(window);
                let event = Event::builder(&self.publish_as).source(&self.source);
                let mut event = event.payload((self.shape)(aggregate));
                if let Some(cause) = origin.cause {
                    event = event.causation_id(&cause);
                }
                match origin.conversation {
                    Conversation::One(id) => event.correlation_id(id),
                    _ => event,
                }
            }
            Out::Late(late) => {
                let event_type = match &self.late {
                    Late::SideEvent(event_type) => event_type,
                    Late::Count => late.event_type(),
                };
                let event = Event::builder(event_type).source(late.source());
                let event = event.timestamp(late.timestamp()).payload(late.payload().clone());
                event.caused_by(&late)
            }
        }
    }
}
