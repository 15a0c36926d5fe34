//! What is done when a bus shuts down, before its handlers end.

use std::fmt;

use nexus_events_model::{Event, IntoEvent};

use crate::bus::Bus;
use crate::delivery::{Delivery, Wait};
use crate::entrance::{Entrance, before};
use crate::error::Result;
use crate::gate::Admission;
use crate::handler::BoxFuture;
use crate::lineage::Lineage;
use crate::publish::Receipt;
use crate::runtime::contain;
use crate::sync::{Arc, Mutex};
use crate::trace;

/// A bus that is shutting down, for those who have something left to publish.
#[derive(Clone)]
pub struct Closing(Bus);

impl Closing {
    /// The event with an id and a timestamp, as [`Bus::stamp`].
    ///
    /// # Errors
    /// As [`Bus::stamp`].
    pub fn stamp(&self, event: impl IntoEvent) -> Result<Event> {
        self.0.stamp(event)
    }

    /// Publishes an event although the bus takes nothing more from outside; it is dispatched before
    /// the handlers end.
    ///
    /// # Errors
    /// As [`Bus::publish`]; [`ErrorKind::Closed`](crate::ErrorKind::Closed) after the deadline.
    pub async fn publish(&self, event: impl IntoEvent) -> Result<Receipt> {
        let event = self.0.stamp(event).map_err(trace::refused)?;
        Entrance::while_closing(&self.0, Wait::Here).enter(event).await.map_err(trace::refused)
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Closing").field(&self.0).finish()
    }
}

impl Delivery {
    /// A delivery of an event published while the bus shuts down.
    pub(crate) fn last(bus: &Bus, event: Event) -> Result<Arc<Self>> {
        let admission = Admission::nested(bus)?;
        Ok(Self::new(event, Lineage::default(), None, admission, None))
    }
}

type Last = Box<dyn FnOnce(Closing) -> BoxFuture<'static, ()> + Send>;

/// What is done at the end of a bus.
#[derive(Default)]
pub(crate) struct AtEnd(Mutex<Vec<Last>>);

impl Bus {
    /// Does this once when the bus shuts down: after what is on its way then has been handled, or
    /// half of the deadline is over, and before handlers end. For those who hold events back and
    /// have to let go of them. It is stopped at the deadline.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, Closing};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("summary", |event: &Event| println!("{}", event.id()))?;
    /// bus.at_shutdown(async |closing: Closing| {
    ///     let _ = closing.publish(Event::builder("summary")).await;
    /// });
    /// bus.shutdown(Duration::from_secs(5)).await;
    /// assert_eq!(bus.stats().events.handled_events, 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn at_shutdown<F>(&self, last: impl FnOnce(Closing) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.at_end.0.lock().push(Box::new(|closing| Box::pin(last(closing))));
    }

    pub(crate) fn has_last(&self) -> bool {
        !self.0.at_end.0.lock().is_empty()
    }

    /// Does what is left to be done, one after the other, each once; a panic is that one's own.
    pub(crate) async fn do_last(&self) {
        let last = std::mem::take(&mut *self.0.at_end.0.lock());
        for last in last {
            let doing = contain(Box::pin(async { last(Closing(self.clone())).await }));
            if let Some(Err(panic)) = before(doing, self.gate().stopped()).await {
                std::mem::forget(panic);
            }
        }
    }
}
