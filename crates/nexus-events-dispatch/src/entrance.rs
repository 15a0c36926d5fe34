//! The way of one event to the handlers: through the layers of the bus, then in.

use std::pin::pin;
use std::task;

use nexus_events_model::{Event, IntoEvent, PublishReport};
use tokio::sync::oneshot;

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, Wait};
use crate::error::{Error, Result};
use crate::handler::BoxFuture;
use crate::layer::{Door, Next, Published};
use crate::pass::{Passed, pass};
use crate::publish::Receipt;
use crate::shutdown::Admission;
use crate::sync::{Arc, Mutex, OnceLock};
use crate::trace;

/// What comes of an event at the door.
pub(crate) enum Entering {
    /// It is in.
    In(Receipt),
    /// It has to be driven.
    Driven(Arc<Delivery>),
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
            Passed::Through(receipt) => Entering::In(receipt),
            Passed::Left(delivery) => Entering::Driven(delivery),
        })
    }
}

/// One event's entrance to a bus.
pub(crate) struct Entrance<'a> {
    bus: &'a Bus,
    wait: Wait,
    /// The handler that publishes it.
    context: Option<&'a Context>,
    report: Option<Mutex<Option<PublishReport>>>,
    /// Set when the event is in, whatever becomes of the publisher.
    entered: OnceLock<Receipt>,
}

impl<'a> Entrance<'a> {
    pub(crate) fn new(bus: &'a Bus, wait: Wait) -> Self {
        Self { bus, wait, context: None, report: None, entered: OnceLock::new() }
    }

    pub(crate) async fn enter(&self, event: Event) -> Result<Receipt> {
        match self.bus.layers() {
            [] => self.admit(event).await,
            layers => Next { layers, door: self }.run(event).wait().await,
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
        Ok(report.unwrap_or_else(|| PublishReport::new(receipt.event_id, Vec::new())))
    }

    async fn admit(&self, event: Event) -> Result<Receipt> {
        let Some(slot) = &self.report else {
            return match self.context {
                Some(context) => context.delivery().follow_up(event),
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
            Some(_) => Passed::Left(Delivery::first(self.bus, event, sender)?),
            None => pass(self.bus, event, None)?,
        };
        let delivery = match passed {
            Passed::Through(receipt) => return Ok(receipt),
            Passed::Left(delivery) => delivery,
        };
        let _ = self.entered.set(delivery.receipt());
        Delivery::drive(delivery.clone(), self.wait).await;
        Ok(delivery.receipt())
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
            return self.delivery().follow_up(event);
        }
        let receipt = Receipt { follow_up: true, ..Receipt::new(event.id().clone()) };
        let context = self.clone();
        let mut entering: BoxFuture<'static, Result<Receipt>> = Box::pin(async move {
            let bus = context.bus();
            let entrance = Entrance { context: Some(&context), ..Entrance::new(bus, Wait::Never) };
            entrance.enter(event).await
        });
        if let Some(result) = now(entering.as_mut()) {
            return result;
        }
        let runtime = self.bus().runtime().ok_or_else(Error::would_wait)?;
        let admission = Admission::follow_up(self.bus())?;
        runtime.spawn(async move {
            if entering.await.map_err(trace::refused).is_err() {
                admission.bus().counters().refused();
            }
        });
        Ok(receipt)
    }
}

/// The result of a future that is ready when first polled.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(result) => Some(result),
        task::Poll::Pending => None,
    }
}
