//! An end to handlers that take too long.

use std::time::Duration;

use nexus_events_model::{Event, OutcomeStatus};

use super::around::{Surround, around, call, finish, may_wait, on_thread, wait_here};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{BoxFuture, Called, Handler, HandlerError, HandlerResult, LastAttempt};
use crate::layer::{Layer, NewSubscription};
use crate::limits::TIMEOUT_DEFAULT;
use crate::sync::{Arc, AtomicU64, Instant, Ordering, timeout_at};

/// Stops an asynchronous handler that takes too long: its future is dropped and the outcome is
/// *timed out*. The handler sees the end coming in [`Context::deadline`].
///
/// A synchronous handler cannot be stopped. It runs to its end, its result stands, and when it was
/// late that is counted in [`TimeoutStats::late`].
///
/// Inside of a [`Retry`](super::Retry) each attempt has this long; outside, all attempts and the
/// delays between them together have.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::Timeout};
/// use nexus_events_model::{Event, OutcomeStatus};
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let timeout = Timeout::new(Duration::from_millis(200));
/// let hangs = async |_: Event| std::future::pending::<()>().await;
/// bus.on("a", hangs.named("hangs").layer(timeout.clone()))?;
/// let report = bus.publish_and_wait(Event::builder("a")).await?;
/// assert_eq!(report.outcome("hangs").unwrap().status, OutcomeStatus::TimedOut);
/// assert_eq!(timeout.stats().timed_out, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct Timeout {
    after: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    timed_out: AtomicU64,
    late: AtomicU64,
}

/// What a [`Timeout`] and its clones have seen.
///
/// ```
/// use nexus_events_dispatch::layers::Timeout;
/// assert_eq!(Timeout::default().stats().late, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutStats {
    /// Handlers that were stopped.
    pub timed_out: u64,
    /// Handlers that could not be stopped and ended after their deadline.
    pub late: u64,
}

impl Default for Timeout {
    /// 30 s.
    fn default() -> Self {
        Self::new(TIMEOUT_DEFAULT)
    }
}

impl Timeout {
    /// Handlers may take this long, more than 0.
    pub fn new(after: Duration) -> Self {
        Self { after, counts: Arc::default() }
    }

    /// How often the time was up.
    #[must_use]
    pub fn stats(&self) -> TimeoutStats {
        TimeoutStats {
            timed_out: self.counts.timed_out.load(Ordering::Relaxed),
            late: self.counts.late.load(Ordering::Relaxed),
        }
    }
}

impl Layer for Timeout {
    fn subscribe(&self, _: &mut NewSubscription) -> Result<()> {
        if self.after.is_zero() {
            return Err(Error::invalid_option("a timeout is longer than 0"));
        }
        Ok(())
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        around(handler, self.clone())
    }
}

impl Surround for Timeout {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        // So far away that it is never met.
        let Some(deadline) = Instant::now().checked_add(self.after) else {
            return inner.call(event, context);
        };
        let context = context.clone().with_deadline(deadline.into_std());
        if on_thread(&context) {
            return Called::Ready(match call(inner, event, &context) {
                Called::Ready(result) => self.ended(result, deadline),
                Called::Pending(future) => wait_here(&context, self.stop(future, deadline)),
            });
        }
        if may_wait(&context) {
            return Called::Pending(Box::pin(self.clone().wait(inner, event, context, deadline)));
        }
        Called::Ready(match call(inner, event, &context) {
            Called::Ready(result) => self.ended(result, deadline),
            Called::Pending(_) => {
                Err("an inline handler returned a future; let its `mode()` be `Mode::Queued`"
                    .into())
            }
        })
    }
}

impl Timeout {
    async fn wait(
        self,
        inner: &Arc<dyn Handler>,
        event: &Event,
        context: Context,
        deadline: Instant,
    ) -> HandlerResult {
        match call(inner, event, &context) {
            Called::Ready(result) => self.ended(result, deadline),
            Called::Pending(future) => self.stop(future, deadline).await,
        }
    }

    async fn stop(&self, future: BoxFuture<'_, HandlerResult>, deadline: Instant) -> HandlerResult {
        match timeout_at(deadline, future).await {
            Ok(result) => self.bounded(result, deadline),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> HandlerError {
        self.counts.timed_out.fetch_add(1, Ordering::Relaxed);
        HandlerError::timed_out(self.after)
    }

    /// The result of a synchronous handler.
    fn ended(&self, result: HandlerResult, deadline: Instant) -> HandlerResult {
        if Instant::now() > deadline {
            self.counts.late.fetch_add(1, Ordering::Relaxed);
        }
        self.bounded(result, deadline)
    }

    /// The result with the attempts of a layer inside bounded too.
    fn bounded(&self, result: HandlerResult, deadline: Instant) -> HandlerResult {
        result.map_err(|mut error| {
            let Some(retries) = error.take_retries() else { return error };
            let begun = error.attempts().len() as u32;
            let (timeout, first) = (self.clone(), begun + 1);
            error.with_retries(Box::pin(async move {
                match timeout_at(deadline, finish(retries, begun)).await {
                    Ok(last) => timeout.count(last, deadline),
                    Err(_) => LastAttempt { attempt: first, result: Err(timeout.timed_out()) },
                }
            }))
        })
    }

    /// A layer inside that knows the deadline stops its attempts itself.
    fn count(&self, last: LastAttempt, deadline: Instant) -> LastAttempt {
        let stopped =
            last.result.as_ref().err().map(HandlerError::outcome) == Some(OutcomeStatus::TimedOut);
        if stopped && Instant::now() >= deadline {
            self.counts.timed_out.fetch_add(1, Ordering::Relaxed);
        }
        last
    }
}
