//! Handlers that take several events at a time.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::layers::Backoff;
use nexus_events_dispatch::{BoxFuture, Called, Configured, Context, Handler, HandlerExt};
use nexus_events_model::{Event, Text};

use super::collect::Collector;
use super::failure::BatchFailure;
use crate::error::{Error, Result};
use crate::limits::{
    BATCH_BYTES_DEFAULT, BATCH_EVENTS_DEFAULT, BATCH_INTERVAL_DEFAULT, BATCH_PROBE_DEFAULT,
    BATCH_WAITING_MAX,
};
use crate::window::CloseReason;

/// Several events that are handled together: in the order of the log for a durable handler, of their
/// timestamps otherwise.
///
/// ```
/// use nexus_events_patterns::{Batch, BatchFailure};
/// async fn store(batch: Batch) -> Result<(), BatchFailure> {
///     for event in batch.iter() {
///         println!("{} {:?}", event.id(), batch.key());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    pub(super) events: Vec<Event>,
    pub(super) key: Option<Text>,
    pub(super) reason: CloseReason,
}

impl Batch {
    /// What its events have in common, where they are grouped.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Why it is given now: *size*, *bytes* or *time*; *forced* for an event that is tried alone.
    #[must_use]
    pub fn reason(&self) -> CloseReason {
        self.reason
    }

    /// The events.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }
}

impl Deref for Batch {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.events
    }
}

pub(super) type Handles =
    Box<dyn Fn(Batch) -> BoxFuture<'static, Result<(), BatchFailure>> + Send + Sync>;

type KeyOf = Box<dyn Fn(&Event) -> Option<Text> + Send + Sync>;

/// Makes a handler of a function that takes several events at a time.
///
/// Each event is handled when its batch has succeeded, and not before: a report, a retry, a dead
/// letter, a durable handler's cursor are about single events as with any other handler. A batch
/// that fails is given again, after a [`Backoff`]; when it has failed three times, or for good, its
/// events are tried one by one, so that the one that is wrong fails alone. An event that the function
/// [names](BatchFailure::event) fails at once, and the others are given again without it.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::DeadLetters};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{Batch, BatchFailure, BatchHandler};
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// async fn insert(batch: Batch) -> Result<(), BatchFailure> {
///     match batch.iter().position(|event| event.payload().get("amount").is_none()) {
///         Some(place) => Err(BatchFailure::event(place, "no amount")),
///         None => Ok(println!("insert {} rows", batch.len())),
///     }
/// }
/// let (bus, letters) = (Bus::new(), DeadLetters::new());
/// let insert = BatchHandler::of(insert).size(100).interval(Duration::from_millis(50)).build()?;
/// bus.on("order.*", insert.layer(letters.layer()))?;
/// for amount in [Some(1), None, Some(3)] {
///     let payload = amount.map_or(serde_json::json!({}), |amount| serde_json::json!({"amount": amount}));
///     bus.publish(Event::builder("order.created").payload(payload)).await?;
/// }
/// bus.idle().await;
/// assert_eq!(letters.stats().letters, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "it does nothing until it is built and registered"]
pub struct BatchHandler {
    pub(super) handles: Handles,
    pub(super) size: usize,
    pub(super) interval: Duration,
    pub(super) bytes: usize,
    pub(super) concurrency: usize,
    pub(super) probe_after: u32,
    pub(super) backoff: Backoff,
    pub(super) key: Option<KeyOf>,
}

impl BatchHandler {
    /// A function for batches of 100 events, or what comes within 250 ms.
    pub fn of<F>(handles: impl Fn(Batch) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), BatchFailure>> + Send + 'static,
    {
        Self {
            handles: Box::new(move |batch| Box::pin(handles(batch))),
            size: BATCH_EVENTS_DEFAULT,
            interval: BATCH_INTERVAL_DEFAULT,
            bytes: BATCH_BYTES_DEFAULT,
            concurrency: 1,
            probe_after: BATCH_PROBE_DEFAULT,
            backoff: Backoff::new(),
            key: None,
        }
    }

    /// The most events of a batch; one that has as many is given at once.
    pub fn size(mut self, events: usize) -> Self {
        self.size = events;
        self
    }

    /// How long after its first event a batch is given that has fewer.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// With how many bytes of events it is given although it has fewer. Default: 4 MiB.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many batches are handled at the same time. Default: 1. Which of two batches an event is
    /// in, when both are filled at the same time, is not said.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.concurrency = batches;
        self
    }

    /// Only events of the same key are in a batch, and one batch of a key is handled at a time.
    /// Events without a key are a group too.
    pub fn group_by(
        mut self,
        key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Box::new(key));
        self
    }

    /// After how many failures of the whole batch its events are tried one by one, at least 1.
    /// Default: 3.
    pub fn probe_after(mut self, failures: u32) -> Self {
        self.probe_after = failures;
        self
    }

    /// How long a batch that failed waits. Default: that of [`Backoff`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The handler, to be registered with [`Bus::on`](nexus_events_dispatch::Bus::on); it can be
    /// named, durable, and have layers. As many events as are in all concurrent batches are with it
    /// at the same time, and more wait in its queue.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption), naming what is 0 or too much:
    /// size × concurrency is 65,536 at most; or the backoff.
    pub fn build(self) -> Result<Configured> {
        let waiting = self.size.saturating_mul(self.concurrency);
        let numbers = [
            ("size", self.size),
            ("bytes", self.bytes),
            ("concurrency", self.concurrency),
            ("probe_after", self.probe_after as usize),
        ];
        if let Some((what, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(Error::invalid_option(format!("{what} of a batch is at least 1, not 0")));
        }
        if self.interval.is_zero() {
            return Err(Error::invalid_option("the interval of a batch is more than 0"));
        }
        self.backoff
            .check()
            .map_err(|error| Error::invalid_option(format!("the backoff of a batch: {error}")))?;
        if waiting > BATCH_WAITING_MAX {
            return Err(Error::invalid_option(format!(
                "{} batches of {} events are {waiting} at the same time, the most is {BATCH_WAITING_MAX}; lower size or concurrency",
                self.concurrency, self.size
            )));
        }
        let handler = Collecting(Arc::new(Collector::new(self)));
        Ok(handler.with(|options| options.concurrency(waiting)))
    }
}

impl fmt::Debug for BatchHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchHandler")
            .field("size", &self.size)
            .field("interval", &self.interval)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

struct Collecting(Arc<Collector>);

impl Handler for Collecting {
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        Called::Pending(Box::pin(self.0.handle(event, context.offset())))
    }

    fn name(&self) -> Text {
        Text::from_static("batch")
    }
}
