//! Tests of the model through its public interface.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod filter;
mod filter_corner_cases;
mod filter_garbage;
mod filter_oracle;
mod filter_properties;
mod json;
mod pattern;
mod payload;
mod reference;
