//! The payload as an argument.

use std::ops::Deref;

use nexus_events_model::Event;
use serde::de::DeserializeOwned;

use super::{FromEvent, Rejection};
use crate::context::Context;
use crate::error::Result;
use crate::sync::Arc;

/// The payload of the event as a `T`, for handlers.
///
/// A payload that was published as a `T` in this process is the very same value, without any
/// serialisation; everything else is decoded, once for all handlers of one `T`. A payload that is
/// no `T` is rejected, with a text that names the type and the field.
///
/// It says nothing about the event type: with a wildcard pattern the payload of every event that
/// matches is decoded. The body of an event itself is
/// [`nexus_events_model::Payload`](nexus_events_model::Payload).
///
/// ```
/// use nexus_events_dispatch::{Bus, Payload};
/// use nexus_events_model::Event;
/// use serde::Deserialize;
/// use serde_json::json;
///
/// #[derive(Deserialize)]
/// struct Order { total: u64 }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("order.created", |order: Payload<Order>| println!("{}", order.total))?;
///
/// let wrong = Event::builder("order.created").payload(json!({"total": "much"}));
/// let report = bus.publish_and_wait(wrong).await?;
/// let error = report.outcomes[0].error.as_deref().unwrap();
/// assert!(error.contains("Order") && error.contains("invalid type: string \"much\", expected u64"));
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Payload<T>(
    /// The value, which other handlers may hold too.
    pub Arc<T>,
);

impl<T> Clone for Payload<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Payload<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> FromEvent for Payload<T> {
    fn from_event(event: &Event, _: &Context) -> Result<Self, Rejection> {
        Ok(Self(event.payload().decode()?))
    }
}
