//! All sagas of a program, whatever their definition, for those who look after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::{Scan, StateEntry};
use nexus_events_model::Text;
use parking_lot::RwLock;

use super::handle::SagaHandle;
use super::instance::{ACTIVE, ENDED, Instance, prefix, row};
use super::stats::SagaStats;
use super::steps::StepStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_PAGE;

/// The sagas in the store of a bus, of all definitions, also of those that this program does not
/// have: they can be looked at. Cancelling and resuming one needs its definition,
/// [added](Self::add) here. Clones are the same.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::{Bus, store::MemoryStore};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::{Saga, SagaContext, SagaFilter, Sagas};
/// use serde_json::json;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
/// let sagas = Sagas::new(&bus);
/// let order = Saga::<u32>::named("order").starts("order.created", "id", |_: &mut u32, _: &Event, _: &mut SagaContext| {});
/// sagas.add(order.build()?.attach(&bus)?);
/// bus.publish(Event::builder("order.created").payload(json!({"id": "42"}))).await?;
/// bus.idle().await;
/// assert_eq!(sagas.list(&SagaFilter::new()).await?[0].key, "42");
/// sagas.handle("order")?.cancel("42", "out of stock").await?;
/// assert_eq!(sagas.list(&SagaFilter::new().ended()).await?[0].status.as_str(), "cancelled");
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Sagas {
    bus: Bus,
    handles: Arc<RwLock<BTreeMap<Text, SagaHandle>>>,
}

/// Which sagas are meant, for [`Sagas::list`].
///
/// ```
/// use nexus_events_patterns::saga::SagaFilter;
/// let stuck = SagaFilter::new().saga("order").status("parked").limit(20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a filter does nothing until something is listed with it"]
pub struct SagaFilter {
    saga: Option<Text>,
    status: Option<Text>,
    ended: bool,
    after: Option<Vec<u8>>,
    limit: Option<usize>,
}

impl SagaFilter {
    /// All that have not ended, 256 at a time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this definition.
    pub fn saga(mut self, name: impl Into<Text>) -> Self {
        self.saga = Some(name.into());
        self
    }

    /// With this status, as [`SagaStatus::as_str`](super::SagaStatus::as_str) says it.
    pub fn status(mut self, status: impl Into<Text>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Those that have ended instead, the oldest of each definition first.
    pub fn ended(mut self) -> Self {
        self.ended = true;
        self
    }

    /// Those that come after this one, to read them page by page.
    pub fn after(mut self, last: &Instance) -> Self {
        self.after = Some(last.own_row());
        self
    }

    /// The same, by its [`place`](Instance::place) in the list.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] when this is no place.
    pub fn after_place(mut self, place: &str) -> Result<Self> {
        let digits = place.as_bytes().chunks(2);
        let bytes = digits.map(|two| std::str::from_utf8(two).ok().filter(|two| two.len() == 2));
        let bytes = bytes.map(|two| u8::from_str_radix(two?, 16).ok());
        let row: Option<Vec<u8>> = bytes.collect();
        self.after = Some(row.ok_or_else(|| {
            Error::invalid_option(format!("`{place}` is no place in a list of sagas"))
        })?);
        Ok(self)
    }

    /// At most so many.
    pub fn limit(mut self, most: usize) -> Self {
        self.limit = Some(most);
        self
    }

    fn means(&self, instance: &Instance) -> bool {
        self.status.as_ref().is_none_or(|status| status == instance.status.as_str())
    }
}

impl Sagas {
    /// Those in the store of this bus.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), handles: Arc::default() }
    }

    /// Adds a definition that runs on this bus.
    pub fn add(&self, handle: SagaHandle) {
        self.handles.write().insert(handle.name().into(), handle);
    }

    /// The sagas of this definition, to cancel and resume them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when this program does not have it.
    pub fn handle(&self, saga: &str) -> Result<SagaHandle> {
        let handle = self.handles.read().get(&Text::from(saga)).cloned();
        handle.ok_or_else(|| {
            let message = format!(
                "this program has no definition of the saga `{saga}`; ask the one that runs it"
            );
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// Lets the saga of this key go on, for whatever reason it stands still: by
    /// [`SagaHandle::resume`], and where there is nothing to resume, but the last one of the key has
    /// ended with compensations that failed, by [`SagaHandle::resume_compensation`]. How many dead
    /// letters were given to it again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when this program does not have the definition, or nothing stands
    /// still; those of the store.
    pub async fn resume(&self, saga: &str, key: &str) -> Result<usize> {
        let handle = self.handle(saga)?;
        let nothing = match handle.resume(key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            done => return done,
        };
        let failed = |last: &Instance| {
            let steps = last.steps.iter();
            last.status.has_ended() && { steps }
                .any(|step| step.status == StepStatus::CompensationFailed)
        };
        match self.get(saga, key).await?.filter(failed) {
            Some(last) => handle.resume_compensation(&last.id).await.map(|_| 0),
            None => Err(nothing),
        }
    }

    /// What the definitions of this program have done.
    #[must_use]
    pub fn stats(&self) -> Vec<(Text, SagaStats)> {
        let handles = self.handles.read();
        handles.iter().map(|(name, handle)| (name.clone(), handle.stats())).collect()
    }

    /// A page of the sagas that match, in the order of their names and keys.
    ///
    /// # Errors
    /// [`ErrorKind::NoStore`]; those of the store; [`ErrorKind::Corrupt`] for one that cannot be
    /// read.
    pub async fn list(&self, filter: &SagaFilter) -> Result<Vec<Instance>> {
        let store = self.bus.store().ok_or_else(Error::no_store)?;
        let limit = filter.limit.unwrap_or(SAGA_PAGE);
        let space = if filter.ended { ENDED } else { ACTIVE };
        let mut scan = Scan::of(space).limit(SAGA_PAGE);
        if let Some(saga) = &filter.saga {
            scan = scan.prefix(prefix(saga));
        }
        scan.after.clone_from(&filter.after);
        let mut found = Vec::new();
        while found.len() < limit {
            let entries = store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { break };
            scan.after = Some(last.key.clone());
            for entry in &entries {
                let instance = read(entry)?;
                if filter.means(&instance) && found.len() < limit {
                    found.push(instance);
                }
            }
        }
        Ok(found)
    }

    /// The saga of this definition and key that has not ended, or the last one that has.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn get(&self, saga: &str, key: &str) -> Result<Option<Instance>> {
        let store = self.bus.store().ok_or_else(Error::no_store)?;
        if let Some(stored) = store.get(ACTIVE, &row(saga, key)).await? {
            return Instance::read(saga, key, &stored).map(Some);
        }
        let mut filter = SagaFilter::new().saga(saga).ended();
        let mut found = None;
        loop {
            let page = self.list(&filter).await?;
            let Some(last) = page.last() else { return Ok(found) };
            filter = filter.after(last);
            found = page.into_iter().rfind(|instance| instance.key == key).or(found);
        }
    }
}

fn read(entry: &StateEntry) -> Result<Instance> {
    let name = entry.key.split(|byte| *byte == 0).next().unwrap_or_default();
    Instance::read_entry(&String::from_utf8_lossy(name), entry)
}
