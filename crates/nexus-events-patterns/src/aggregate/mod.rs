//! Aggregation: events of a key and a window become one event.

mod builder;
mod core;
mod handler;
mod kept;
mod options;
mod out;
mod output;
mod stats;

use std::fmt;
use std::sync::Arc;

use nexus_events_dispatch::{Bus, Subscription, SubscriptionOptions};
use nexus_events_model::Pattern;
use parking_lot::Mutex;

pub use self::builder::AggregatorBuilder;
pub use self::core::AggregateKey;
use self::core::{Core, To};
use self::handler::Taking;
pub use self::options::{Bounds, Late};
pub use self::output::Aggregate;
pub use self::stats::AggregatorStats;
use crate::error::{Error, Result};
use crate::window::CloseReason;

/// Makes one event of all those of a key and a window, and publishes it when the window is over.
/// Clones are the same aggregator.
///
/// It is made by a builder: a [key](Aggregator::by), a [window](AggregatorBuilder::window), how
/// events are [folded](AggregatorBuilder::fold) into one value, and the
/// [type](AggregatorBuilder::publish_as) that is published. Every event that comes is in the
/// aggregate of one window (of each that overlaps, where they slide), or it is late, or it has no
/// key; all of that is [counted](Self::stats).
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{Aggregate, Aggregator, Bounds, window::Session};
/// use serde_json::json;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let per_user = Aggregator::by(|event: &Event| event.user_id().cloned())
///     .window(Session::gap(Duration::from_secs(5)).max_wait(Duration::from_secs(30)))
///     .bounds(Bounds::per_key(1_000).total_keys(50_000))
///     .fold(|| 0, |clicks: &mut u32, _: &Event| *clicks += 1)
///     .publish_as("user.summary")
///     .attach(&bus, "user.activity.*")?;
///
/// let (sender, mut summaries) = tokio::sync::mpsc::unbounded_channel();
/// bus.on("user.summary", move |event: &Event| sender.send(event.clone()).unwrap())?;
/// for _ in 0..3 {
///     bus.publish(Event::builder("user.activity.click").user_id("u1")).await?;
/// }
/// // Five seconds later:
/// let summary = summaries.recv().await.unwrap();
/// assert_eq!(summary.payload().get("value").unwrap(), 3);
/// assert_eq!(summary.payload().get("reason").unwrap(), "time");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// # When a window is over
///
/// Unless [`event_time`](AggregatorBuilder::event_time) is asked for, an event belongs to the window
/// of the time at which it came, and the clock closes windows. In event time it is the timestamps of
/// events that close them, and [`idle_close`](AggregatorBuilder::idle_close) does when none come.
///
/// # At the end
///
/// A shutdown of the bus closes all windows, with the reason *shutdown*: after everything that was
/// on its way has come in, and before handlers end, so that the aggregates are handled. Without a
/// shutdown the bus stays as long as the clock is going to close a window.
///
/// # What is published
///
/// An [`Aggregate`]. It names the last event of its window as its cause, and belongs to their
/// conversation if they are all of the same. It goes through the front door of the bus, one after
/// the other: while the bus is slow the aggregator waits, and holds its own queue up.
pub struct Aggregator<K, A>(Arc<dyn Running<K, A>>);

/// An aggregator, whatever it aggregates.
trait Running<K, A>: Send + Sync {
    fn attach(
        &self,
        bus: &Bus,
        pattern: Pattern,
        options: SubscriptionOptions,
    ) -> Result<Subscription>;
    fn flush(&self) -> nexus_events_dispatch::BoxFuture<'_, ()>;
    fn close(&self) -> nexus_events_dispatch::BoxFuture<'_, ()>;
    fn stats(&self) -> AggregatorStats;
}

struct Attached<I, K, A> {
    core: Arc<Core<I, K, A>>,
    bus: Mutex<Option<Bus>>,
    subscriptions: Mutex<Vec<Subscription>>,
}

impl<K: AggregateKey, A: Send + 'static> Aggregator<K, A> {
    /// Also takes the events of this pattern in, except those that it publishes itself. Of several
    /// patterns, the events of a key go into the same windows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for another bus than the first,
    /// or a second pattern of a durable one; those of
    /// [`Bus::on`](nexus_events_dispatch::Bus::on).
    pub fn attach(
        &self,
        bus: &Bus,
        pattern: impl TryInto<Pattern, Error: Into<nexus_events_dispatch::Error>>,
    ) -> Result<Subscription> {
        self.attach_with(bus, pattern, SubscriptionOptions::new())
    }

    /// The same as [`attach`](Self::attach), with a filter, a priority, layers, or a queue of its
    /// own.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_with(
        &self,
        bus: &Bus,
        pattern: impl TryInto<Pattern, Error: Into<nexus_events_dispatch::Error>>,
        options: SubscriptionOptions,
    ) -> Result<Subscription> {
        let pattern = pattern.try_into().map_err(Into::into)?;
        self.0.attach(bus, pattern, options)
    }

    /// Closes all windows now, with the reason *forced*, and returns when they are published.
    pub async fn flush(&self) {
        self.0.flush().await;
    }

    /// Ends it: it takes nothing more in, closes all windows with the reason *shutdown*, and returns
    /// when they are published. Events that wait in its queue are skipped; a
    /// [`Bus::idle`](nexus_events_dispatch::Bus::idle) before it lets them in. A shutdown of the bus
    /// does the same by itself, and skips nothing.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> AggregatorStats {
        self.0.stats()
    }
}

