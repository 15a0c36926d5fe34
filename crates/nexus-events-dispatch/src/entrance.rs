//! The way of one event to the handlers: through the layers of the bus, then in.

use std::future::poll_fn;
use std::pin::pin;
use std::task;

use nexus_events_model::{Event, IntoEvent, PublishReport};

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, End, Wait};
use crate::error::{Error, Result};
use crate::gate::Admission;
use crate::handler::BoxFuture;
use crate::layer::{Door, Next, Published};
use crate::limits::QUEUE_WAIT_MAX;
use crate::pass::{Passed, pass};
use crate::publish::Receipt;
use crate::runtime::step_back;
use crate::store::Offset;
use crate::sync::{Arc, Instant, Mutex, OnceLock, oneshot};
use crate::trace;
use crate::witness::Witness;

/// What comes of an event at the door.
pub(crate) enum Entering {
    /// It is in.
    In(Receipt),
    /// It has come as far as it can without waiting.
    Passed(Passed),
    /// There are layers before the door.
    Layered(Event),
}

impl Bus {
    /// Lets an event in as far as that goes at once.
    pub(crate) fn come_in(&self, event: impl IntoEvent) -> Result<Entering> {
        let (event, stamped) = self.stamp_at(event)?;
        if let Some(context) = Context::current(self) {
            return context.follow_up(event).map(Entering::In);
        }
        if !self.layers().is_empty() {
            return Ok(Entering::Layered(event));
        }
        Ok(match pass(self, event, stamped)? {
            Passed::Through(receipt, false) => Entering::In(receipt),
            passed => Entering::Passed(passed),
        })
    }
}

impl Passed {
    /// Takes the event on from where it is. Who is still without room in the end is skipped.
    /// `entered` is told when it is in, whatever becomes of the publisher.
    pub(crate) async fn go_on(
        mut self,
        bus: &Bus,
        mut wait: Wait,
        entered: impl Fn(Receipt),
    ) -> Result<Receipt> {
        let mut until = None;
        loop {
            self = match self {
                Self::Through(receipt, woken) => {
                    if woken && wait == Wait::Here {
                        entered(receipt.clone());
                        // Lets the lane run that waits for this task.
                        step_back().await;
                    }
                    return Ok(receipt);
                }
                Self::Left(delivery) => {
                    entered(delivery.receipt());
                    if wait == Wait::Never {
                        // Without waiting for queues it is driven in one go.
                        Delivery::drive_now(delivery.clone(), wait);
                    } else {
                        Delivery::drive(delivery.clone(), wait).await;
                    }
                    return Ok(delivery.receipt());
                }
                Self::Blocked(event, lane) => {
                    let until = *until.get_or_insert_with(|| Instant::now() + QUEUE_WAIT_MAX);
                    if wait == Wait::Here && lane.has_room(until).await {
                        pass(bus, event, None)?
                    } else {
                        wait = Wait::Never;
                        Self::Left(Delivery::first(bus, event, None)?)
                    }
                }
            };
        }
    }
}

/// One event's entrance to a bus.
pub(crate) struct Entrance<'a> {
    bus: &'a Bus,
    wait: Wait,
    /// The handler that publishes it.
    context: Option<&'a Context>,
    report: Option<Mutex<Option<PublishReport>>>,
    witness: Option<Arc<dyn Witness>>,
    /// Set when the event is in, whatever becomes of the publisher.
    entered: OnceLock<Receipt>,
    /// What a follow-up has while it waits.
    place: Option<Place>,
    /// Whether it comes in although the bus takes nothing more from outside.
    last: bool,
}

impl<'a> Entrance<'a> {
    pub(crate) fn new(bus: &'a Bus, wait: Wait) -> Self {
        let (context, report, witness) = (None, None, None);
        let entered = OnceLock::new();
        Self { bus, wait, context, report, witness, entered, place: None, last: false }
    }

    /// For what is published at the end of a bus.
    pub(crate) fn while_closing(bus: &'a Bus, wait: Wait) -> Self {
        Self { last: true, ..Self::new(bus, wait) }
    }

    pub(crate) async fn enter(&self, event: Event) -> Result<Receipt> {
        if self.context.is_none() && !self.last && self.bus.gate().is_closed() {
            return Err(Error::closed());
        }
        match self.bus.layers() {
            [] => self.admit(event).await,
            layers => {
                // Layers are to see, and to store, the event as handlers do.
                let event = match self.context {
                    Some(context) => context.delivery().adopt(event)?,
                    None => event,
                };
                Next { layers, door: self }.run(event).wait().await
            }
        }
    }

    /// As [`enter`](Self::enter), on behalf of a handler where there is one; the report when
    /// every handler is done. It is empty when a layer answered for the event.
    pub(crate) async fn report(
        mut self,
        context: Option<&'a Context>,
        event: Event,
    ) -> Result<PublishReport> {
        self.context = context;
        self.report = Some(Mutex::default());
        let receipt = self.enter(event).await?;
        let report = self.report.and_then(Mutex::into_inner);
        let mut report = report.unwrap_or_else(|| PublishReport::new(receipt.event_id, Vec::new()));
        report.offset = receipt.offset.map(Offset::number);
        report.duplicate = receipt.duplicate;
        Ok(report)
    }

