//! What happens to an event whose saga is not there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Schedule, Scheduled};
use nexus_events_model::{Event, EventBuilder, IsoFormat};
use serde_json::json;

use super::machine::Input;
use super::timer::Own;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{SAGA_REDELIVERIES_MAX, SAGA_REDELIVERY_PAUSE_MAX};

/// What happens to an event that starts no saga and whose saga is not there: it has ended, or has
/// not begun. Never for timeouts.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::NotFound;
/// let patient = NotFound::Redeliver { times: 5, every: Duration::from_secs(1) };
/// let loud = NotFound::publish(|event: &Event| {
///     vec![Event::builder("order.unknown").payload(event.payload().clone())]
/// });
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum NotFound {
    /// Nothing; it is counted and traced.
    #[default]
    Ignore,
    /// It becomes a dead letter.
    Fault,
    /// It is looked for again, so many times and so long apart, and becomes a dead letter then. It
    /// holds up nobody meanwhile and survives the program. At most 100 times.
    Redeliver {
        /// How many times.
        times: u32,
        /// How long apart.
        every: Duration,
    },
    /// These events are published instead, in one commit with having handled it.
    Publish(Instead),
}

/// What makes events of one whose saga is not there.
#[derive(Clone)]
pub struct Instead(Arc<Make>);

type Make = dyn Fn(&Event) -> Vec<EventBuilder> + Send + Sync;

impl NotFound {
    /// These events are published instead; none are fine.
    pub fn publish(hook: impl Fn(&Event) -> Vec<EventBuilder> + Send + Sync + 'static) -> Self {
        Self::Publish(Instead(Arc::new(hook)))
    }

    pub(super) fn check(&self) -> Result<()> {
        let Self::Redeliver { times, every } = self else { return Ok(()) };
        let most = SAGA_REDELIVERY_PAUSE_MAX;
        if (1..=SAGA_REDELIVERIES_MAX).contains(times) && !every.is_zero() && *every <= most {
            return Ok(());
        }
        Err(Error::invalid_option(format!(
            "not_found: Redeliver takes 1 to {SAGA_REDELIVERIES_MAX} times, more than no time and at most a year apart, not {times} times {every:?}"
        )))
    }
}

impl Instead {
    pub(super) fn events(&self, event: &Event, bus: &Bus) -> Result<Vec<Event>> {
        let builders = (self.0)(event).into_iter();
        builders.map(|builder| Ok(bus.stamp(builder.caused_by(event))?)).collect()
    }
}

/// The event, to be given to the saga of this name again.
pub(super) fn again(saga: &str, input: &Input, every: Duration, bus: &Bus) -> Result<Scheduled> {
    let json = input.event.encoded()?;
    let (redeliveries, since) = (input.redeliveries + 1, input.since.unwrap_or_else(|| bus.now()));
    let payload = json!({
        "key": input.key,
        "event": json.as_str(),
        "redeliveries": redeliveries,
        "since": IsoFormat(since).to_string(),
    });
    // From the beginning on, so that delays do not add up.
    let due = since + every * redeliveries;
    let event = Event::builder(Own::Retry.event_type(saga)).source(saga).payload(payload);
    let event = bus.stamp(event.caused_by(&input.event))?;
    Ok(Scheduled::of(event, Schedule::at(due), bus.now())?)
}

/// It was looked for often enough.
pub(super) fn fault(saga: &str, input: &Input) -> Error {
    let looked = match input.redeliveries {
        0 => String::new(),
        times => format!(", also not {times} times later"),
    };
    let message = format!(
        "no saga `{saga}` has the key `{}`{looked}; it has ended, or what starts it never came: start it and replay this dead letter, or discard it",
        input.key
    );
    Error::new(ErrorKind::NotFound, message)
}

impl fmt::Debug for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instead")
    }
}

impl fmt::Debug for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("Ignore"),
            Self::Fault => f.write_str("Fault"),
            Self::Redeliver { times, every } => {
                f.debug_struct("Redeliver").field("times", times).field("every", every).finish()
            }
            Self::Publish(_) => f.write_str("Publish"),
        }
    }
}
