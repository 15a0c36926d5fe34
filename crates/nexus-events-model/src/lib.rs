//! The event model of Nexus events: what an event is, and how it is matched.
//!
//! An [`Event`] is an immutable envelope around a [`Payload`]. It is addressed by its
//! [`EventType`], a dotted name; a [`Pattern`] selects types with wildcards, a [`Filter`] selects
//! events by their fields. A [`PublishReport`] says what became of an event.
//!
//! ```
//! use nexus_events_model::{Event, Filter, Pattern, Priority};
//! use serde_json::json;
//!
//! let event = Event::builder("order.created")
//!     .id("evt-1")
//!     .timestamp_text("2026-01-02T03:04:05Z")
//!     .source("shop")
//!     .payload(json!({"amount": 120}))
//!     .priority(Priority::High)
//!     .build()?;
//!
//! assert!(Pattern::new("order.*")?.matches(event.event_type()));
//! assert!(Filter::parse("payload.amount > 100 && priority == 'high'")?.matches(&event));
//! # Ok::<(), nexus_events_model::Error>(())
//! ```
//!
//! # Who should use this crate
//!
//! Most programs want the facade, `nexus-events`. Come here when you exchange events but do not
//! dispatch them: a producer, a test fixture, a tool that reads a log.
//!
//! # What it promises
//!
//! Pure values: no async, no clock, no randomness, no global state. Equal inputs give equal
//! outputs. [`Pattern::matches`] and [`Filter::matches`] are the truth about matching; whatever
//! is faster elsewhere is tested against them.

pub mod limits;

mod builder;
mod error;
mod event;
mod event_type;
mod filter;
mod ids;
mod json;
mod metadata;
mod nearest;
mod pattern;
mod payload;
mod priority;
mod report;
mod text;
mod timestamp;
mod trace_context;
mod typed;

pub use crate::builder::EventBuilder;
pub use crate::error::{Error, ErrorKind, Result, Status};
pub use crate::event::{Event, IntoEvent, Stamp};
pub use crate::event_type::EventType;
pub use crate::filter::{Explanation, Filter, UnknownFields, filter_ast};
pub use crate::ids::{
    CausationId, CorrelationId, EventId, IdBuffer, SessionId, SubscriptionId, UserId,
};
pub use crate::json::Encoded;
pub use crate::metadata::Metadata;
pub use crate::pattern::{Pattern, PatternSegment};
pub use crate::payload::Payload;
pub use crate::priority::Priority;
pub use crate::report::{HandlerOutcome, OutcomeStatus, PublishReport};
pub use crate::text::Text;
pub use crate::timestamp::IsoFormat;
pub use crate::trace_context::TraceContext;
pub use crate::typed::TypedEvent;
