//! Several events at once: they stand in the store's line together and share its commits.

use std::future::poll_fn;
use std::task::Poll;

use nexus_events_model::Event;

use crate::bus::Bus;
use crate::error::Result;
use crate::handler::BoxFuture;
use crate::limits::BATCH_STORED_EVENTS;
use crate::publish::Receipt;

/// One event of a batch on its way.
enum Publishing<'a> {
    Pending(BoxFuture<'a, Result<Receipt>>),
    Done(Result<Receipt>),
}

impl Bus {
    /// Publishes events that are stamped, in order; as many at a time as share a commit.
    pub(crate) async fn publish_stored(&self, events: Vec<Event>) -> Result<Vec<Receipt>> {
        let mut receipts = Vec::with_capacity(events.len());
        for chunk in events.chunks(BATCH_STORED_EVENTS) {
            let publishing = chunk.iter().map(|event| self.publish(event.clone()));
            let publishing: Vec<_> =
                publishing.map(|it| Publishing::Pending(Box::pin(it))).collect();
            for published in all(publishing).await {
                let index = receipts.len();
                receipts.push(published.map_err(|error| error.at_index(index))?);
            }
        }
        Ok(receipts)
    }
}

/// Waits for all of them, polled in order.
async fn all(mut publishing: Vec<Publishing<'_>>) -> Vec<Result<Receipt>> {
    poll_fn(|task| {
        let mut pending = false;
        for one in &mut publishing {
            if let Publishing::Pending(future) = one {
                match future.as_mut().poll(task) {
                    Poll::Ready(result) => *one = Publishing::Done(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let done = |one| match one {
        Publishing::Done(result) => Some(result),
        Publishing::Pending(_) => None,
    };
    publishing.into_iter().filter_map(done).collect()
}
