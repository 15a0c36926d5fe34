//! The server from outside: over sockets, and as the program that people start.

// Helpers of tests are not `#[test]` themselves.
#![allow(clippy::unwrap_used)]

mod chromium;
mod console;
mod demo;
mod directory;
mod embed;
mod guard;
mod history;
mod http;
mod many;
mod one;
mod program;
mod publish;
mod serve;
mod tail;
