//! The streamer over real sockets.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod fan_out;
mod filters;
mod garbage;
mod lifecycle;
mod limits;
mod origin;
mod python;
mod raw;
mod seed_transcript;
mod stalled_reader;
mod support;
