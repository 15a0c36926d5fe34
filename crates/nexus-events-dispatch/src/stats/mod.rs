//! What the bus and its handlers have done, as numbers.
//!
//! [`counters`] are what is counted while events are on their way, together with what each
//! thread's stripe holds; [`bus`] and [`handler`] are a snapshot of it, which says itself as JSON
//! or, in [`prometheus`], as text for a monitoring system.

mod bus;
mod counters;
mod handler;
mod histogram;
mod prometheus;

pub use self::bus::{BusStats, EventStats};
pub(crate) use self::counters::{BusCounters, HandlerCounters};
pub use self::handler::HandlerStats;
pub use self::histogram::Latency;
