//! An aggregator as a handler.

use std::sync::Arc;

use nexus_events_dispatch::{Called, Context, Handler, HandlerResult};
use nexus_events_model::{Event, Text};
use serde_json::Value;

use super::core::{AggregateKey, Core, To};
use crate::limits::AGGREGATES_WAITING_MAX;

/// Takes the events of one pattern in.
pub(super) struct Taking<I, K, A> {
    pub(super) core: Arc<Core<I, K, A>>,
    pub(super) name: Text,
}

impl<I, K, A> Handler for Taking<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        if self.core.publishes(event.event_type()) {
            return Called::Ready(Ok(Value::Null));
        }
        if let Some(kept) = &self.core.kept {
            return Called::Pending(match *event.event_type() == kept.due {
                true => Box::pin(self.core.close_kept(kept, event, context)),
                false => Box::pin(self.core.take_kept(kept, event, context)),
            });
        }
        match self.core.take(event, context.bus()) {
            Ok(_) if self.core.state.lock().ended => Called::Pending(Box::pin(async {
                // The bus is closing; nobody else would publish it.
                let _ = self.core.publish_out(&To::Handler(context)).await;
                Ok(Value::Null)
            })),
            Ok(false) => Called::Ready(Ok(Value::Null)),
            Ok(true) => Called::Pending(Box::pin(self.has_room())),
            Err(error) => Called::Ready(Err(error)),
        }
    }

    fn name(&self) -> Text {
        self.name.clone()
    }
}

impl<I, K, A> Taking<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    /// Waits until less is to be published: what comes faster than that has to wait.
    async fn has_room(&self) -> HandlerResult {
        loop {
            let mut room = std::pin::pin!(self.core.room.notified());
            room.as_mut().enable();
            if self.core.state.lock().out.len() <= AGGREGATES_WAITING_MAX {
                return Ok(Value::Null);
            }
            room.await;
        }
    }
}
