//! How a batcher is put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::HandlerError;
use nexus_events_dispatch::layers::Backoff;
use nexus_events_model::Event;

use super::sending::{Batcher, Sends};
use crate::error::{Error, Result};
use crate::limits::{
    BATCH_BYTES_DEFAULT, BATCH_EVENTS_DEFAULT, BATCH_INTERVAL_DEFAULT, BATCHER_BYTES_DEFAULT,
    BATCHER_EVENTS_DEFAULT,
};

/// What gives way when a [`Batcher`] is full.
///
/// ```
/// use nexus_events_patterns::WhenFull;
/// assert_eq!(WhenFull::default(), WhenFull::Block);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// Whoever brings an event waits, in line.
    #[default]
    Block,
    /// The event is refused.
    Reject,
    /// The oldest event that is not being sent is dropped, and counted.
    DropOldest,
}

/// Puts a [`Batcher`] together.
#[must_use = "it does nothing until it is built"]
pub struct BatcherBuilder {
    pub(super) sends: Sends,
    pub(super) size: usize,
    pub(super) interval: Duration,
    pub(super) bytes: usize,
    pub(super) room_events: usize,
    pub(super) room_bytes: usize,
    pub(super) when_full: WhenFull,
    pub(super) backoff: Backoff,
    pub(super) max_attempts: u32,
}

impl Batcher {
    /// Begins with what takes a batch: it is called again with the same events until it succeeds, or
    /// fails with a [permanent](HandlerError::permanent) error.
    pub fn to<F>(sends: impl Fn(Vec<Event>) -> F + Send + Sync + 'static) -> BatcherBuilder
    where
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        BatcherBuilder {
            sends: Box::new(move |events| Box::pin(sends(events))),
            size: BATCH_EVENTS_DEFAULT,
            interval: BATCH_INTERVAL_DEFAULT,
            bytes: BATCH_BYTES_DEFAULT,
            room_events: BATCHER_EVENTS_DEFAULT,
            room_bytes: BATCHER_BYTES_DEFAULT,
            when_full: WhenFull::default(),
            backoff: Backoff::new(),
            max_attempts: u32::MAX,
        }
    }
}

impl BatcherBuilder {
    /// The most events of a batch; when as many are there, they are sent. Default: 100.
    pub fn size(mut self, events: usize) -> Self {
        self.size = events;
        self
    }

    /// How long after its arrival an event is sent although fewer are there. Default: 250 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The most bytes of a batch; when as many are there, they are sent. An event that is larger is
    /// a batch by itself. Default: 4 MiB.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many events, and bytes of them, may be there; at least two batches of events. Default:
    /// 10,000 and 64 MiB.
    pub fn room(mut self, events: usize, bytes: usize) -> Self {
        (self.room_events, self.room_bytes) = (events, bytes);
        self
    }

    /// What happens when they are. Default: whoever brings an event waits.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// How long a batch waits that could not be sent. Default: that of [`Backoff`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How often a batch is sent before it is given up, the first time included. Default: as often
    /// as it takes.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The batcher.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption), naming what is 0, a room of
    /// less than two batches, or the backoff.
    pub fn build(self) -> Result<Batcher> {
        let numbers = [
            ("size", self.size),
            ("bytes", self.bytes),
            ("room in bytes", self.room_bytes),
            ("max_attempts", self.max_attempts as usize),
        ];
        if let Some((what, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(Error::invalid_option(format!("{what} of a batcher is at least 1, not 0")));
        }
        if self.interval.is_zero() {
            return Err(Error::invalid_option("the interval of a batcher is more than 0"));
        }
        self.backoff
            .check()
            .map_err(|error| Error::invalid_option(format!("the backoff of a batcher: {error}")))?;
        if self.room_events < self.size.saturating_mul(2) {
            return Err(Error::invalid_option(format!(
                "a batcher with batches of {} events has room for {} at least, not {}, so that one can be filled while another is sent",
                self.size,
                self.size.saturating_mul(2),
                self.room_events
            )));
        }
        Ok(Batcher(Arc::new(super::sending::Shared::new(self))))
    }
}

impl fmt::Debug for BatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("size", &self.size)
            .field("interval", &self.interval)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}
