//! The durable store of Nexus events: one file with a log of events and state beside it.

mod medium;

pub use crate::medium::{Disk, FileMedium, Medium, Opening};
