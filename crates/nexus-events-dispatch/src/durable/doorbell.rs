//! What stands for a durable handler in the registry: it rings when its wave has come.

use nexus_events_model::{Event, Text};
use serde_json::Value;

use super::Consumer;
use crate::context::Context;
use crate::handler::{Called, Handler, Mode};
use crate::sync::Arc;

pub(crate) struct Doorbell(pub(crate) Arc<Consumer>);

impl Handler for Doorbell {
    fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
        self.0.reached(event);
        Called::Ready(Ok(Value::Null))
    }

    fn mode(&self) -> Mode {
        Mode::Inline
    }

    fn name(&self) -> Text {
        self.0.name().clone()
    }
}
