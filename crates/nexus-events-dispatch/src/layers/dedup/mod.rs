//! The same event, published or handled once.

mod seen;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nexus_events_model::{Event, Text};
use serde_json::Value;

use self::seen::{First, Key, Known, Seen};
use super::around::{
    Surround, around, at_last, call, caught, may_wait, on_thread, only_for_a_bus, until_ended,
    wait_here,
};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{Called, Handler, HandlerError, HandlerResult};
use crate::layer::{Door, Layer, NewSubscription, Next, Published};
use crate::limits::{DEDUP_KEY_BYTES_MAX, DEDUP_KEYS_DEFAULT, DEDUP_WINDOW_DEFAULT};
use crate::publish::Receipt;
use crate::sync::{Arc, AtomicU64, Ordering, watch};

/// Lets an event pass once: by its id, or by an idempotency key taken from it.
///
/// A key is marked when its event succeeded, and counts for 10 minutes, or until a million others
/// came after it. A failed event may therefore come again.
///
/// **[`on_publish`](Self::on_publish)**, for a bus: a duplicate is not published; its publisher
/// gets the receipt of the first one with [`duplicate`](Receipt::duplicate) set. While the first
/// one is being published, a duplicate waits for its receipt; a handler that publishes one gets
/// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) instead, because the first one may wait
/// for that very handler. An event counts as published once it is in, also when its publisher
/// gives up waiting for room in a queue.
///
/// **[`on_handle`](Self::on_handle)**, for handlers: a duplicate is not handled; its outcome is a
/// success without a value. While the first one is handled, a duplicate waits for its end, and is
/// handled itself when that was a failure; on a publisher's own stack it cannot wait and fails,
/// temporarily. Each handler has keys of its own. Inside of [`Retry`](super::Retry) each attempt
/// counts by itself; outside, a duplicate waits for all attempts of the first one.
///
/// ```
/// use nexus_events_dispatch::{Bus, layers::Dedup};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let by_order = |event: &Event| event.payload().get("order")?.as_str().map(Into::into);
/// let bus = Bus::builder().layer(Dedup::on_publish().by(by_order)).build()?;
/// let order = || Event::builder("order.created").payload(serde_json::json!({"order": "A-1"}));
/// let first = bus.publish(order()).await?;
/// let second = bus.publish(order()).await?;
/// assert_eq!((second.event_id, second.duplicate), (first.event_id, true));
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct Dedup {
    place: Place,
    key: Option<Arc<KeyOf>>,
    window: Duration,
    keys_max: usize,
    published: Option<Arc<Seen<Receipt>>>,
    duplicates: Arc<AtomicU64>,
}

type KeyOf = dyn Fn(&Event) -> Option<Text> + Send + Sync;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Publish,
    Handle,
}

impl Dedup {
    /// Around publishing, by event id.
    pub fn on_publish() -> Self {
        Self::new(Place::Publish)
    }

    /// Around handlers, by event id.
    pub fn on_handle() -> Self {
        Self::new(Place::Handle)
    }

    fn new(place: Place) -> Self {
        let new = Self {
            place,
            key: None,
            window: DEDUP_WINDOW_DEFAULT,
            keys_max: DEDUP_KEYS_DEFAULT,
            published: None,
            duplicates: Arc::default(),
        };
        new.remember()
    }

    /// With a memory for its settings.
    fn remember(mut self) -> Self {
        self.published =
            (self.place == Place::Publish).then(|| Seen::new(self.window, self.keys_max));
        self
    }

    /// By this key, at most 255 bytes; an event without one always passes.
    pub fn by(mut self, key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// How long a key counts. Default: 10 minutes.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self.remember()
    }

    /// How many keys are remembered, the latest ones, at least 1. Default: 1,000,000.
    pub fn keys(mut self, keys: usize) -> Self {
        self.keys_max = keys;
        self.remember()
    }

    /// How many duplicates this layer and its clones stopped.
    ///
    /// ```
    /// use nexus_events_dispatch::layers::Dedup;
    /// assert_eq!(Dedup::on_publish().duplicates(), 0);
    /// ```
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    fn key_of(&self, event: &Event) -> std::result::Result<Option<Key>, HandlerError> {
        let Some(key) = &self.key else { return Ok(Some(Key::Id(event.id().clone()))) };
        let Some(key) = catch_unwind(AssertUnwindSafe(|| key(event))).map_err(caught)? else {
            return Ok(None);
        };
        if key.len() > DEDUP_KEY_BYTES_MAX {
            return Err(HandlerError::permanent(format!(
                "an idempotency key is {} bytes long, the most is {DEDUP_KEY_BYTES_MAX}",
                key.len()
            )));
        }
        Ok(Some(Key::Text(key)))
    }
}

