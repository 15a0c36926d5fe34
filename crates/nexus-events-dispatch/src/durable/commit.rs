//! One commit of state and events: alone, or with having handled an event.

use nexus_events_model::Event;

use super::{Durables, FromLog};
use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, Appended, Offset};
use crate::sync::Arc;

impl Context {
    /// Where the event is in the log, for a durable handler.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// bus.on("a", |_: &Event, context: &Context| assert_eq!(context.offset(), None))?;
    /// bus.try_publish(Event::builder("a"))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.log_place().map(|from_log| from_log.offset)
    }

    /// Commits state and events together with the fact that this event is handled: all of it or
    /// nothing, so that what a durable handler does in the store happens once, although the handler
    /// may be called again. The events are stored, then dispatched as follow-ups; they inherit the
    /// conversation and pass no layer of the bus. What it [schedules](Append::schedule) is published
    /// when it is due.
    ///
    /// After it the event is not given to the handler again, even if it fails. In a
    /// [replay](Context::is_replay) it commits what it is given and nothing besides.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, Context, HandlerExt};
    /// use nexus_events_dispatch::store::{Append, MemoryStore, StateStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let store = Arc::new(MemoryStore::new());
    /// let bus = Bus::builder().store(store.clone()).open().await?;
    /// let bill = async |event: Event, context: Context| {
    ///     let paid = context.bus().stamp(Event::builder("order.paid"))?;
    ///     context.commit(Append::of(paid).put("bills", event.id().to_string(), "paid")).await
    ///         .map(|_| ())
    /// };
    /// bus.on("order.created", bill.durable("billing"))?;
    /// bus.publish(Event::builder("order.created").id("evt-1")).await?;
    /// bus.idle().await;
    /// assert!(store.get("bills", b"evt-1").await?.is_some());
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a handler that is not durable, or a second commit; those of
    /// [`EventStore::append`](crate::store::EventStore::append), then nothing has happened.
    pub async fn commit(&self, append: Append) -> Result<Appended> {
        // A replay comes from elsewhere than from the log, and there is nothing to mark.
        let from_log = self.log_place();
        let is_durable = from_log.is_some() || self.entry().is_durable();
        let Some(durables) = self.bus().durables().filter(|_| is_durable) else {
            return Err(unsupported("only a durable handler commits; add `.durable(name)` to it"));
        };
        if from_log.is_some_and(FromLog::is_committed) {
            return Err(unsupported("this event is committed already; put all into one commit"));
        }
        let mut append = match from_log {
            Some(from_log) => from_log.with_mark(append),
            None => append,
        };
        for keyed in &mut append.events {
            keyed.event = self.delivery().adopt(keyed.event.clone())?;
        }
        let commit = durables.commit(self.bus(), append, |event| {
            self.delivery().follow_up(event, || None).map(drop)
        });
        let appended = commit.await?;
        if let Some(from_log) = from_log {
            from_log.committed();
        }
        Ok(appended)
    }
}

impl Bus {
    /// Commits state and events: all of it or nothing. For code outside of a handler; inside of a
    /// durable one, [`Context::commit`] does the same in one commit with having handled its event.
    /// The events need their id and time, see [`stamp`](Self::stamp). They are stored, then
    /// dispatched, and pass no layer of the bus. What it [schedules](Append::schedule) is published
    /// when it is due.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_dispatch::store::{Append, Expected, MemoryStore, StateStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let store = Arc::new(MemoryStore::new());
    /// let bus = Bus::builder().store(store.clone()).open().await?;
    /// let opened = bus.stamp(Event::builder("account.opened"))?;
    /// bus.commit(Append::of(opened).put_if(Expected::Absent, "accounts", "42", "open")).await?;
    /// assert!(store.get("accounts", b"42").await?.is_some());
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the bus has no store; [`ErrorKind::Closed`] after a
    /// shutdown; [`ErrorKind::Overloaded`] when it schedules more than may wait; those of
    /// [`EventStore::append`](crate::store::EventStore::append), then nothing has happened.
    pub async fn commit(&self, append: Append) -> Result<Appended> {
        let message = "the bus has no store, so nothing can be committed; add `.store(..)` to `Bus::builder()`";
        let durables = self.durables().ok_or_else(|| unsupported(message))?;
        if self.gate().is_stopped() {
            return Err(Error::closed());
        }
        let hand_over = |event| {
            let delivery = Delivery::first(self, event, None)?;
            self.hand_over(delivery);
            Ok(())
        };
        durables.commit(self, append, hand_over).await
    }
}

impl Durables {
    /// Commits, and dispatches what is stored then.
    async fn commit(
        self: &Arc<Self>,
        bus: &Bus,
        append: Append,
        dispatch: impl Fn(Event) -> Result<()>,
    ) -> Result<Appended> {
        let planned = bus.0.plan.planned(self, &append).await?;
        let events: Vec<_> = append.events.iter().map(|keyed| keyed.event.clone()).collect();
        let entering: Vec<_> = events.iter().map(|event| self.enter(event)).collect();
        let appended = self.store().append(append).await?;
        if appended.duplicate {
            // It was committed before under its key, and its events were dispatched then.
            return Ok(appended);
        }
        planned.kept();
        let mut offset = appended.first;
        for (entering, event) in entering.into_iter().zip(events) {
            let id = event.id().clone();
            entering.stored(offset);
            offset = offset.next();
            if dispatch(event).is_err() {
                // It is in the log, for all who read that.
                self.live.gone(&id);
            }
        }
        Ok(appended)
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}
