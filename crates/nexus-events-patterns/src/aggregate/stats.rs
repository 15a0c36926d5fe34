//! What an aggregator has done.

use serde::Serialize;

/// What an aggregator has done since it began, from [`Aggregator::stats`](super::Aggregator::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct AggregatorStats {
    /// Events that are, or were, in a window.
    pub events: u64,
    /// Events whose windows were over.
    pub late: u64,
    /// Events so far [ahead](super::AggregatorBuilder::ahead) of the clock that they close nothing.
    pub ahead: u64,
    /// Events without a key, which were left out.
    pub unkeyed: u64,
    /// Keys that have open windows.
    pub keys: usize,
    /// Closed windows and late events that wait to be published.
    pub waiting: usize,
    /// Closed windows and late events that were published.
    pub published: u64,
    /// Those of them that the bus did not take, so that they are lost: a layer refused them, or the
    /// program's [shape](super::AggregatorBuilder::shape) panicked.
    pub refused: u64,
    /// Those of them that were left when a shutdown was at its deadline, and are lost.
    pub cut_off: u64,
}
