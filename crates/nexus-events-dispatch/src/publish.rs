//! The path of one event into the bus.

use nexus_events_model::{Event, EventId, IntoEvent, PublishReport};

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, Wait};
use crate::entrance::{Entering, Entrance, now};
use crate::error::{Error, Result};
use crate::route::Route;
use crate::store::Offset;
use crate::sync::oneshot;
use crate::trace;

/// Proof that an event was accepted.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// let bus = Bus::new();
/// bus.on("order.*", |_: &Event| {})?;
/// let receipt = bus.try_publish(Event::builder("order.created"))?;
/// assert_eq!((receipt.matched, receipt.rejected), (1, 0));
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The event's id, made now if it had none.
    pub event_id: EventId,
    /// How many handlers it matched, filters included.
    pub matched: usize,
    /// How many of them were skipped so far because their queue was full.
    pub rejected: usize,
    /// Whether it was published by a handler, and so waits until the running wave is over.
    pub follow_up: bool,
    /// Whether a layer had seen it before; nothing was published again.
    pub duplicate: bool,
    /// Where it is in the log, when the bus has a store. A follow-up is stored later.
    pub offset: Option<Offset>,
}

impl Receipt {
    /// A receipt of a layer that answers for an event itself: no handler matched.
    ///
    /// ```
    /// use nexus_events_dispatch::Receipt;
    /// use nexus_events_model::EventId;
    /// assert_eq!(Receipt::new(EventId::new("evt-1")?).matched, 0);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn new(event_id: EventId) -> Self {
        Self { event_id, matched: 0, rejected: 0, follow_up: false, duplicate: false, offset: None }
    }
}

impl Bus {
    /// Publishes an event and returns when it is accepted: inline handlers have run, others have
    /// it in their queue. Where a wave has handlers that run elsewhere, lower waves come later.
    ///
    /// A full queue is waited for up to a second; then that handler is skipped and counted in
    /// [`Receipt::rejected`]. Called from inside a handler this is [`Context::publish`].
    ///
    /// # Cancel safety
    /// When the future is dropped the event is either in, or nothing of it has happened; only the
    /// receipt would say which. It is not in before the future is polled, while a layer waits
    /// before the door, and while a full lane that handlers share is waited for. After that it goes
    /// on without its publisher: it keeps its place before a full queue as long as that queue's
    /// policy says, and lower waves follow. Publishing it again under the same id is safe behind a
    /// [`Dedup`](crate::layers::Dedup) layer.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("order.created", |event: &Event| println!("{}", event.id()))?;
    /// assert_eq!(bus.publish(Event::builder("order.created")).await?.matched, 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed event,
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after [`shutdown`](Self::shutdown); inside
    /// a handler also those of [`Context::publish`].
    pub async fn publish(&self, event: impl IntoEvent) -> Result<Receipt> {
        match self.come_in(event).map_err(trace::refused)? {
            Entering::In(receipt) => Ok(receipt),
            Entering::Passed(passed) => {
                passed.go_on(self, Wait::Here, drop).await.map_err(trace::refused)
            }
            Entering::Layered(event) => {
                Entrance::new(self, Wait::Here).enter(event).await.map_err(trace::refused)
            }
        }
    }

    /// As [`publish`](Self::publish), but never waits: a handler whose queue is full is skipped
    /// at once.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`ErrorKind::WouldWait`](crate::ErrorKind::WouldWait)
    /// when a layer of the bus has to wait.
    pub fn try_publish(&self, event: impl IntoEvent) -> Result<Receipt> {
        match self.come_in(event).map_err(trace::refused)? {
            Entering::In(receipt) => Ok(receipt),
            Entering::Passed(passed) => {
                let passed = now(passed.go_on(self, Wait::Never, drop));
                passed.unwrap_or_else(|| Err(Error::would_wait())).map_err(trace::refused)
            }
            Entering::Layered(event) => {
                let entrance = Entrance::new(self, Wait::Never);
                let entered = now(entrance.enter(event));
                entered.unwrap_or_else(|| Err(Error::would_wait())).map_err(trace::refused)
            }
        }
    }

