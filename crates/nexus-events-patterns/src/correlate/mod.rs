//! Carry a correlation through a workflow, gather its events, and see which led to which.

mod gather;
mod gatherer;
mod keys;
mod query;
mod stats;
mod tree;
mod until;
mod workflow;

pub use self::gather::Gather;
pub use self::gatherer::{Gatherer, Gathering};
pub use self::keys::{GatherReason, Gathered};
pub use self::stats::GatherStats;
pub use self::tree::{CausationNode, CausationTree};
pub use self::until::Until;
pub use self::workflow::{Correlate, Correlation};
