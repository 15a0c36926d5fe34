//! Settings of a bus, and the bus made with them.

use std::time::Duration;

use crate::bus::Bus;
use crate::clock::{BusClock, Clock};
use crate::durable::{Durables, Persist};
use crate::error::{Error, ErrorKind, Result};
use crate::handler::States;
use crate::layer::{Layer, Layers};
use crate::layers::DeadLetters;
use crate::limits::{HISTORY_BYTES_DEFAULT, HISTORY_EVENTS_DEFAULT, WORKERS_DEFAULT};
use crate::sync::{Arc, Semaphore};

/// Settings of a [`Bus`].
///
/// ```
/// use nexus_events_dispatch::Bus;
/// let bus = Bus::builder().max_workers(4).history(1_000).build()?;
/// assert_eq!(bus.stats().max_workers, 4);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct BusBuilder {
    pub(crate) max_workers: usize,
    pub(crate) stuck_after: Option<Duration>,
    pub(crate) history: usize,
    pub(crate) history_bytes: usize,
    pub(crate) clock: BusClock,
    pub(crate) layers: Layers,
    pub(crate) states: States,
    pub(crate) persist: Option<Persist>,
    pub(crate) letters: Option<DeadLetters>,
}

impl Default for BusBuilder {
    fn default() -> Self {
        Self {
            max_workers: WORKERS_DEFAULT,
            stuck_after: None,
            history: HISTORY_EVENTS_DEFAULT,
            history_bytes: HISTORY_BYTES_DEFAULT,
            clock: BusClock::default(),
            layers: Layers::default(),
            states: States::default(),
            persist: None,
            letters: None,
        }
    }
}

impl BusBuilder {
    /// How many blocking handlers may run at the same time, at least 1. Default: 10.
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = workers;
        self
    }

    /// How long a handler may hold up its thread, more than 0: its own code, not what it awaits.
    /// Then it is given up: its event counts as timed out, others go on elsewhere, and its later
    /// events are dropped until it returns. Looked at once a second, or as often as this is, so it
    /// may take a little longer. Default: 30 s, and any time for [`Mode::Blocking`](crate::Mode::Blocking), which is there to
    /// block; when set it holds for that, too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nexus_events_dispatch::Bus;
    /// let bus = Bus::builder().stuck_after(Duration::from_secs(300)).build()?;
    /// assert_eq!(bus.stats().stuck_after, Duration::from_secs(300));
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn stuck_after(mut self, after: Duration) -> Self {
        self.stuck_after = Some(after);
        self
    }

    /// How many recent events are kept; 0 for none. Default: 10,000.
    ///
    /// Threads that publish file their events in lots, and drop those that leave the history one
    /// by one: each of them may hold some 384 events (96 KiB) more in memory, or none where fewer
    /// than 64 are kept. What [`Bus::history`] gives has every event that was published before.
    pub fn history(mut self, events: usize) -> Self {
        self.history = events;
        self
    }

    /// About how many bytes of recent events are kept. Default: 16 MiB.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// let bus = Bus::builder().history_bytes(1024 * 1024).build()?;
    /// assert_eq!(bus.stats().history_bytes_max, 1024 * 1024);
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.history_bytes = bytes;
        self
    }

    /// What tells the time of day, and so the time in ids that are made here. Default: [`SystemClock`](crate::SystemClock).
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, ManualClock};
    /// use time::macros::datetime;
    /// let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    /// let bus = Bus::builder().clock(clock).build()?;
    /// assert_eq!(bus.now(), datetime!(2026-01-02 03:04:05 UTC));
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = BusClock::own(clock);
        self
    }

    /// Puts a layer around everything, inside of those that are there already.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Layer};
    /// struct Audited;
    /// impl Layer for Audited {}
    /// let bus = Bus::builder().layer(Audited).build()?;
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.0.push(Arc::new(layer));
        self
    }

    /// Registers a value for handlers that take a [`State`](crate::State) of its type; instead of
    /// one of the same type that is there already. Each handler gets a clone for each event, so
    /// wrap in an [`Arc`] what is not cheap to clone.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use nexus_events_dispatch::{Bus, State};
    /// use nexus_events_model::Event;
    ///
    /// let seen = Arc::new(AtomicU64::new(0));
    /// let bus = Bus::builder().state(seen.clone()).build()?;
    /// bus.on("**", |State(seen): State<Arc<AtomicU64>>| { seen.fetch_add(1, Ordering::Relaxed); })?;
    /// bus.try_publish(Event::builder("a"))?;
    /// assert_eq!(seen.load(Ordering::Relaxed), 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn state<S: Clone + Send + Sync + 'static>(mut self, state: S) -> Self {
        self.states.set(state);
        self
    }

    /// Keeps events in this store before they are dispatched, so that handlers can be
    /// [durable](crate::SubscriptionOptions::durable): a publish waits for the store, a duplicate of
    /// an event that the store remembers is not dispatched again, and a
    /// [`Receipt`](crate::Receipt) says where in the log the event is. Such a bus is made by
    /// [`open`](Self::open).
    ///
    /// The store comes after all layers of the bus: what they refuse is not stored. An event whose
    /// publisher goes away while the store works may be stored and not dispatched; durable handlers
    /// get it, others do not.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let first = bus.publish(Event::builder("order.created").id("evt-1")).await?;
    /// let again = bus.publish(Event::builder("order.created").id("evt-1")).await?;
    /// assert!(again.duplicate && again.offset == first.offset);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn store(mut self, store: impl Into<Persist>) -> Self {
        self.persist = Some(store.into());
        self
    }

    /// Where durable handlers park what they give up. Default: in the store of the bus, with the
    /// bounds of [`DeadLetters::new`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, layers::DeadLetters, store::MemoryStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let store = Arc::new(MemoryStore::new());
    /// let letters = DeadLetters::stored(store.clone()).await?;
    /// let bus = Bus::builder().store(store).dead_letters(letters).open().await?;
    /// assert_eq!(bus.dead_letters().unwrap().stats().letters, 0);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.letters = Some(letters);
        self
    }

    /// The bus, when it has a [store](Self::store): what that holds is read first.
    ///
    /// # Errors
    /// Those of [`build`](Self::build) and of the store.
    pub async fn open(mut self) -> Result<Bus> {
        let Some(persist) = self.persist.take() else { return self.build() };
        let letters = match self.letters.take() {
            Some(letters) => letters,
            None => DeadLetters::stored(persist.store.clone()).await?,
        };
        self.check()?;
        let bus = Bus::with(self, Some(Durables::new(persist, letters)));
        bus.keep_time().await?;
        Ok(bus)
    }

    /// The bus.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for a [store](Self::store), which [`open`](Self::open) reads
    /// first, and for no worker or more than tokio's semaphore can count, and
    /// for handlers that may take no time.
    pub fn build(self) -> Result<Bus> {
        if self.persist.is_some() {
            let message =
                "a bus with a store reads it first; call `.open().await` instead of `.build()`";
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        self.check()?;
        Ok(Bus::with(self, None))
    }

    fn check(&self) -> Result<()> {
        if !(1..=Semaphore::MAX_PERMITS).contains(&self.max_workers) {
            let message =
                format!("max_workers is 1 to {}, not {}", Semaphore::MAX_PERMITS, self.max_workers);
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        if self.stuck_after.is_some_and(|after| after.is_zero()) {
            let message = "stuck_after is more than 0; 30 s unless set";
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        Ok(())
    }
}
