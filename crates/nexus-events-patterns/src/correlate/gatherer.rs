//! A gatherer at work: a handler that takes events in, and a task that watches the time.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context as Task, Poll};

use nexus_events_dispatch as dispatch;
use nexus_events_dispatch::{Bus, Configured, Context, HandlerExt, Receipt, Subscription, WeakBus};
use nexus_events_model::{Event, EventBuilder, Text};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::gather::{Each, Gather, Key, Summary};
use super::keys::{Closed, Gathered, Keys};
use super::stats::{Counts, GatherStats, add};
use crate::error::{Error, ErrorKind, Result};

/// Gathers until it is [closed](Self::close), or its bus is gone; dropping this does not end it.
#[derive(Debug)]
pub struct Gatherer {
    core: Arc<Core>,
    subscription: Subscription,
    bus: Bus,
}

struct Core {
    keys: Mutex<Keys>,
    key: Key,
    each: Option<Each>,
    publish: Option<Summary>,
    counts: Counts,
    changed: Arc<Notify>,
}

impl Gatherer {
    pub(crate) fn begin(gather: Gather, bus: &Bus) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = "a gatherer watches the time on tokio; attach it inside a runtime, for instance under #[tokio::main]";
            Error::new(ErrorKind::Bus(dispatch::ErrorKind::NoRuntime), message).caused_by(error)
        })?;
        let core = Arc::new(Core {
            keys: Mutex::new(Keys::new(gather.until, gather.timeout, gather.most)),
            key: gather.key,
            each: gather.each,
            publish: gather.publish,
            counts: Counts::default(),
            changed: Arc::default(),
        });
        let name = gather.name.unwrap_or_else(|| format!("gather {}", gather.pattern).into());
        let taking_in = core.clone();
        let handler: Configured = (move |event: &Event, context: &Context| {
            taking_in.take_in(event, context);
        })
        .named(name);
        let subscription = bus.on(gather.pattern, handler)?;
        // It keeps neither the bus nor the gatherer alive.
        runtime.spawn(watch(Arc::downgrade(&core), core.changed.clone(), bus.downgrade()));
        Ok(Self { core, subscription, bus: bus.clone() })
    }

    /// Waits for the events of one key, from now on and whatever came before. Expect a key before
    /// its first event is published, and nothing is missed.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::{Gather, Until};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// let gatherer = Gather::of("vote.cast", Until::count(2))?.attach(&bus)?;
    /// let votes = gatherer.expect("poll-1")?;
    /// for _ in 0..2 {
    ///     bus.publish(Event::builder("vote.cast").correlation_id("poll-1")).await?;
    /// }
    /// assert!(votes.await?.is_complete());
    /// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] when somebody else waits for this key.
    pub fn expect(&self, key: impl Into<Text>) -> Result<Gathering> {
        let key = key.into();
        let (sender, receiver) = oneshot::channel();
        let closed = self.core.keys.lock().expect(&key, sender, Instant::now());
        let Some(closed) = closed else {
            let message = format!("somebody waits for `{key}` already; share what comes of it");
            return Err(Error::invalid_option(message));
        };
        self.core.changed.notify_one();
        for closed in closed {
            if let Some(event) = self.core.end(closed) {
                self.core.published(self.bus.try_publish(event));
            }
        }
        Ok(Gathering(receiver))
    }

    /// What it holds and has counted.
    #[must_use]
    pub fn stats(&self) -> GatherStats {
        let keys = self.core.keys.lock();
        self.core.counts.stats(keys.len(), keys.bytes())
    }

    /// Ends it: no more events are taken in, and what is open ends as it is, with the reason
    /// [`GatherReason::Shutdown`](crate::GatherReason::Shutdown).
    pub async fn close(self) -> GatherStats {
        self.subscription.unsubscribe().await;
        let closed = self.core.keys.lock().close_all();
        for closed in closed {
            if let Some(event) = self.core.end(closed) {
                self.core.published(self.bus.publish(event).await);
            }
        }
        self.stats()
    }
}

impl Core {
    fn take_in(&self, event: &Event, context: &Context) {
        let Some(key) = (self.key)(event) else { return add(&self.counts.without_key) };
        let added = {
            let mut keys = self.keys.lock();
            let was_empty = keys.len() == 0;
            (keys.add(&key, event, Instant::now()), was_empty)
        };
        let (Some(closed), was_empty) = added else { return add(&self.counts.late) };
        add(&self.counts.events);
        if was_empty {
            self.changed.notify_one();
        }
        for closed in closed {
            if let Some(event) = self.end(closed) {
                self.published(context.publish(event));
            }
        }
    }

    fn published(&self, published: dispatch::Result<Receipt>) {
        if published.is_err() {
            add(&self.counts.unpublished);
        }
    }

    fn contain<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let called = catch_unwind(AssertUnwindSafe(call));
        // Dropping what was thrown might panic again.
        let called = called.map_err(std::mem::forget).ok();
        if called.is_none() {
            add(&self.counts.panicked);
            warn!("a function that is told of gatherings has panicked");
        }
        called
    }

    /// Tells whoever is to know; gives back the event to be published.
    fn end(&self, closed: Closed) -> Option<EventBuilder> {
        let Closed { gathered, waiter } = closed;
        self.counts.closed(gathered.reason);
        // A panic of the program's functions ends neither the task nor the other gatherings.
        if let Some(each) = &self.each {
            self.contain(|| each(&gathered));
        }
        let summary = |publish: &Summary| self.contain(|| summary(publish, &gathered));
        let event = self.publish.as_ref().and_then(summary);
        if let Some(waiter) = waiter {
            // Whoever expected it may have gone.
            let _ = waiter.send(gathered);
        }
        event
    }
}

/// The event of a result, caused by the last one that was gathered.
fn summary(publish: &Summary, gathered: &Gathered) -> EventBuilder {
    let event = publish(gathered);
    match gathered.events.last() {
        Some(last) => event.caused_by(last),
        None => event,
    }
}

/// Ends gatherings whose time is over.
async fn watch(core: Weak<Core>, changed: Arc<Notify>, bus: WeakBus) {
    loop {
        let deadline = match core.upgrade() {
            Some(core) => core.keys.lock().deadline(),
            None => return,
        };
        match deadline {
            Some(deadline) => drop(timeout_at(deadline, changed.notified()).await),
            None => changed.notified().await,
        }
        let Some(core) = core.upgrade() else { return };
        let closed = core.keys.lock().time_out(Instant::now());
        for closed in closed {
            let event = core.end(closed);
            if let (Some(event), Some(bus)) = (event, bus.upgrade()) {
                core.published(bus.publish(event).await);
            }
        }
    }
}

impl Drop for Core {
    /// Lets the task see that there is nothing to watch any more.
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("open", &self.keys.lock().len()).finish_non_exhaustive()
    }
}

/// What comes of a key that was expected; await it.
///
/// # Errors
/// [`ErrorKind::Closed`] when its bus is gone.
#[derive(Debug)]
#[must_use = "what was gathered is lost when it is not awaited"]
pub struct Gathering(oneshot::Receiver<Gathered>);

impl Future for Gathering {
    type Output = Result<Gathered>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task).map(|gathered| {
            gathered.map_err(|_| {
                let message =
                    "the gatherer is gone with its bus; keep the bus, or close the gatherer before";
                Error::new(ErrorKind::Closed, message)
            })
        })
    }
}
