//! What is gathered, by what, until when: the builder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch as dispatch;
use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventBuilder, Pattern, Text};

use super::gatherer::Gatherer;
use super::keys::{Gathered, Most};
use super::until::Until;
use crate::error::{Error, Result};
use crate::limits::{
    GATHER_BYTES_DEFAULT, GATHER_EVENTS_DEFAULT, GATHER_KEYS_DEFAULT, GATHER_KEYS_OVER_MAX,
    GATHER_TIMEOUT_DEFAULT, GATHER_TIMEOUT_MAX,
};

pub(crate) type Key = Arc<dyn Fn(&Event) -> Option<Text> + Send + Sync>;
pub(crate) type Each = Arc<dyn Fn(&Gathered) + Send + Sync>;
pub(crate) type Summary = Arc<dyn Fn(&Gathered) -> EventBuilder + Send + Sync>;

/// Gathers events that belong together, by their correlation id unless it is said otherwise,
/// until they are complete or it takes too long.
///
/// Every event is in exactly one [`Gathered`], or counted: what comes when its key is over is
/// late. A bound that is met ends the gathering that it concerns, or the oldest one, early, with
/// what it has.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::{Event, EventType};
/// use nexus_events_patterns::{Correlate, Gather, Until};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let both = ["order.paid", "order.packed"].map(|name| EventType::new(name).unwrap());
/// let gatherer = Gather::of("order.*", Until::types(both))?
///     .timeout(Duration::from_secs(60))
///     .publish(|gathered| {
///         let name = if gathered.is_complete() { "order.ready" } else { "order.stuck" };
///         Event::builder(name).payload(serde_json::json!({"events": gathered.events.len()}))
///     })
///     .attach(&bus)?;
///
/// let order = bus.correlate()?;
/// let ready = gatherer.expect(order.id().to_string())?;
/// order.publish(Event::builder("order.paid")).await?;
/// order.publish(Event::builder("order.packed")).await?;
/// assert_eq!(ready.await?.events.len(), 2);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[must_use = "it gathers nothing until it is attached to a bus"]
pub struct Gather {
    pub(crate) pattern: Pattern,
    pub(crate) until: Until,
    pub(crate) timeout: Duration,
    pub(crate) name: Option<Text>,
    pub(crate) key: Key,
    pub(crate) each: Option<Each>,
    pub(crate) publish: Option<Summary>,
    pub(crate) most: Most,
}

impl Gather {
    /// Of events of these types, until this holds for those of one key.
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) when the pattern is none.
    pub fn of(
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        until: Until,
    ) -> Result<Self> {
        let pattern = pattern.try_into().map_err(|error| Error::from(error.into()))?;
        let key = |event: &Event| event.correlation_id().map(|id| Text::from(id.to_string()));
        let most = Most {
            keys: GATHER_KEYS_DEFAULT,
            events: GATHER_EVENTS_DEFAULT,
            bytes: GATHER_BYTES_DEFAULT,
            over: GATHER_KEYS_OVER_MAX,
        };
        Ok(Self {
            pattern,
            until,
            timeout: GATHER_TIMEOUT_DEFAULT,
            name: None,
            key: Arc::new(key),
            each: None,
            publish: None,
            most,
        })
    }

    /// What events that belong together have in common. An event without it is counted.
    pub fn by(mut self, key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static) -> Self {
        self.key = Arc::new(key);
        self
    }

    /// How long a key is gathered for, from its first event, or from when it was expected: a
    /// minute unless it is said, a day at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The name of its handler.
    pub fn named(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keys that are gathered for at the same time: 10,000 unless it is said.
    pub fn keys(mut self, keys: usize) -> Self {
        self.most.keys = keys;
        self
    }

    /// Events of one key: 1,000 unless it is said.
    pub fn events(mut self, events: usize) -> Self {
        self.most.events = events;
        self
    }

    /// Bytes of all events that are held: 64 MiB unless it is said.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.most.bytes = bytes;
        self
    }

    /// Told of every gathering that has ended, where it ended: on a publisher's stack, or on the
    /// gatherer's task. It is to be quick.
    pub fn each(mut self, each: impl Fn(&Gathered) + Send + Sync + 'static) -> Self {
        self.each = Some(Arc::new(each));
        self
    }

    /// Publishes this event for every gathering that has ended. It carries on the conversation of
    /// the last event that was gathered, which is its cause.
    pub fn publish(
        mut self,
        result: impl Fn(&Gathered) -> EventBuilder + Send + Sync + 'static,
    ) -> Self {
        self.publish = Some(Arc::new(result));
        self
    }

    /// Begins to gather.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for a bound of zero, a
    /// timeout that is none, or nothing to wait for; [`ErrorKind::Bus`](crate::ErrorKind::Bus)
    /// without a runtime, and as [`Bus::on`].
    pub fn attach(self, bus: &Bus) -> Result<Gatherer> {
        let invalid = |message: String| Err(Error::invalid_option(message));
        if self.until.is_empty() {
            return invalid("until waits for nothing; give it a count or at least one type".into());
        }
        let bounds =
            [("keys", self.most.keys), ("events", self.most.events), ("bytes", self.most.bytes)];
        if let Some((name, _)) = bounds.into_iter().find(|(_, most)| *most == 0) {
            return invalid(format!("{name} is at least 1, not 0"));
        }
        if self.timeout.is_zero() || self.timeout > GATHER_TIMEOUT_MAX {
            let most = GATHER_TIMEOUT_MAX.as_secs();
            return invalid(format!(
                "timeout is more than nothing and at most {most} s, not {:?}",
                self.timeout
            ));
        }
        Gatherer::begin(self, bus)
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("pattern", &self.pattern)
            .field("until", &self.until)
            .field("timeout", &self.timeout)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
