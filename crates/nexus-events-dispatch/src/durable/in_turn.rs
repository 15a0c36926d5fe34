//! The outermost layer of a durable handler that is ordered by a key: an event does not run before
//! one of its key that has come back, because it could not be parked.

use nexus_events_model::Event;

use crate::context::Context;
use crate::error::Result;
use crate::handler::{Called, Handler, HandlerError};
use crate::layer::{Layer, NewSubscription};
use crate::layers::{Surround, around, call};
use crate::subscription::Key;
use crate::sync::Arc;

pub(super) struct InTurn(pub(super) Key);

impl Layer for InTurn {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        let surround = Self(self.0.clone());
        subscription.handler = around(subscription.handler.clone(), surround);
        Ok(())
    }
}

impl Surround for InTurn {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        match self.is_behind(event, context) {
            // It is given again, after that one.
            true => Called::Ready(Err(HandlerError::from("it waits for an event of its key"))),
            false => call(inner, event, context),
        }
    }
}

impl InTurn {
    fn is_behind(&self, event: &Event, context: &Context) -> bool {
        let Some(place) = context.log_place() else { return false };
        let back = place.come_back_before();
        let is_same = |other: &Event| self.0.of_any(other) == self.0.of_any(event);
        !back.is_empty() && self.0.of_any(event).is_some() && back.iter().any(is_same)
    }
}
