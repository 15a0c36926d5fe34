//! How events are stored, and how a handler is durable.

use std::fmt;

use nexus_events_model::{Event, EventType, Pattern, Text};

use crate::layers::{OnPark, Retry};
use crate::limits::CRASHES_DEFAULT;
use crate::store::{Ack, EventStore, Offset};
use crate::subscription::Key;
use crate::sync::Arc;

/// How a bus stores its events, for [`BusBuilder::store`](crate::BusBuilder::store).
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::{Bus, Persist, store::{Ack, MemoryStore}};
/// use nexus_events_model::Pattern;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let persist = Persist::to(Arc::new(MemoryStore::new())).ack(Ack::Buffered).only(Pattern::new("order.**")?);
/// let bus = Bus::builder().store(persist).open().await?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until a bus is built with it"]
pub struct Persist {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) ack: Ack,
    pub(crate) only: Vec<Pattern>,
    pub(crate) key: Option<Key>,
}

impl Persist {
    /// All events to this store; a publish returns when the disk has its event.
    pub fn to(store: Arc<dyn EventStore>) -> Self {
        Self { store, ack: Ack::default(), only: Vec::new(), key: None }
    }

    /// What a publish waits for before its event is dispatched. Default: that the disk has it.
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// Only events of types that match; several patterns mean any of them. Others are dispatched
    /// without being stored, and reach no durable handler.
    pub fn only(mut self, pattern: Pattern) -> Self {
        self.only.push(pattern);
        self
    }

    /// What events are stored under as their key, to be read by it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Persist, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// let by_user = |event: &Event| event.user_id().map(|user| user.to_string().into());
    /// let persist = Persist::to(Arc::new(MemoryStore::new())).keyed_by(by_user);
    /// ```
    pub fn keyed_by(
        mut self,
        key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Key::new(key));
        self
    }

    pub(crate) fn means(&self, event_type: &EventType) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(event_type))
    }
}

impl<S: EventStore> From<Arc<S>> for Persist {
    fn from(store: Arc<S>) -> Self {
        Self::to(store)
    }
}

impl From<Arc<dyn EventStore>> for Persist {
    fn from(store: Arc<dyn EventStore>) -> Self {
        Self::to(store)
    }
}

impl fmt::Debug for Persist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persist")
            .field("ack", &self.ack)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

/// Where a consumer begins that has no cursor yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Start {
    /// With what comes from now on.
    #[default]
    Latest,
    /// With the oldest event that is kept.
    Earliest,
    /// With the event after this offset.
    After(Offset),
}

/// How a handler is durable: it gets every stored event at least once, through crashes and
/// restarts, until it is handled or parked. A name becomes one with all defaults.
///
/// ```
/// use nexus_events_dispatch::{Durable, Start, layers::Retry};
/// let billing = Durable::named("billing").start(Start::Earliest).retry(Retry::new().max_attempts(6));
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a handler is registered with it"]
pub struct Durable {
    pub(crate) name: Text,
    pub(crate) start: Start,
    pub(crate) retry: Retry,
    pub(crate) on_park: OnPark,
    pub(crate) crashes: u32,
}

impl Durable {
    /// The name of the consumer, under which the store knows how far it is; at most 255 bytes, and
    /// unique on its bus.
    pub fn named(name: impl Into<Text>) -> Self {
        let (start, retry, on_park) = (Start::default(), Retry::new(), OnPark::default());
        Self { name: name.into(), start, retry, on_park, crashes: CRASHES_DEFAULT }
    }

    /// Where it begins when the store does not know it yet. Default: with what comes.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// How failures are tried again before the event is parked. Default: as the event says, 4
    /// attempts unless it says otherwise.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What happens to later events of a key when one was parked. Default: they are held.
    pub fn on_park(mut self, on_park: OnPark) -> Self {
        self.on_park = on_park;
        self
    }

    /// At which crash of the process while an event is handled that is parked, at least 1. Before
    /// the last two it is handled alone, so that an event that only stood
    /// beside the culprit is not parked with it. Default: 3, so it is handled alone from the first
    /// one on. More is for
    /// handlers that see to it themselves.
    ///
    /// ```
    /// use nexus_events_dispatch::Durable;
    /// let billing = Durable::named("billing").crashes(10);
    /// ```
    pub fn crashes(mut self, crashes: u32) -> Self {
        self.crashes = crashes.max(1);
        self
    }
}

impl<T: Into<Text>> From<T> for Durable {
    fn from(name: T) -> Self {
        Self::named(name)
    }
}

impl PartialEq for Durable {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.start == other.start && self.on_park == other.on_park
    }
}
