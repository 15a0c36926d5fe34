//! The dispatch core of Nexus events: an event goes in, every matching handler runs, in priority
//! order, one report comes out.
//!
//! ```
//! use nexus_events_dispatch::{Bus, Context, HandlerExt};
//! use nexus_events_model::{Event, OutcomeStatus};
//! use serde_json::json;
//!
//! fn validate(event: &Event, context: &Context) {
//!     if event.payload().get("email").is_none() {
//!         context.cancel("no e-mail address");
//!     }
//! }
//!
//! async fn welcome(event: Event) -> serde_json::Value {
//!     json!({"sent_to": event.payload().get("email")})
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let bus = Bus::new();
//! bus.on("user.created", validate.priority(100))?;
//! bus.on("user.*", welcome)?;
//!
//! let report = bus.publish_and_wait(Event::builder("user.created").payload(json!({"email": "a@b.c"}))).await?;
//! assert_eq!(report.outcome("welcome").unwrap().value["sent_to"], "a@b.c");
//!
//! let report = bus.publish_and_wait(Event::builder("user.created")).await?;
//! assert_eq!(report.outcome("welcome").unwrap().status, OutcomeStatus::Cancelled);
//! # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
//! ```
//!
//! # Who should use this crate
//!
//! Most programs want the facade, `nexus-events`. Come here for the bus alone, with the fewest
//! dependencies.
//!
//! # Waves and cancellation
//!
//! Handlers of one event run in waves of equal [`HandlerPriority`], highest first. Within a wave,
//! handlers on tasks run concurrently and inline ones in the order of registration. A wave is
//! over when each of its handlers is done. [`Context::cancel`] lets the running wave finish and
//! keeps all lower ones from running.
//!
//! # Failures and panics
//!
//! An error or a panic is the outcome of that handler alone: the others run, the publisher goes
//! on, the bus stays usable.
//!
//! # Layers
//!
//! Retries, timeouts, dead letters, dedup, rate limits and circuit breakers are [`layers`] around
//! handlers and publishing; the order in which they are given matters.
//!
//! # Order
//!
//! A handler that is not inline gets one event at a time, in the order one publisher published
//! them. An event that still waits for a higher wave has not reached a lower handler yet; events
//! without that wait may pass it there. An inline handler runs on every publisher's own stack, so
//! it may run several times at once.
//!
//! # Slow handlers
//!
//! A handler on a task that waits has a bounded queue of its own (1,024 events), so it holds up
//! neither the publisher nor other handlers, except lower waves of the same event. Those that do
//! not wait, and have no options, share queues until they do. When the queue is full,
//! [`Bus::publish`] waits up to a second for room and [`Bus::try_publish`] not at all; an event
//! that comes from a higher wave stands in line for as long, up to 1,024 of them, and holds up
//! nobody. Then the handler is skipped, which shows in the receipt, in the report and in the
//! statistics.
//!
//! # Re-entrancy
//!
//! A handler may publish, subscribe, unsubscribe (itself too) and shut the bus down. What it
//! publishes, through its [`Context`] or any clone of the bus, is a follow-up: it inherits the
//! correlation id, names its cause, and is dispatched after the running wave. Chains end after 64
//! events with an error that shows them.
//!
//! # Unsubscribe
//!
//! When [`Subscription::unsubscribe`] returns, the handler runs no more. Called from inside the
//! handler it returns at once, and the running call is the last.
//!
//! # Shutdown
//!
//! [`Bus::shutdown`] closes the intake, lets queues drain until its deadline and reports what got
//! through and what was cut off.

pub mod layers;
pub mod limits;
pub mod store;

mod builder;
mod bus;
mod clock;
mod closing;
mod context;
mod delivery;
mod desk;
mod driving;
mod durable;
mod entrance;
mod entry;
mod error;
mod follow_up;
mod gate;
mod group;
mod handler;
mod here;
mod history;
mod index;
mod lane;
mod layer;
mod lineage;
mod mark;
mod pass;
mod progress;
mod publish;
mod queue;
mod registry;
mod replay;
mod route;
mod runtime;
mod scheduled;
mod shared;
mod shutdown;
mod stamp;
mod stats;
mod stripe;
mod subscription;
mod sync;
mod timer;
mod trace;
mod waits;
mod watch;
mod weak;
mod witness;
mod worker;

pub use crate::builder::BusBuilder;
pub use crate::bus::Bus;
pub use crate::clock::{Clock, ManualClock, SystemClock};
pub use crate::closing::Closing;
pub use crate::context::{Context, Retry};
pub use crate::durable::{ConsumerStats, Durable, Persist, Start};
pub use crate::error::{Error, ErrorKind, Result, Status};
pub use crate::handler::{
    Attempt, BoxFuture, Called, Configured, FromEvent, Handler, HandlerError, HandlerExt,
    HandlerResult, HandlerReturn, IntoHandler, LastAttempt, Mode, Outcome, Payload, Rejection,
    State,
};
#[doc(hidden)]
pub use crate::handler::{Begun, Rest, Turn, shape};
pub use crate::index::{FilterIndex, PatternIndex, PatternTable};
pub use crate::layer::{Layer, NewSubscription, Next, Published};
pub use crate::publish::Receipt;
pub use crate::queue::Overload;
pub use crate::replay::{Pace, Replay, ReplayCounts, ReplayEnd, ReplayStop, ReplayedRange};
pub use crate::scheduled::{
    Misfire, Schedule, Scheduled, ScheduledFilter, ScheduledId, ScheduledStats,
};
pub use crate::shutdown::ShutdownReport;
pub use crate::stats::{BusStats, EventStats, HandlerStats, Latency};
pub use crate::subscription::{HandlerPriority, Subscription, SubscriptionOptions};
#[cfg(any(nexus_shuttle, nexus_loom))]
#[doc(hidden)]
pub use crate::sync::model;
pub use crate::weak::WeakBus;
pub use crate::witness::Witness;