    /// As [`enter`](Self::enter), on behalf of a handler that waits for what comes of it where
    /// there is one, with a witness.
    pub(crate) async fn witnessed(
        mut self,
        context: Option<&'a Context>,
        event: Event,
        witness: Arc<dyn Witness>,
    ) -> Result<Receipt> {
        (self.context, self.witness) = (context, Some(witness));
        self.enter(event).await
    }

    async fn admit(&self, event: Event) -> Result<Receipt> {
        if let Some(witness) = &self.witness {
            let delivery = Delivery::witnessed(self.bus, self.context, event, witness.clone())?;
            let _ = self.entered.set(delivery.receipt());
            match self.context {
                Some(_) => delivery.clone().drive_alone(self.wait).await,
                None => Delivery::drive(delivery.clone(), self.wait).await,
            }
            return Ok(delivery.receipt());
        }
        let Some(slot) = &self.report else {
            return match self.context {
                Some(context) => {
                    let place = || self.place.as_ref().and_then(Place::take);
                    context.delivery().follow_up(event, place)
                }
                None => self.run(event, None).await,
            };
        };
        let id = event.id().clone();
        let (receipt, report) = match self.context {
            Some(context) => {
                let nested = context.delivery().nested(context, event)?;
                let _ = self.entered.set(nested.delivery.receipt());
                let report = nested.report(context).await?;
                (Receipt { matched: report.outcomes.len(), ..Receipt::new(id) }, report)
            }
            None => {
                let (sender, receiver) = oneshot::channel();
                let receipt = self.run(event, Some(sender)).await?;
                (receipt, receiver.await.map_err(|_| Error::cut_off())?)
            }
        };
        *slot.lock() = Some(report);
        Ok(receipt)
    }

    async fn run(
        &self,
        event: Event,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Result<Receipt> {
        let passed = match sender {
            None if self.last => Passed::Left(Delivery::last(self.bus, event)?),
            Some(_) => Passed::Left(Delivery::first(self.bus, event, sender)?),
            None => pass(self.bus, event, None)?,
        };
        let entered = |receipt| drop(self.entered.set(receipt));
        passed.go_on(self.bus, self.wait, entered).await
    }
}

impl Door for Entrance<'_> {
    fn bus(&self) -> &Bus {
        self.bus
    }

    fn open(&self, event: Event) -> Published<'_> {
        Published::Pending(Box::pin(self.admit(event)))
    }

    fn entered(&self) -> Option<&Receipt> {
        self.entered.get()
    }
}

impl Context {
    /// Lets an event of this handler in. Where a layer has to wait, a task waits, because the
    /// handler can not; what the layer says then is counted only.
    pub(crate) fn follow_up(&self, event: Event) -> Result<Receipt> {
        if self.bus().layers().is_empty() {
            return self.delivery().follow_up(event, || None);
        }
        let receipt = Receipt { follow_up: true, ..Receipt::new(event.id().clone()) };
        let (context, place) = (self.clone(), Place::default());
        let mut entering: BoxFuture<'static, Result<Receipt>> = Box::pin({
            let place = Some(place.clone());
            async move {
                let entrance = Entrance::new(context.bus(), Wait::Never);
                Entrance { context: Some(&context), place, ..entrance }.enter(event).await
            }
        });
        if let Some(result) = now(entering.as_mut()) {
            return result;
        }
        let runtime = self.bus().runtime().ok_or_else(Error::would_wait)?;
        let follower = Follower::admit(self.bus(), place)?;
        runtime.spawn(follower.enter(entering));
        Ok(receipt)
    }
}

/// The place of a follow-up among the events in flight, until it is in.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Option<Admission>>>);

impl Place {
    fn take(&self) -> Option<Admission> {
        self.0.lock().take()
    }
}

/// A follow-up that waits in a layer. When it is dropped there it is lost.
struct Follower {
    bus: Bus,
    place: Place,
}

impl Follower {
    fn admit(bus: &Bus, place: Place) -> Result<Self> {
        *place.0.lock() = Some(Admission::follow_up(bus)?);
        Ok(Self { bus: bus.clone(), place })
    }

    async fn enter(self, entering: BoxFuture<'static, Result<Receipt>>) {
        let entered = before(entering, self.bus.gate().stopped()).await;
        if let Some(Err(_)) = entered.map(|entered| entered.map_err(trace::refused)) {
            self.refused();
        }
    }

    fn refused(&self) {
        let mut admission = self.place.take();
        if admission.as_mut().is_some_and(Admission::is_lost) {
            self.lost();
        } else {
            self.bus.counters().refused();
        }
    }

    /// It was published, as far as its handler knows.
    fn lost(&self) {
        self.bus.counters().published();
        self.bus.counters().concluded(End::Lost);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(_admission) = self.place.take() {
            self.lost();
        }
    }
}

/// What the first future gives, or `None` when the second one is over before.
pub(crate) async fn before<T>(
    future: impl Future<Output = T>,
    end: impl Future<Output = ()>,
) -> Option<T> {
    let (mut future, mut end) = (pin!(future), pin!(end));
    poll_fn(|task| match future.as_mut().poll(task) {
        task::Poll::Ready(value) => task::Poll::Ready(Some(value)),
        task::Poll::Pending => end.as_mut().poll(task).map(|()| None),
    })
    .await
}

/// The result of a future that is ready when first polled.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(result) => Some(result),
        task::Poll::Pending => None,
    }
}
