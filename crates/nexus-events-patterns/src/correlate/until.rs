//! When a gathering is complete.

use std::fmt;
use std::sync::Arc;

use nexus_events_model::{Event, EventType};

/// When a gathering has all it waits for.
///
/// ```
/// use nexus_events_model::EventType;
/// use nexus_events_patterns::Until;
/// let paid = EventType::new("order.paid")?;
/// let shipped = EventType::new("order.shipped")?;
/// let both = Until::types([paid, shipped]);
/// let ten = Until::count(10);
/// let last = Until::when(|events| events.iter().any(|event| event.payload().get("last").is_some()));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Clone)]
pub struct Until(Kind);

type Condition = dyn Fn(&[Event]) -> bool + Send + Sync;

#[derive(Clone)]
enum Kind {
    Count(usize),
    Types(Vec<EventType>),
    When(Arc<Condition>),
}

impl Until {
    /// So many events.
    #[must_use]
    pub fn count(events: usize) -> Self {
        Self(Kind::Count(events))
    }

    /// At least one event of each of these types.
    #[must_use]
    pub fn types(types: impl IntoIterator<Item = EventType>) -> Self {
        Self(Kind::Types(types.into_iter().collect()))
    }

    /// What this function says of the events so far, asked after each. It is called while others
    /// wait to add theirs, so it is to be quick, and must not publish.
    #[must_use]
    pub fn when(is_complete: impl Fn(&[Event]) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::When(Arc::new(is_complete)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Kind::Count(events) => *events == 0,
            Kind::Types(types) => types.is_empty(),
            Kind::When(_) => false,
        }
    }

    pub(crate) fn holds(&self, events: &[Event]) -> bool {
        match &self.0 {
            Kind::Count(most) => events.len() >= *most,
            Kind::Types(types) => {
                types.iter().all(|wanted| events.iter().any(|event| event.event_type() == wanted))
            }
            Kind::When(is_complete) => is_complete(events),
        }
    }
}

impl fmt::Debug for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Count(events) => f.debug_tuple("Count").field(events).finish(),
            Kind::Types(types) => f.debug_tuple("Types").field(types).finish(),
            Kind::When(_) => f.write_str("When"),
        }
    }
}
