//! What nearly every program needs, in one line.
//!
//! ```
//! use nexus_events::prelude::*;
//! let bus = Bus::new();
//! bus.on("order.*", |event: &Event| println!("{}", event.id()))?;
//! # Ok::<(), Error>(())
//! ```

pub use crate::dispatch::{
    Bus, Context, Error, Handler, HandlerError, HandlerExt, HandlerPriority, Mode, Receipt, Result,
    Subscription,
};
pub use crate::model::{
    Event, EventType, Filter, OutcomeStatus, Pattern, Payload, Priority, PublishReport,
};
