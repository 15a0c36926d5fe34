//! Batches: events that are handled, or sent on, several at a time.
//!
//! | Use | When |
//! |---|---|
//! | [`BatchHandler`] | a handler does its work for many events at once: one statement, one request |
//! | [`Batcher`] | the program has events for somebody else, who takes them in batches |

mod collect;
mod contain;
mod failure;
mod handler;
mod line;
mod options;
mod receipt;
mod run;
mod sending;

pub use self::failure::BatchFailure;
pub use self::handler::{Batch, BatchHandler};
pub use self::options::{BatcherBuilder, WhenFull};
pub use self::receipt::{BatchReceipt, Unsent};
pub use self::sending::{Batcher, BatcherStats};
