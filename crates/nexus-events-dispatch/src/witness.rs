//! Whoever has published an event and wants to know at once whether a handler still may answer.
//!
//! A report comes when every handler is done; a witness is told of those that respond alone, each
//! when it is done. It is on the event's delivery, so it costs other events nothing.

use std::any::{Any, TypeId};

use nexus_events_model::{Event, IntoEvent};

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, Wait};
use crate::entrance::Entrance;
use crate::error::Result;
use crate::gate::Admission;
use crate::lineage::{Asking, Lineage};
use crate::publish::Receipt;
use crate::sync::{Arc, Mutex};
use crate::trace;

/// Sees how an event fares with the handlers that
/// [respond](crate::SubscriptionOptions::responds), and is what these find in their
/// [`Context::witness`]. Its methods are called on whatever thread, and are to be quick.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use nexus_events_dispatch::{Bus, HandlerExt, Witness};
/// use nexus_events_model::Event;
///
/// /// How many handlers may still answer.
/// struct Open(AtomicUsize);
///
/// impl Witness for Open {
///     fn begins(&self, responders: usize) {
///         self.0.store(responders, Ordering::SeqCst);
///     }
///     fn responder_ended(&self) {
///         self.0.fetch_sub(1, Ordering::SeqCst);
///     }
///     fn over(&self) {
///         self.0.store(0, Ordering::SeqCst);
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("price.asked", (async |_: Event| {}).with(|options| options.responds()))?;
/// let open = Arc::new(Open(AtomicUsize::new(0)));
/// let receipt = bus.publish_witnessed(Event::builder("price.asked"), open.clone()).await?;
/// assert_eq!((receipt.matched, open.0.load(Ordering::SeqCst)), (1, 1));
/// bus.idle().await;
/// assert_eq!(open.0.load(Ordering::SeqCst), 0);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub trait Witness: Any + Send + Sync {
    /// The event is in. So many handlers that respond are going to get it; filters are looked at.
    /// It is not called when a layer answers for the event.
    fn begins(&self, responders: usize);

    /// One of them has run for the last time, or is not going to run: it was unsubscribed, its
    /// queue was full, a handler of a higher wave has cancelled the event.
    fn responder_ended(&self);

    /// Nothing more comes of the event.
    fn over(&self);
}

impl Bus {
    /// As [`publish`](Self::publish), with a witness. Inside a handler it is not a follow-up but
    /// dispatched at once, as with [`publish_and_wait`](Self::publish_and_wait), so that the
    /// handler may wait for what comes of it; a handler that is waiting in this very chain of
    /// calls is skipped.
    ///
    /// # Cancel safety
    /// As [`publish_and_wait`](Self::publish_and_wait).
    ///
    /// # Errors
    /// As [`publish_and_wait`](Self::publish_and_wait).
    pub async fn publish_witnessed(
        &self,
        event: impl IntoEvent,
        witness: Arc<dyn Witness>,
    ) -> Result<Receipt> {
        let event = self.stamp(event).map_err(trace::refused)?;
        let context = Context::of(self);
        if context.is_some() || !self.layers().is_empty() {
            let entrance = Entrance::new(self, Wait::Here);
            // Apart, so that the other way, which is the usual one, is small.
            let entering = Box::pin(entrance.witnessed(context.as_ref(), event, witness));
            return entering.await.map_err(trace::refused);
        }
        let delivery = Delivery::witnessed(self, None, event, witness).map_err(trace::refused)?;
        Delivery::drive(delivery.clone(), Wait::Here).await;
        Ok(delivery.receipt())
    }

    /// Something that belongs to this bus and is not known to it, for what is built on top; made
    /// when first asked for, one of each type.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use nexus_events_dispatch::Bus;
    ///
    /// #[derive(Default)]
    /// struct Asked(AtomicU64);
    /// let bus = Bus::new();
    /// bus.extension::<Asked>().0.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(bus.extension::<Asked>().0.load(Ordering::Relaxed), 1);
    /// ```
    #[must_use]
    pub fn extension<E: Default + Any + Send + Sync>(&self) -> Arc<E> {
        self.0.extensions.get()
    }
}

