//! The one door for what threads share or wait on: locks, atomics, shared pointers, tasks, timers,
//! thread-locals. A model checker comes in here and decides which thread takes the next step.
//!
//! A build has what the program runs with, under its own names and at no cost. One with
//! `--cfg nexus_shuttle` or `--cfg nexus_loom` has stand-ins that run inside a model of
//! [shuttle](https://docs.rs/shuttle) or [loom](https://docs.rs/loom) only; `cargo xtask models`
//! makes them.

#[cfg(any(nexus_shuttle, nexus_loom))]
mod checked;
#[cfg(not(any(nexus_shuttle, nexus_loom)))]
mod real;

#[cfg(any(nexus_shuttle, nexus_loom))]
pub use self::checked::model;
#[cfg(any(nexus_shuttle, nexus_loom))]
pub(crate) use self::checked::*;
#[cfg(not(any(nexus_shuttle, nexus_loom)))]
pub(crate) use self::real::*;
