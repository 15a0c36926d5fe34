//! Tests of the store through its public interface.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod append;
mod d07;
mod d08;
mod memory;
mod opening;
mod read;
mod restart;
mod round_trip;
mod support;
mod trim;
