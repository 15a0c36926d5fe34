//! The two reference documents' Python about handlers, the bus and tests, each beside its Rust.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod plugin_guide;
mod reference;