impl Context {
    /// The innermost handler of this bus that the calling code runs in; `None` outside of
    /// handlers.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// let inner = bus.clone();
    /// bus.on("a", move |_: &Event| assert!(Context::of(&inner).is_some()))?;
    /// bus.try_publish(Event::builder("a"))?;
    /// assert!(Context::of(&bus).is_none());
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn of(bus: &Bus) -> Option<Self> {
        Self::current(bus)
    }

    /// As [`publish_and_wait`](Self::publish_and_wait), with a witness instead of a report.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_witnessed(
        &self,
        event: impl IntoEvent,
        witness: Arc<dyn Witness>,
    ) -> Result<Receipt> {
        let event = self.bus().stamp(event).map_err(trace::refused)?;
        let entrance = Entrance::new(self.bus(), Wait::Here);
        entrance.witnessed(Some(self), event, witness).await.map_err(trace::refused)
    }

    /// The event's witness, if it has one of this type.
    #[must_use]
    pub fn witness<W: Witness>(&self) -> Option<Arc<W>> {
        let witness: Arc<dyn Any + Send + Sync> = self.tracked_delivery()?.witness.clone()?;
        witness.downcast().ok()
    }

    /// Whether this handler is one that [responds](crate::SubscriptionOptions::responds).
    #[must_use]
    pub fn responds(&self) -> bool {
        self.entry().responds
    }

    /// Waits for something as this handler; a blocking one lends its worker to others meanwhile.
    pub async fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.worker {
            Some(worker) => worker.lend(future).await,
            None => future.await,
        }
    }
}

impl Delivery {
    /// A delivery with a witness, of an event that is published by the program or by a handler
    /// that waits for what comes of it.
    pub(crate) fn witnessed(
        bus: &Bus,
        context: Option<&Context>,
        event: Event,
        witness: Arc<dyn Witness>,
    ) -> Result<Arc<Self>> {
        let (event, lineage, outer, admission) = match context {
            Some(context) => {
                let by = context.delivery();
                let lineage = by.lineage.descend(&by.event, Some(Asking::of(context)))?;
                (by.adopt(event)?, lineage, by.outer.clone(), Admission::nested(bus)?)
            }
            None => {
                let admission = Admission::first(bus)?;
                (event, Lineage::default(), Context::innermost(), admission)
            }
        };
        bus.record_here(&event);
        let route = bus.route(event.event_type());
        let mut delivery = Self::along(route, event, lineage, outer, admission, None);
        witness.begins(delivery.responders());
        delivery.witness = Some(witness);
        Ok(Arc::new(delivery))
    }

    fn responders(&self) -> usize {
        let may_answer = |place: &usize| self.entry(*place).responds && self.is_open(*place);
        (0..self.route().len()).filter(may_answer).count()
    }

    /// The handler at this place is done with the event.
    pub(crate) fn tell_witness(&self, place: usize) {
        if let Some(witness) = &self.witness
            && self.entry(place).responds
            && self.is_open(place)
        {
            witness.responder_ended();
        }
    }

    /// No handler begins any more.
    pub(crate) fn tell_witness_over(&self) {
        if let Some(witness) = &self.witness {
            witness.over();
        }
    }
}

/// What others keep at a bus.
#[derive(Default)]
pub(crate) struct Extensions(Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>);

impl Extensions {
    fn get<E: Default + Any + Send + Sync>(&self) -> Arc<E> {
        let id = TypeId::of::<E>();
        let find = |all: &[(TypeId, Arc<dyn Any + Send + Sync>)]| {
            all.iter().find(|(known, _)| *known == id).map(|(_, extension)| extension.clone())
        };
        let known = find(&self.0.lock());
        let extension = known.unwrap_or_else(|| {
            // Somebody else's code, so not under the lock.
            let new: Arc<dyn Any + Send + Sync> = Arc::new(E::default());
            let mut all = self.0.lock();
            find(&all).unwrap_or_else(|| {
                all.push((id, new.clone()));
                new
            })
        });
        extension.downcast().unwrap_or_else(|_| unreachable!("it is found by its type"))
    }
}