impl Layer for Dedup {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        if self.keys_max == 0 {
            return Err(Error::invalid_option("a dedup layer remembers 1 key or more"));
        }
        match self.place {
            Place::Publish => only_for_a_bus(self, subscription),
            Place::Handle => Ok(()),
        }
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        match self.place {
            Place::Publish => handler,
            Place::Handle => {
                let seen = Seen::new(self.window, self.keys_max);
                around(handler, Handling { dedup: self.clone(), seen })
            }
        }
    }

    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        let Some(seen) = &self.published else { return next.run(event) };
        let key = match self.key_of(&event) {
            Ok(Some(key)) => key,
            Ok(None) => return next.run(event),
            Err(error) => return Published::Ready(Err(Error::refused(error.to_string()))),
        };
        match seen.look(key.clone()) {
            Known::New(first) => publish(first, event, next),
            Known::Done(receipt) => Published::Ready(Ok(self.duplicate(receipt))),
            Known::Running(_) if Context::current(next.bus()).is_some() => {
                let error = "an event with this idempotency key is being published; try again";
                Published::Ready(Err(Error::overloaded(error)))
            }
            Known::Running(mut over) => Published::Pending(Box::pin(async move {
                loop {
                    // Closed, which is an error to those who wait for values.
                    let _ = over.changed().await;
                    match seen.look(key.clone()) {
                        Known::New(first) => return publish(first, event, next).wait().await,
                        Known::Done(receipt) => return Ok(self.duplicate(receipt)),
                        Known::Running(again) => over = again,
                    }
                }
            })),
        }
    }
}

impl Dedup {
    fn duplicate(&self, receipt: Receipt) -> Receipt {
        self.count();
        Receipt { duplicate: true, ..receipt }
    }
}

/// Publishes the first event of a key, and marks the key when it is in.
fn publish<'a>(first: First<Receipt>, event: Event, next: Next<'a>) -> Published<'a> {
    let mut publishing = Publishing { first: Some(first), door: next.door };
    match next.run(event) {
        Published::Ready(result) => {
            publishing.over(&result);
            Published::Ready(result)
        }
        Published::Pending(future) => Published::Pending(Box::pin(async move {
            let result = future.await;
            publishing.over(&result);
            result
        })),
    }
}

/// The first event of a key on its way in.
struct Publishing<'a> {
    first: Option<First<Receipt>>,
    door: &'a dyn Door,
}

impl Publishing<'_> {
    fn over(&mut self, result: &Result<Receipt>) {
        if let Ok(receipt) = result
            && let Some(first) = self.first.take()
        {
            first.succeeded(receipt.clone());
        }
    }
}

impl Drop for Publishing<'_> {
    /// Its publisher may have gone, or got no report, while the event goes on.
    fn drop(&mut self) {
        if let (Some(receipt), Some(first)) = (self.door.entered(), self.first.take()) {
            first.succeeded(receipt.clone());
        }
    }
}

/// The layer around one handler.
struct Handling {
    dedup: Dedup,
    seen: Arc<Seen<()>>,
}

impl Surround for Handling {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        let key = match self.dedup.key_of(event) {
            Ok(Some(key)) => key,
            Ok(None) => return inner.call(event, context),
            Err(error) => return Called::Ready(Err(error)),
        };
        match self.seen.look(key.clone()) {
            Known::New(first) => handled(first, inner, event, context),
            Known::Done(()) => Called::Ready(self.duplicate()),
            Known::Running(_) if !may_wait(context) => {
                Called::Ready(Err("an event with this idempotency key is being handled".into()))
            }
            Known::Running(over) if on_thread(context) => {
                match wait_here(context, self.wait(key, over, context)) {
                    Ok(first) => handled(first, inner, event, context),
                    Err(result) => Called::Ready(result),
                }
            }
            Known::Running(over) => Called::Pending(Box::pin(async move {
                match self.wait(key, over, context).await {
                    Ok(first) => match handled(first, inner, event, context) {
                        Called::Ready(result) => result,
                        Called::Pending(future) => future.await,
                    },
                    Err(result) => result,
                }
            })),
        }
    }
}

impl Handling {
    /// Waits for the first event of this key; its place when it failed, or what a duplicate gets.
    async fn wait(
        &self,
        key: Key,
        mut over: watch::Receiver<()>,
        context: &Context,
    ) -> std::result::Result<First<()>, HandlerResult> {
        loop {
            if until_ended(context, over.changed()).await.is_none() {
                let error = "the handler ended while an earlier duplicate was handled";
                return Err(Err(error.into()));
            }
            match self.seen.look(key.clone()) {
                Known::New(first) => return Ok(first),
                Known::Done(()) => return Err(self.duplicate()),
                Known::Running(again) => over = again,
            }
        }
    }

    fn duplicate(&self) -> HandlerResult {
        self.dedup.count();
        Ok(Value::Null)
    }
}

/// Marks the key when the last attempt succeeds.
fn handled<'a>(
    first: First<()>,
    inner: &'a Arc<dyn Handler>,
    event: &'a Event,
    context: &'a Context,
) -> Called<'a> {
    at_last(call(inner, event, context), move |result| {
        if result.is_ok() {
            first.succeeded(());
        }
    })
}

impl fmt::Debug for Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.published.as_ref().map(|seen| seen.len());
        f.debug_struct("Dedup")
            .field("place", &self.place)
            .field("window", &self.window)
            .field("keys_max", &self.keys_max)
            .field("remembered", &remembered)
            .finish_non_exhaustive()
    }
}
