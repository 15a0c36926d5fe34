//! What becomes of an event that a batcher has.

use std::pin::Pin;
use std::task::{Context, Poll};

use nexus_events_model::Event;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Becomes ready when the event is sent. Dropping it changes nothing.
///
/// # Errors
/// [`ErrorKind::Unsent`] when its batch was given up, when it was dropped to make room, or when the
/// batcher was closed before; the text says which.
#[derive(Debug)]
#[must_use = "it says whether the event is sent"]
pub struct BatchReceipt(pub(super) oneshot::Receiver<Result<()>>);

impl Future for BatchReceipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<()>> {
        let closed = || Error::new(ErrorKind::Unsent, "the batcher was closed before it was sent");
        Pin::new(&mut self.0).poll(task).map(|sent| sent.unwrap_or_else(|_| Err(closed())))
    }
}

/// What a batcher could not send before it was closed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Unsent {
    /// The events, in order.
    pub events: Vec<Event>,
    /// How many of them, from the first one on, were being sent: whether they have arrived is not
    /// known.
    pub unknown: usize,
}
