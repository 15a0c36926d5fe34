//! What is left of a store when the power goes, the process is killed, or the disk fails.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "what was tried is counted, and `cargo xtask prove` reads it"
)]

mod blocks;
mod d01;
mod d02;
mod d03;
mod d05;
mod d06;
mod d07;
mod history;
mod life;
mod medium;
mod model;
mod random;
mod reference;
mod script;
mod tally;
mod view;
mod wait;
