//! Types of the program that are events themselves.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::event::{Event, IntoEvent, Stamp};
use crate::event_type::EventType;

/// A type of the program that is the payload of one event type. A value of it can be published as
/// it is, and a handler may take it as its argument.
///
/// ```
/// use nexus_events_model::{EventType, IntoEvent, Stamp, TypedEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderCreated { order_id: u32 }
///
/// impl TypedEvent for OrderCreated {
///     const TYPE: EventType = EventType::from_static("order.created");
/// }
///
/// # use nexus_events_model::EventId;
/// # let stamp = || Stamp { id: EventId::new("evt-1").unwrap(), timestamp: time::macros::datetime!(2026-01-02 03:04:05 UTC) };
/// let event = OrderCreated { order_id: 7 }.into_event(stamp)?;
/// assert_eq!(event.event_type(), "order.created");
/// assert_eq!(event.payload().downcast_ref::<OrderCreated>().unwrap().order_id, 7);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which event type it is the payload of",
    note = "add `impl TypedEvent for {Self} {{ const TYPE: EventType = EventType::from_static(\"order.created\"); }}`"
)]
pub trait TypedEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event type it is the payload of.
    const TYPE: EventType;
}

impl<T: TypedEvent> IntoEvent for T {
    fn into_event(self, stamp: impl FnOnce() -> Stamp) -> Result<Event> {
        Event::builder(T::TYPE).typed(self).build_with(stamp)
    }
}
