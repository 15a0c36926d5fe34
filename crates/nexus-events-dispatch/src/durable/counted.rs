//! The innermost layer of a durable handler: an attempt is counted in the store before it runs.

use nexus_events_model::Event;
use serde_json::Value;

use super::consumer::FromLog;
use crate::context::Context;
use crate::error::Result;
use crate::handler::{Called, Handler, HandlerError};
use crate::layer::{Layer, NewSubscription};
use crate::layers::{Surround, around, call};
use crate::sync::Arc;

pub(super) struct Counted;

impl Layer for Counted {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        subscription.needs_runtime = true;
        Ok(())
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        around(handler, Self)
    }
}

impl Surround for Counted {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        let Some(from_log) = context.log_place() else { return call(inner, event, context) };
        if from_log.is_committed() {
            // It failed after that, and what it does must not be done twice.
            return Called::Ready(Ok(Value::Null));
        }
        if context.attempt() < 2 {
            return call(inner, event, context);
        }
        Called::Pending(Box::pin(async move {
            count(from_log, context.attempt()).await?;
            match call(inner, event, context) {
                Called::Ready(result) => result,
                Called::Pending(future) => future.await,
            }
        }))
    }
}

async fn count(from_log: &FromLog, attempt: u32) -> Result<(), HandlerError> {
    let counted = from_log.consumer.attempt(from_log.offset, attempt).await;
    counted.map_err(|error| HandlerError::from(error).with_note("its attempt could not be counted"))
}
