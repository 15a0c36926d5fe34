//! Tests of the store through its public interface.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod append;
mod backup;
mod d07;
mod d08;
mod damage;
mod memory;
mod opening;
mod read;
mod restart;
mod round_trip;
mod support;
mod trim;
