//! The two reference documents' Python about handlers, the bus and tests, each beside its Rust, and
//! the conformance tests on the store in memory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod conformance;
mod plugin_guide;
mod reference;
