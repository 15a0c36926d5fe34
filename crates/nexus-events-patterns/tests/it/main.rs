//! Tests of the patterns through their public interface.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod aggregates;
mod batch_handlers;
mod batchers;
mod correlate;
mod durable_aggregates;
mod request;
mod saga;
mod windows;
