//! Patterns over the bus of Nexus events: request-response, correlation, windows, batches, sagas.
//!
//! # Who should use this crate
//!
//! Most programs want the facade, `nexus-events`, with its feature `patterns`. Come here for the
//! patterns beside the bus alone.

pub mod limits;
pub mod window;

mod aggregate;
mod batch;
mod correlate;
mod error;
mod request;

pub use crate::aggregate::{
    Aggregate, AggregateKey, Aggregator, AggregatorBuilder, AggregatorStats, Bounds, Late,
};
pub use crate::batch::{
    Batch, BatchFailure, BatchHandler, BatchReceipt, Batcher, BatcherBuilder, BatcherStats, Unsent,
    WhenFull,
};
pub use crate::error::{Error, ErrorKind, Result, Status};