impl<I, K, A> Running<K, A> for Attached<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    fn attach(
        &self,
        bus: &Bus,
        pattern: Pattern,
        options: SubscriptionOptions,
    ) -> Result<Subscription> {
        self.check(bus)?;
        let handler = Taking { core: self.core.clone(), name: self.core.source.clone() };
        if let Some(kept) = &self.core.kept {
            return self.attach_kept(kept, bus, pattern, Arc::new(handler), options);
        }
        let subscription = bus.subscribe(pattern, Arc::new(handler), options)?;
        self.subscriptions.lock().push(subscription.clone());
        let is_first = self.bus.lock().replace(bus.clone()).is_none();
        if is_first {
            let core = self.core.clone();
            bus.at_shutdown(move |closing| async move {
                let cut_off = CutOff(&*core);
                if core.end(&To::Closing(&closing)).await.is_ok() {
                    std::mem::forget(cut_off);
                }
            });
        }
        Ok(subscription)
    }

    fn flush(&self) -> nexus_events_dispatch::BoxFuture<'_, ()> {
        Box::pin(async {
            let Some(bus) = self.bus.lock().clone() else { return };
            if let Some(kept) = &self.core.kept {
                let _ = self.core.ask(kept, &bus, true).await;
                return bus.idle().await;
            }
            // Where the bus is closed, its end publishes it.
            let _ = self.core.close_and_publish(CloseReason::Forced, &To::Bus(&bus)).await;
        })
    }

    fn close(&self) -> nexus_events_dispatch::BoxFuture<'_, ()> {
        Box::pin(async {
            let subscriptions = std::mem::take(&mut *self.subscriptions.lock());
            for subscription in subscriptions {
                subscription.unsubscribe().await;
            }
            let Some(bus) = self.bus.lock().clone() else { return };
            if self.core.kept.is_some() {
                return;
            }
            let _ = self.core.end(&To::Bus(&bus)).await;
        })
    }

    fn stats(&self) -> AggregatorStats {
        self.core.stats()
    }
}

impl<I, K, A> Attached<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    /// Attaches the two durable handlers: for events, and for the clock.
    fn attach_kept(
        &self,
        kept: &kept::Kept<K, A>,
        bus: &Bus,
        pattern: Pattern,
        handler: Arc<Taking<I, K, A>>,
        options: SubscriptionOptions,
    ) -> Result<Subscription> {
        if self.bus.lock().is_some() {
            let message = "a durable aggregator takes the events of one pattern; use `**` in it, or build another aggregator";
            return Err(Error::invalid_option(message));
        }
        let subscription =
            bus.subscribe(pattern, handler.clone(), options.durable(kept.name.clone()))?;
        let clock = SubscriptionOptions::new().durable(format!("{}.due", kept.name));
        let clock = bus.subscribe(Pattern::from(kept.due.clone()), handler, clock)?;
        self.subscriptions.lock().extend([subscription.clone(), clock]);
        *self.bus.lock() = Some(bus.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.core.clone().begin(bus.clone()));
        }
        Ok(subscription)
    }
}

impl<I, K, A> Attached<I, K, A> {
    fn check(&self, bus: &Bus) -> Result<()> {
        match self.bus.lock().as_ref() {
            Some(first) if !Bus::ptr_eq(first, bus) => {
                let message = "an aggregator is of one bus; build another one for this bus";
                Err(Error::invalid_option(message))
            }
            _ => Ok(()),
        }
    }
}

/// Counts what is left at the deadline of a shutdown.
struct CutOff<'a, I: 'static, K: AggregateKey, A: Send + 'static>(&'a Core<I, K, A>);

impl<I: 'static, K: AggregateKey, A: Send + 'static> Drop for CutOff<'_, I, K, A> {
    fn drop(&mut self) {
        self.0.cut_off();
    }
}

impl<K, A> Clone for Aggregator<K, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, A> fmt::Debug for Aggregator<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aggregator").field(&self.0.stats()).finish()
    }
}
