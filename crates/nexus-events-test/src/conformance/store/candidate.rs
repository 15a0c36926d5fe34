//! A store under test.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use nexus_events_dispatch::store::{Capabilities, EventStore};
use nexus_events_dispatch::{Error, ManualClock};

/// A fresh store, and what a test can do with it beside its port.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::{ManualClock, store::MemoryStore};
/// use nexus_events_test::{TestEventBus, conformance::store::Candidate};
/// let clock = ManualClock::new(TestEventBus::START);
/// let store = MemoryStore::new().clock(clock.clone());
/// let candidate = Candidate::new(Arc::new(store)).clock(clock);
/// ```
#[must_use = "it does nothing until it is tested"]
pub struct Candidate {
    store: Arc<dyn EventStore>,
    clock: Option<ManualClock>,
    open: Option<Open>,
    held: Vec<Box<dyn Any + Send + Sync>>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn EventStore>, Error>> + Send>>;
type Open = Box<dyn Fn() -> Opening + Send + Sync>;

/// Why a case ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It needs something that is not there, and this is what.
    Skipped(String),
    /// The store gave an answer that it should not, and this is which.
    Failed(String),
}

impl From<Error> for Stop {
    /// An error where there should be none.
    fn from(error: Error) -> Self {
        Self::Failed(format!("{error:?}"))
    }
}

impl Candidate {
    /// A store without events and state.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, clock: None, open: None, held: Vec::new() }
    }

    /// The clock that the store takes its times from. It should show a whole microsecond.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How the same store is opened after it was closed; it has the same clock then.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use nexus_events_dispatch::{Error, store::{EventStore, MemoryStore}};
    /// # use nexus_events_test::conformance::store::Candidate;
    /// # async fn open(path: &str) -> Result<Arc<dyn EventStore>, Error> { Ok(Arc::new(MemoryStore::new())) }
    /// # async fn make() -> Result<Candidate, Error> {
    /// let path = "orders.nexus";
    /// Ok(Candidate::new(open(path).await?).reopen(move || open(path)))
    /// # }
    /// ```
    pub fn reopen<F, Opened>(mut self, open: F) -> Self
    where
        F: Fn() -> Opened + Send + Sync + 'static,
        Opened: Future<Output = Result<Arc<dyn EventStore>, Error>> + Send + 'static,
    {
        self.open = Some(Box::new(move || Box::pin(open())));
        self
    }

    /// What has to stay as long as the test, such as its temporary folder. It is dropped after the
    /// store.
    pub fn holding(mut self, thing: impl Send + Sync + 'static) -> Self {
        self.held.push(Box::new(thing));
        self
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// A clock to move, or the case does not apply.
    pub(super) fn its_clock(&self) -> Result<&ManualClock, Stop> {
        self.clock.as_ref().ok_or_else(|| skipped("a clock that can be moved"))
    }

    /// Whether it can be opened again; otherwise the case does not apply.
    pub(super) fn can_reopen(&self) -> Result<(), Stop> {
        self.open.as_ref().map(|_| ()).ok_or_else(|| skipped(REOPEN))
    }

    /// The store claims this, or the case does not apply.
    pub(super) fn claims(
        &self,
        claim: impl FnOnce(Capabilities) -> bool,
        what: &str,
    ) -> Result<(), Stop> {
        match claim(self.store.capabilities()) {
            true => Ok(()),
            false => Err(skipped(what)),
        }
    }

    /// The same store, closed and opened again.
    pub(super) async fn reopened(self) -> Result<Self, Stop> {
        let Self { store, clock, open, held } = self;
        let open = open.ok_or_else(|| skipped(REOPEN))?;
        store.close().await?;
        // Whoever has a file locked has it until the store is gone.
        drop(store);
        Ok(Self { store: open().await?, clock, open: Some(open), held })
    }
}

const REOPEN: &str = "a store that can be opened again";

pub(super) fn skipped(what: impl Into<String>) -> Stop {
    Stop::Skipped(format!("needs {}", what.into()))
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("capabilities", &self.store.capabilities())
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
