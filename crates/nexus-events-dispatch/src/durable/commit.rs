//! What a handler does in one commit with having handled its event.

use super::FromLog;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, Appended, Offset};

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
    /// conversation and pass no layer of the bus.
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
        let events: Vec<_> = append.events.iter().map(|keyed| keyed.event.clone()).collect();
        let entering: Vec<_> = events.iter().map(|event| durables.enter(event)).collect();
        let appended = durables.store().append(append).await?;
        if let Some(from_log) = from_log {
            from_log.committed();
        }
        if appended.duplicate {
            // It was committed before under its key, and its events were dispatched then.
            return Ok(appended);
        }
        let mut offset = appended.first;
        for (entering, event) in entering.into_iter().zip(events) {
            let id = event.id().clone();
            entering.stored(offset);
            offset = offset.next();
            if self.delivery().follow_up(event, || None).is_err() {
                // It is in the log, for all who read that.
                durables.live.gone(&id);
            }
        }
        Ok(appended)
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}
