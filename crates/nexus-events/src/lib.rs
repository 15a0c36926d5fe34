//! An event goes in; every matching handler runs, in priority order; one report comes out.
//!
//! ```
//! use nexus_events::prelude::*;
//! use serde_json::json;
//!
//! fn validate(event: &Event, context: &Context) {
//!     if event.payload().get("email").is_none() {
//!         context.cancel("no e-mail address");
//!     }
//! }
//!
//! async fn welcome(event: Event) {
//!     println!("welcome, {}", event.payload().get("email").unwrap());
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let bus = Bus::new();
//! bus.on("user.created", validate.priority(100))?;
//! bus.on("user.*", welcome)?;
//! let report = bus.publish_and_wait(Event::builder("user.created").payload(json!({"email": "a@b.c"}))).await?;
//! assert_eq!(report.handlers_notified(), 2);
//! # Ok::<(), Error>(()) }).unwrap();
//! ```
//!
//! # The layers
//!
//! | Module | Crate | What it is |
//! |---|---|---|
//! | [`model`] | `nexus-events-model` | event, type, pattern, filter, report: pure values |
//! | [`dispatch`] | `nexus-events-dispatch` | the bus, its handlers, its index |
#![cfg_attr(
    feature = "patterns",
    doc = "| [`patterns`] | `nexus-events-patterns` | request-response, correlation, and more on the bus (feature `patterns`, on by default) |"
)]
#![cfg_attr(
    not(feature = "patterns"),
    doc = "| `patterns` | `nexus-events-patterns` | request-response, correlation, and more on the bus (feature `patterns`, on by default) |"
)]
#![cfg_attr(
    feature = "store",
    doc = "| [`store`] | `nexus-events-store` | durable log in one file (feature `store`), beside the ports to any store |"
)]
#![cfg_attr(
    not(feature = "store"),
    doc = "| [`store`] | `nexus-events-store` | the ports to any store; with feature `store` a durable log in one file |"
)]
#![cfg_attr(
    feature = "stream",
    doc = "| [`stream`] | `nexus-events-stream` | WebSocket streamer for browsers (feature `stream`) |"
)]
#![cfg_attr(
    not(feature = "stream"),
    doc = "| `stream` | `nexus-events-stream` | WebSocket streamer for browsers (feature `stream`) |"
)]
#![cfg_attr(
    feature = "test-util",
    doc = "| [`test`](mod@test) | `nexus-events-test` | test bus, recorder, generators, conformance tests (feature `test-util`) |"
)]
#![cfg_attr(
    not(feature = "test-util"),
    doc = "| `test` | `nexus-events-test` | test bus, recorder, generators, conformance tests (feature `test-util`) |"
)]
//!
//! An edge points only downward; the modules beside each other know nothing of one another.
//!
//! # Which reader are you?
//!
//! - **A program that uses events** needs this crate and its [`prelude`].
//! - **A library that needs one part**, the model to exchange events or the dispatch core alone,
//!   links that crate directly and gets fewer dependencies.
//! - **An operator** runs the `nexus` binary of `nexus-events-server` and writes no Rust.
//!
//! # Guarantees
//!
//! In memory, an event is handled at most once per subscription, and whatever is lost (a full
//! queue, a shutdown at its deadline) is counted. With a [`store`] an acknowledged event survives
//! crashes, and a durable handler gets it at least once. Order, cancellation, panics, slow handlers
//! and shutdown are specified in [`dispatch`].

pub mod prelude;
pub mod store;

pub use nexus_events_dispatch as dispatch;
pub use nexus_events_model as model;
#[cfg(feature = "patterns")]
pub use nexus_events_patterns as patterns;
#[cfg(feature = "stream")]
pub use nexus_events_stream as stream;
#[cfg(feature = "test-util")]
pub use nexus_events_test as test;

pub use nexus_events_dispatch::{Bus, Context, Error, Handler, Result};
pub use nexus_events_model::{Event, EventType, Filter, Pattern, Priority, PublishReport};

/// The README's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/events.md")]
#[doc = include_str!("../../../docs/guide/waves.md")]
#[doc = include_str!("../../../docs/guide/handlers.md")]
#[doc = include_str!("../../../docs/guide/retries.md")]
#[doc = include_str!("../../../docs/guide/dead-letters.md")]
#[doc = include_str!("../../../docs/guide/delivery.md")]
#[doc = include_str!("../../../docs/guide/consumer-groups.md")]
#[doc = include_str!("../../../docs/guide/durable.md")]
#[doc = include_str!("../../../docs/guide/scheduled.md")]
#[doc = include_str!("../../../docs/guide/replay.md")]
#[doc = include_str!("../../../docs/guide/observability.md")]
#[doc = include_str!("../../../docs/guide/stores.md")]
#[cfg_attr(feature = "patterns", doc = include_str!("../../../docs/guide/request-response.md"))]
#[cfg_attr(feature = "patterns", doc = include_str!("../../../docs/guide/correlation.md"))]
#[cfg_attr(feature = "patterns", doc = include_str!("../../../docs/guide/windows.md"))]
#[cfg_attr(feature = "patterns", doc = include_str!("../../../docs/guide/batches.md"))]
#[cfg_attr(feature = "patterns", doc = include_str!("../../../docs/guide/sagas.md"))]
#[cfg_attr(feature = "store", doc = include_str!("../../../docs/guide/store.md"))]
struct Guide;