    /// Publishes an event and returns when every handler is done, with all outcomes in the order
    /// of their turns. Follow-ups are not waited for.
    ///
    /// Called from inside a handler this is [`Context::publish_and_wait`].
    ///
    /// # Cancel safety
    /// The event is in with the first poll, unless a layer waits before the door. When the future
    /// is dropped after that, the event goes on as with [`publish`](Self::publish), and only its
    /// report is lost.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// let total = async |event: Event| event.payload().get("amount").cloned().ok_or("no amount");
    /// bus.on("order.created", total.named("total"))?;
    /// let order = Event::builder("order.created").payload(serde_json::json!({"amount": 12}));
    /// let report = bus.publish_and_wait(order).await?;
    /// assert_eq!(report.outcome("total").unwrap().value, 12);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_and_wait(&self, event: impl IntoEvent) -> Result<PublishReport> {
        let event = self.stamp(event).map_err(trace::refused)?;
        let context = Context::current(self);
        let entrance = Entrance::new(self, Wait::Here);
        entrance.report(context.as_ref(), event).await.map_err(trace::refused)
    }

    /// Publishes several events in order. All are checked first: one that is malformed stops the
    /// whole batch before anything is published. One that is refused later stops it too; those
    /// before it are in then.
    ///
    /// On a bus with a [store](crate::BusBuilder::store) up to 1,024 of them at a time are stored
    /// together, in order; then those that come after a refused one may be in, too.
    ///
    /// # Cancel safety
    /// When the future is dropped, the events before the one in hand are in, that one is as with
    /// [`publish`](Self::publish), and those behind it are not published.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// let receipts = bus.publish_batch(["a", "b"].map(|name| Event::builder(name))).await?;
    /// assert_eq!(receipts.len(), 2);
    /// let error = bus.publish_batch(["a", "?"].map(|name| Event::builder(name))).await.unwrap_err();
    /// assert!(error.to_string().starts_with("event 1 of the batch: "));
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`publish`](Self::publish), naming the place of the event in the batch.
    pub async fn publish_batch<E: IntoEvent>(
        &self,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Vec<Receipt>> {
        let stamped = events
            .into_iter()
            .enumerate()
            .map(|(index, event)| self.stamp(event).map_err(|error| error.at_index(index)));
        let events = stamped.collect::<Result<Vec<Event>>>()?;
        if self.durables().is_some() && Context::current(self).is_none() {
            return self.publish_stored(events).await;
        }
        let mut receipts = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            receipts.push(self.publish(event).await.map_err(|error| error.at_index(index))?);
        }
        Ok(receipts)
    }

    /// Gives an event that was published before to one handler alone, again, and returns when it
    /// is done. No layer of the bus is asked, and the history does not change.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("order.*", (|_: &Event| {}).named("billing"))?;
    /// bus.on("order.*", (|_: &Event| {}).named("shipping"))?;
    /// let event = bus.stamp(Event::builder("order.created"))?;
    /// bus.publish(event.clone()).await?;
    /// let report = bus.redeliver("billing", event).await?;
    /// assert_eq!((report.outcomes.len(), &*report.outcomes[0].handler), (1, "billing"));
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownHandler`](crate::ErrorKind::UnknownHandler);
    /// [`ErrorKind::WouldWait`](crate::ErrorKind::WouldWait) from inside that very handler, or
    /// one that it waits for; [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a shutdown;
    /// inside a handler also those of [`Context::publish_and_wait`].
    pub async fn redeliver(&self, handler: &str, event: Event) -> Result<PublishReport> {
        let entry = self.0.registry.find(handler).ok_or_else(|| Error::unknown_handler(handler))?;
        if Context::is_within(self, entry.id) {
            return Err(Error::waits_for_itself(handler));
        }
        self.give_again(event, Route::new(vec![entry])).await
    }

    /// Gives an event that was published before to these handlers, and returns when they are done.
    pub(crate) async fn give_again(&self, event: Event, route: Route) -> Result<PublishReport> {
        if let Some(context) = Context::current(self) {
            return context.delivery().nested_again(&context, event, route)?.report(&context).await;
        }
        let (sender, receiver) = oneshot::channel();
        Delivery::drive(Delivery::again(self, event, route, sender)?, Wait::Here).await;
        receiver.await.map_err(|_| Error::cut_off())
    }
}
