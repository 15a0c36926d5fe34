//! What nearly every program needs, in one line.
//!
//! ```
//! use nexus_events::prelude::*;
//! let bus = Bus::new();
//! bus.on("order.*", |event: &Event| println!("{}", event.id()))?;
//! # Ok::<(), Error>(())
//! ```
//!
//! [`Payload<T>`](Payload) is the typed argument of a handler. The body of an event itself is
//! [`model::Payload`](crate::model::Payload); it is rarely named, for
//! `Event::builder(..).payload(json)` and `.typed(value)` make it.

pub use crate::dispatch::{
    Bus, Context, Error, FromEvent, Handler, HandlerError, HandlerExt, HandlerPriority, Mode,
    Outcome, Payload, Receipt, Rejection, Result, State, Subscription,
};
pub use crate::model::{
    Event, EventType, Filter, OutcomeStatus, Pattern, Priority, PublishReport, TypedEvent,
};
