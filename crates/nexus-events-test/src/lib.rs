//! The test kit of Nexus events: a bus that handles events when told to, a handler that records
//! what it gets, generators for property tests, and the tests that every store passes.
//!
//! ```
//! use nexus_events_model::Event;
//! use nexus_events_test::{Recorder, TestEventBus};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let test_bus = TestEventBus::new();
//! let recorder = Recorder::new();
//! test_bus.bus().on("user.*", recorder.handler())?;
//!
//! test_bus.emit(Event::builder("user.created"))?;
//! assert_eq!(recorder.len(), 0);
//! test_bus.process_events().await?;
//! assert_eq!(recorder.len(), 1);
//! # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
//! ```
//!
//! # Who should use this crate
//!
//! Tests. It belongs under `[dev-dependencies]`.

pub mod conformance;
pub mod generate;
pub mod limits;

mod bus;
mod recorder;

pub use crate::bus::TestEventBus;
pub use crate::recorder::Recorder;
