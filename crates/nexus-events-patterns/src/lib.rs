//! Patterns over the bus of Nexus events: request-response, correlation, windows, batches, sagas.
//!
//! ```
//! use nexus_events_dispatch::{Bus, Payload};
//! use nexus_events_model::Event;
//! use nexus_events_patterns::{Reject, Requests};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let bus = Bus::new();
//! bus.respond("number.doubled", async |number: Payload<u64>| Ok::<_, Reject>(*number * 2))?;
//! let doubled: u64 = bus.request(Event::builder("number.doubled").typed(21_u64)).await?;
//! assert_eq!(doubled, 42);
//! # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
//! ```
//!
//! # Who should use this crate
//!
//! Most programs want the facade, `nexus-events`, with its feature `patterns`, which is on by
//! default. Come here for the patterns beside the bus alone.
//!
//! # Which pattern for which need
//!
//! | You want to | Use |
//! |---|---|
//! | ask a handler and await its answer | [`Requests::request`], [`Requests::respond`] |
//! | ask all of them | [`Requests::request_many`] |
//! | answer later, or from a task | [`Requests::respond_with`] and [`ReplyTo`] |
//! | carry one id through a workflow | [`Correlate`] and [`Correlation`] |
//! | go on when several events of one workflow are there | [`Gather`] |
//! | what takes several events and must end well or be taken back | [`saga::Saga`] |
//! | the same as calls, one after the other, each with its compensation | [`saga::StepSaga`] |
//! | make one event of many, per key and window | [`Aggregator`], [`window`] |
//! | handle many events at a time | [`BatchHandler`] |
//! | send many events on at a time | [`Batcher`] |
//! | see which event led to which | [`CausationTree`] |

pub mod limits;
pub mod saga;
pub mod window;

mod aggregate;
mod batch;
mod correlate;
mod error;
mod iso;
mod request;

pub use crate::aggregate::{
    Aggregate, AggregateKey, Aggregator, AggregatorBuilder, AggregatorStats, Bounds, Late,
};
pub use crate::batch::{
    Batch, BatchFailure, BatchHandler, BatchReceipt, Batcher, BatcherBuilder, BatcherStats, Unsent,
    WhenFull,
};
pub use crate::correlate::{
    CausationNode, CausationTree, Correlate, Correlation, Gather, GatherReason, GatherStats,
    Gathered, Gatherer, Gathering, Until,
};
pub use crate::error::{Error, ErrorKind, Result, Status};
pub use crate::request::{
    LateReply, Reject, Replies, ReplyTo, Request, RequestMany, RequestStats, Requests, Responder,
    responder,
};
