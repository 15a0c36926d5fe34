//! The durable store of Nexus events: one file with a log of events and state beside it.

pub mod limits;

mod backend;
mod builder;
mod bytes;
mod copy;
mod error;
mod frame;
mod happened;
mod log;
mod medium;
mod opening;
mod page;
mod postings;
mod queue;
mod rescue;
mod salvage;
mod schema;
mod shared;
mod states;
mod store;
mod tail;
mod verify;
mod writer;

pub use crate::builder::StoreBuilder;
pub use crate::medium::{Disk, FileMedium, Medium, Opening};
pub use crate::rescue::Repaired;
pub use crate::store::Store;
