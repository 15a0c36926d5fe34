//! A correlation that is carried from step to step.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context, Receipt};
use nexus_events_model::{CausationId, CorrelationId, Event, EventBuilder, EventId, IntoEvent};
use parking_lot::Mutex;

use crate::error::Result;
use crate::request::{Request, Requests};

/// Correlations on a [`Bus`], and in a handler.
pub trait Correlate: sealed::Sealed {
    /// Opens a correlation under a new id. Inside a handler, by its [`Context`], it joins the one
    /// of the event that is handled, where that has one, and the first step has that event as its
    /// cause.
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) when the bus cannot make an id.
    fn correlate(&self) -> Result<Correlation>;

    /// Joins a correlation.
    fn correlation(&self, id: CorrelationId) -> Correlation;
}

impl Correlate for Bus {
    fn correlate(&self) -> Result<Correlation> {
        // Ids are made for events; nothing is published.
        let blank = self.stamp(Event::builder("correlation.opened"))?;
        Ok(self.correlation(CorrelationId::from(blank.id())))
    }

    fn correlation(&self, id: CorrelationId) -> Correlation {
        Correlation { bus: self.clone(), id, last: Arc::default() }
    }
}

impl Correlate for Context {
    fn correlate(&self) -> Result<Correlation> {
        let event = self.event();
        let correlation = match event.correlation_id() {
            Some(id) => self.bus().correlation(id.clone()),
            None => self.bus().correlate()?,
        };
        Ok(correlation.behind(event))
    }

    fn correlation(&self, id: CorrelationId) -> Correlation {
        self.bus().correlation(id).behind(self.event())
    }
}

/// A workflow's correlation: each step carries its id, and names the step before as its cause.
///
/// A clone goes on from the same last step; [`behind`](Self::behind) makes a branch.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{CausationTree, Correlate};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let order = bus.correlate()?;
/// order.publish(Event::builder("order.created")).await?;
/// order.publish(Event::builder("order.paid")).await?;
///
/// let tree = CausationTree::of_correlation(&bus, order.id()).await?;
/// let steps: Vec<_> = tree.nodes().iter().map(|it| (it.depth(), it.event().event_type().as_str())).collect();
/// assert_eq!(steps, [(0, "order.created"), (1, "order.paid")]);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Correlation {
    bus: Bus,
    id: CorrelationId,
    last: Arc<Mutex<Option<EventId>>>,
}

impl Correlation {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &CorrelationId {
        &self.id
    }

    /// The last step, which is the cause of the next one.
    #[must_use]
    pub fn last_step(&self) -> Option<EventId> {
        self.last.lock().clone()
    }

    /// A branch of the same correlation, whose next step has this event as its cause.
    #[must_use]
    pub fn behind(&self, event: &Event) -> Self {
        let last = Arc::new(Mutex::new(Some(event.id().clone())));
        Self { bus: self.bus.clone(), id: self.id.clone(), last }
    }

    /// An event as the next step would be, to be published by whatever way. What it says of
    /// correlation and cause itself stands.
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) for a malformed event.
    pub fn stamp(&self, event: impl IntoEvent) -> Result<Event> {
        let event = self.bus.stamp(event)?;
        let is_whole = event.correlation_id().is_some() && event.causation_id().is_some();
        if is_whole {
            return Ok(event);
        }
        let mut builder = event.to_builder();
        if event.correlation_id().is_none() {
            builder = builder.correlation_id(self.id.clone());
        }
        let cause = self.last_step().filter(|_| event.causation_id().is_none());
        Ok(caused(builder, cause).build()?)
    }

    /// Publishes the next step.
    ///
    /// # Errors
    /// As [`Bus::publish`]; then it is no step.
    pub async fn publish(&self, event: impl IntoEvent) -> Result<Receipt> {
        let event = self.stamp(event)?;
        let id = event.id().clone();
        let receipt = self.bus.publish(event).await?;
        *self.last.lock() = Some(id);
        Ok(receipt)
    }

    /// Asks as the next step; see [`Requests::request`].
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) for a malformed event.
    pub fn request<T>(&self, event: impl IntoEvent) -> Result<Request<T>> {
        let event = self.stamp(event)?;
        *self.last.lock() = Some(event.id().clone());
        Ok(self.bus.request(event))
    }
}

fn caused(builder: EventBuilder, cause: Option<EventId>) -> EventBuilder {
    match cause {
        Some(cause) => builder.causation_id(CausationId::from(&cause)),
        None => builder,
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for nexus_events_dispatch::Bus {}
    impl Sealed for nexus_events_dispatch::Context {}
}
