//! The server from outside: over sockets, and as the program that people start.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod chromium;
mod console;
mod dead_letters;
mod demo;
mod directory;
mod embed;
mod failing;
mod guard;
mod history;
mod http;
mod log;
mod many;
mod metrics;
mod one;
mod program;
mod publish;
mod replay;
mod sagas;
mod scheduled;
mod serve;
mod socket;
mod store;
mod tail;
