//! The tests that every [`EventStore`](nexus_events_dispatch::store::EventStore) passes.
//!
//! Say how a fresh store is made, and have one `#[test]` for each case:
//!
//! ```
//! use std::sync::Arc;
//! use nexus_events_dispatch::store::MemoryStore;
//! use nexus_events_test::conformance::store::Candidate;
//!
//! mod in_memory {
//! # use super::*;
//!     async fn make() -> Candidate {
//!         Candidate::new(Arc::new(MemoryStore::new()))
//!     }
//!
//!     nexus_events_test::store_conformance!(make);
//! }
//! # fn main() {}
//! ```
//!
//! or run them all and look at the [`Outcomes`]:
//!
//! ```
//! # use std::sync::Arc;
//! # use nexus_events_dispatch::store::MemoryStore;
//! use nexus_events_test::conformance::store::{self, Candidate};
//! # tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap().block_on(async {
//! let outcomes = store::run(async || Candidate::new(Arc::new(MemoryStore::new()))).await;
//! assert_eq!(outcomes.failed, [], "{outcomes}");
//! assert!(outcomes.passed.len() >= 100);
//! # });
//! ```
//!
//! # What does not apply
//!
//! A case asks for what it needs: [`Capabilities`](nexus_events_dispatch::store::Capabilities) say
//! what the store claims, the [`Candidate`] what can be done with it beside its port (moving its
//! clock, opening it again). A case that needs what is not there is skipped and says so: in
//! [`Outcomes::skipped`], and as a line on the standard error of its `#[test]`.
//!
//! # Random scripts
//!
//! [`script`] makes random operations. [`follows_model`] runs them on one store and compares every
//! answer with a model of a hundred lines, [`same_script`] compares two stores with each other.

mod acks;
mod appends;
mod atomicity;
mod bad_input;
mod candidate;
mod cases;
mod closing;
mod concurrency;
mod cursors;
mod expectations;
mod following;
mod idempotency;
mod kit;
mod outcomes;
mod paging;
mod reading;
mod reopening;
mod round_trip;
mod scanning;
mod script;
mod selecting;
mod states;
mod trimming;
mod upkeep;

pub use self::candidate::{Candidate, Stop};
pub use self::outcomes::{Outcomes, check, run};
pub use self::script::{Draft, Step, Write, follows_model, same_script, script};
