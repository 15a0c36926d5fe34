//! One commit: what goes in, and what comes back.

use nexus_events_model::{Event, Text};
use time::OffsetDateTime;

use super::offset::Offset;
use super::space;
use super::{Cursor, StateEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{IDEMPOTENCY_KEY_BYTES_MAX, ORDER_KEY_BYTES_MAX, STATE_KEY_BYTES_MAX};
use crate::scheduled::Scheduled;

/// What an append waits for.
///
/// ```
/// use nexus_events_dispatch::store::Ack;
/// assert!(Ack::Synced > Ack::Buffered && Ack::Buffered > Ack::Memory);
/// assert_eq!(Ack::default(), Ack::Synced);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Ack {
    /// That the store has checked it and given it its offsets. A crash of the process loses it.
    Memory,
    /// That the operating system has it. A crash of the process does not lose it, one of the
    /// machine may.
    Buffered,
    /// That the disk has it. It survives a loss of power, on a disk that does not lie about it.
    #[default]
    Synced,
}

impl Ack {
    /// A stable word for configuration, logs and machines.
    ///
    /// ```
    /// use nexus_events_dispatch::store::Ack;
    /// assert_eq!(Ack::Synced.as_str(), "synced");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Buffered => "buffered",
            Self::Synced => "synced",
        }
    }
}

/// What must be the case for a commit to happen. A version is a number that is 0 where there is
/// nothing and grows with every change.
///
/// ```
/// use nexus_events_dispatch::store::Expected;
/// assert!(Expected::Absent.holds(0) && Expected::Exact(3).holds(3) && !Expected::Present.holds(0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Expected {
    /// Anything.
    #[default]
    Any,
    /// Nothing is there.
    Absent,
    /// Something is there.
    Present,
    /// It has exactly this version.
    Exact(u64),
}

impl Expected {
    /// Whether this version is as expected; 0 means that nothing is there.
    #[must_use]
    pub const fn holds(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => version == 0,
            Self::Present => version > 0,
            Self::Exact(expected) => version == expected,
        }
    }
}

impl Expected {
    /// The error of a commit where this version is not as expected, for those who write a store.
    ///
    /// ```
    /// use nexus_events_dispatch::{ErrorKind, store::Expected};
    /// let error = Expected::Absent.require(3, || "the key `order-42`".to_owned()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), naming what it is about.
    pub fn require(self, version: u64, what: impl FnOnce() -> String) -> Result<()> {
        if self.holds(version) {
            return Ok(());
        }
        let what = what();
        let message =
            format!("{what} is at version {version}, not {self:?}; read it again and decide anew");
        Err(Error::of_store(ErrorKind::Conflict, message))
    }
}

/// An event with the key that it is ordered by.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KeyedEvent {
    /// What goes into the log.
    pub event: Event,
    /// What it is ordered by, if anything; at most 255 bytes. An empty key is a key.
    pub key: Option<Text>,
}

/// A change of the state under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateWrite {
    /// The purpose the state is kept for; see [`space`].
    pub space: Text,
    /// The key, at most 1,024 bytes.
    pub key: Vec<u8>,
    /// What is there from now on; `None` removes it.
    pub value: Option<Vec<u8>>,
    /// What must be there before.
    pub expected: Expected,
}

/// One commit: everything in it happens, or nothing.
///
/// ```
/// use nexus_events_dispatch::{Bus, ErrorKind};
/// use nexus_events_dispatch::store::{Append, EventStore, Expected, MemoryStore};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, bus) = (MemoryStore::new(), Bus::new());
/// let event = bus.stamp(Event::builder("order.created"))?;
/// let create = Append::new().keyed_event("order-42", event).expect_key("order-42", Expected::Absent);
/// store.append(create.clone()).await?;
/// assert_eq!(store.append(create).await.unwrap_err().kind(), ErrorKind::Conflict);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "it does nothing until a store is given it"]
#[non_exhaustive]
pub struct Append {
    /// What goes into the log, in this order.
    pub events: Vec<KeyedEvent>,
    /// Versions that keys must have before any of this; all of them must hold.
    pub expected: Vec<(Text, Expected)>,
    /// Changes of state, in this order: a later one of the same key meets what an earlier one has
    /// left, at the version of this commit.
    pub state: Vec<StateWrite>,
    /// The name under which this happens once.
    pub idempotency_key: Option<Text>,
    /// What is waited for.
    pub ack: Ack,
}

impl Append {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One event.
    pub fn of(event: Event) -> Self {
        Self::new().event(event)
    }

