//! So many events in a second, and no more.

use std::time::Duration;

use nexus_events_model::Event;

use super::around::{
    Surround, around, call, may_wait, on_thread, only_for_a_bus, until_ended, wait_here,
};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{Called, Handler, HandlerError};
use crate::layer::{Layer, NewSubscription, Next, Published};
use crate::sync::{Arc, AtomicU64, Instant, Mutex, Ordering, sleep_until};

/// Lets so many events pass per second. After a pause a burst of them may pass at once; then each
/// has its turn, evenly spaced. Clones share one limit.
///
/// **[`on_publish`](Self::on_publish)**, for a bus: an event beyond the limit is refused with
/// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded).
///
/// **[`on_handle`](Self::on_handle)**, for handlers: a queued or blocking one waits for its turn;
/// an inline one, on the publisher's stack, fails temporarily and says in
/// [`retry_delay`](HandlerError::retry_delay) when its turn would be, which
/// [`Retry`](super::Retry) heeds. Around a whole bus its handlers share the limit.
///
/// ```
/// use nexus_events_dispatch::{Bus, ErrorKind, layers::RateLimit};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::builder().layer(RateLimit::on_publish(100).burst(2)).build()?;
/// bus.publish(Event::builder("a")).await?;
/// bus.publish(Event::builder("a")).await?;
/// let error = bus.publish(Event::builder("a")).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Overloaded);
/// tokio::time::advance(std::time::Duration::from_millis(10)).await;
/// bus.publish(Event::builder("a")).await?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct RateLimit {
    on_publish: bool,
    per_second: u32,
    burst: u32,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next event would come if all came evenly spaced.
    next: Mutex<Option<Instant>>,
    limited: AtomicU64,
}

impl RateLimit {
    /// Around publishing: at most this many per second, and as many at once.
    pub fn on_publish(per_second: u32) -> Self {
        Self { on_publish: true, ..Self::on_handle(per_second) }
    }

    /// Around handlers: at most this many per second, and as many at once.
    pub fn on_handle(per_second: u32) -> Self {
        Self { on_publish: false, per_second, burst: per_second, state: Arc::default() }
    }

    /// How many may pass at once after a pause, at least 1. Default: as many as per second.
    pub fn burst(mut self, events: u32) -> Self {
        self.burst = events;
        self
    }

    /// How many events had to wait or were refused.
    ///
    /// ```
    /// use nexus_events_dispatch::layers::RateLimit;
    /// assert_eq!(RateLimit::on_publish(100).limited(), 0);
    /// ```
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.state.limited.load(Ordering::Relaxed)
    }

    /// Takes a turn, now or later, when that is at most `wait` away; else how far it is.
    ///
    /// This is the generic cell rate algorithm: one instant is all the state there is.
    fn take(&self, wait: Duration) -> std::result::Result<Option<Instant>, Duration> {
        let now = Instant::now();
        let interval = Duration::from_secs(1) / self.per_second.max(1);
        let ahead = interval * self.burst.saturating_sub(1);
        let mut next = self.state.next.lock();
        let even = next.map_or(now, |next| next.max(now));
        let away = even.duration_since(now).saturating_sub(ahead);
        if !away.is_zero() {
            self.state.limited.fetch_add(1, Ordering::Relaxed);
        }
        if away > wait {
            return Err(away);
        }
        *next = Some(even + interval);
        Ok((!away.is_zero()).then(|| now + away))
    }

    fn text(&self) -> String {
        format!("the rate limit is {} events per second, {} at once", self.per_second, self.burst)
    }
}

impl Layer for RateLimit {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        if self.per_second == 0 || self.burst == 0 {
            return Err(Error::invalid_option(
                "a rate limit is 1 event per second or more, with a burst of 1 or more",
            ));
        }
        if self.on_publish { only_for_a_bus(self, subscription) } else { Ok(()) }
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        if self.on_publish { handler } else { around(handler, self.clone()) }
    }

    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        if self.on_publish && self.take(Duration::ZERO).is_err() {
            let message = format!("{}; publish more slowly", self.text());
            return Published::Ready(Err(Error::overloaded(message)));
        }
        next.run(event)
    }
}

const ENDED: &str = "the handler ended while it waited for its turn";

impl Surround for RateLimit {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        let wait = if may_wait(context) { Duration::MAX } else { Duration::ZERO };
        match self.take(wait) {
            Ok(None) => inner.call(event, context),
            Ok(Some(turn)) if on_thread(context) => {
                let ended = || Called::Ready(Err(ENDED.into()));
                wait_here(context, until_ended(context, sleep_until(turn)))
                    .map_or_else(ended, |()| inner.call(event, context))
            }
            Ok(Some(turn)) => Called::Pending(Box::pin(async move {
                if until_ended(context, sleep_until(turn)).await.is_none() {
                    return Err(ENDED.into());
                }
                match call(inner, event, context) {
                    Called::Ready(result) => result,
                    Called::Pending(future) => future.await,
                }
            })),
            Err(away) => Called::Ready(Err(HandlerError::from(self.text()).retry_after(away))),
        }
    }
}
