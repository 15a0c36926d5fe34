//! A process full of sagas of steps that is killed again and again, on one store.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "what was tried is counted, and `cargo xtask prove` reads it"
)]

mod killed;
mod parent;
mod world;