    /// Another event.
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(KeyedEvent { event, key: None });
        self
    }

    /// Another event, ordered by this key.
    pub fn keyed_event(mut self, key: impl Into<Text>, event: Event) -> Self {
        self.events.push(KeyedEvent { event, key: Some(key.into()) });
        self
    }

    /// Only when so many events with this key are there.
    pub fn expect_key(mut self, key: impl Into<Text>, expected: Expected) -> Self {
        self.expected.push((key.into(), expected));
        self
    }

    /// Sets the state under a key.
    pub fn put(
        self,
        space: impl Into<Text>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        self.put_if(Expected::Any, space, key, value)
    }

    /// Sets the state under a key, only when what is there is as expected.
    ///
    /// ```
    /// use nexus_events_dispatch::store::{Append, Expected};
    /// let append = Append::new().put_if(Expected::Exact(7), "orders", "42", "paid");
    /// ```
    pub fn put_if(
        mut self,
        expected: Expected,
        space: impl Into<Text>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        let (space, key, value) = (space.into(), key.into(), Some(value.into()));
        self.state.push(StateWrite { space, key, value, expected });
        self
    }

    /// Removes the state under a key; none there is no error.
    pub fn delete(self, space: impl Into<Text>, key: impl Into<Vec<u8>>) -> Self {
        self.delete_if(Expected::Any, space, key)
    }

    /// Removes the state under a key, only when what is there is as expected.
    pub fn delete_if(
        mut self,
        expected: Expected,
        space: impl Into<Text>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let (space, key) = (space.into(), key.into());
        self.state.push(StateWrite { space, key, value: None, expected });
        self
    }

    /// Moves the cursor of this consumer.
    pub fn cursor(self, consumer: &str, cursor: &Cursor) -> Self {
        self.put(space::CURSORS, consumer, cursor.to_bytes())
    }

    /// Publishes an event later, as [`Bus::schedule`](crate::Bus::schedule) does, if this commit
    /// happens; refused as a conflict when one with its id is scheduled already. For
    /// [`Bus::commit`](crate::Bus::commit) and [`Context::commit`](crate::Context::commit), which
    /// see to it that it is published in time.
    pub fn schedule(self, scheduled: &Scheduled) -> Self {
        scheduled.put(self)
    }

    /// Takes back what was scheduled and not moved since; none there is no error.
    pub fn unschedule(self, scheduled: &Scheduled) -> Self {
        scheduled.take_any(self)
    }

    /// The name under which this happens once, at most 255 bytes: a second append with the same
    /// name, as long as the store remembers it, changes nothing and has the answer of the first,
    /// marked as a duplicate.
    pub fn idempotency_key(mut self, key: impl Into<Text>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// What is waited for. Default: that the disk has it.
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.state.is_empty()
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        let event =
            |keyed: &KeyedEvent| keyed.event.size() + keyed.key.as_ref().map_or(0, |key| key.len());
        let write = |write: &StateWrite| {
            size_of::<StateWrite>()
                + write.space.len()
                + write.key.len()
                + write.value.as_ref().map_or(0, Vec::len)
        };
        size_of::<Self>()
            + self.events.iter().map(event).sum::<usize>()
            + self.state.iter().map(write).sum::<usize>()
            + self
                .expected
                .iter()
                .map(|(key, _)| size_of::<(Text, Expected)>() + key.len())
                .sum::<usize>()
    }

    /// Whether its names are short enough for a store, for those who write one.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), naming what is.
    pub fn check(&self) -> Result<()> {
        let at_most = |what: &str, length: usize, most: usize| match length > most {
            true => Err(Error::too_large(format!("{what} has {length} bytes, the most is {most}"))),
            false => Ok(()),
        };
        if let Some(key) = &self.idempotency_key {
            at_most("an idempotency key", key.len(), IDEMPOTENCY_KEY_BYTES_MAX)?;
        }
        let keys = self.events.iter().filter_map(|keyed| keyed.key.as_ref());
        for key in keys.chain(self.expected.iter().map(|(key, _)| key)) {
            at_most("the key of an event", key.len(), ORDER_KEY_BYTES_MAX)?;
        }
        for write in &self.state {
            at_most("the name of a space", write.space.len(), IDEMPOTENCY_KEY_BYTES_MAX)?;
            at_most("the key of a state", write.key.len(), STATE_KEY_BYTES_MAX)?;
        }
        Ok(())
    }
}

impl From<StateEntry> for StateWrite {
    /// The change that puts it there, only as long as nobody else has changed it.
    fn from(entry: StateEntry) -> Self {
        Self {
            space: entry.space,
            key: entry.key,
            value: Some(entry.state.value),
            expected: Expected::Exact(entry.state.version),
        }
    }
}

/// What a commit has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The offset of its first event; where there is none, the offset after the last one before.
    pub first: Offset,
    /// The offset of its last event; where there is none, the last one before.
    pub last: Offset,
    /// The number of the commit, which is the version of the state it has changed. Every append has
    /// one of its own, and a later one has a higher one, across a restart too.
    pub version: u64,
    /// When the store took it.
    pub recorded: OffsetDateTime,
    /// Whether it had happened before, under its idempotency key.
    pub duplicate: bool,
}

impl Appended {
    /// For those who write a store.
    #[must_use]
    pub fn new(first: Offset, last: Offset, version: u64, recorded: OffsetDateTime) -> Self {
        Self { first, last, version, recorded, duplicate: false }
    }
}
