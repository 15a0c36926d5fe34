//! Looking at the sagas of a definition, and taking a hand in them.

use std::fmt;
use std::sync::Arc;

use nexus_events_dispatch::layers::DeadLetterFilter;
use nexus_events_dispatch::store::{EventStore, Scan};
use nexus_events_dispatch::{Bus, ErrorKind as BusErrorKind, Subscription};
use nexus_events_model::{Event, EventId};
use time::OffsetDateTime;

use super::change::append_of;
use super::conflicts::Conflicts;
use super::context::SagaContext;
use super::instance::{ACTIVE, ENDED, Instance, SagaStatus, micros, prefix, row};
use super::machine::Reaction;
use super::runner::Runner;
use super::stats::SagaStats;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_PAGE;

/// The sagas of one definition on one bus, from [`SagaDefinition::attach`](super::SagaDefinition).
/// Cheap to clone. Dropping it ends nothing.
#[derive(Clone)]
pub struct SagaHandle {
    pub(super) bus: Bus,
    pub(super) runner: Arc<Runner>,
    subscription: Arc<Subscription>,
}

impl fmt::Debug for SagaHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaHandle").field("name", self.runner.name()).finish_non_exhaustive()
    }
}

impl SagaHandle {
    pub(super) fn new(bus: &Bus, runner: Arc<Runner>, subscription: Arc<Subscription>) -> Self {
        Self { bus: bus.clone(), runner, subscription }
    }

    /// The name of the saga.
    #[must_use]
    pub fn name(&self) -> &str {
        self.runner.name()
    }

    /// What they have done since this bus began.
    #[must_use]
    pub fn stats(&self) -> SagaStats {
        self.runner.counters.read()
    }

    /// The saga of this key, unless it has ended.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Instance>> {
        let stored = self.store()?.get(ACTIVE, &row(self.name(), key)).await?;
        stored.map(|stored| Instance::read(self.name(), key, &stored)).transpose()
    }

    /// Those that have not ended, in the order of their keys, a page of 256 after this key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn list(&self, after: Option<&str>) -> Result<Vec<Instance>> {
        let scan = Scan::of(ACTIVE).prefix(prefix(self.name())).limit(SAGA_PAGE);
        let scan = match after {
            Some(key) => scan.after(row(self.name(), key)),
            None => scan,
        };
        self.read(scan).await
    }

    /// Those that have ended since this time, the oldest first, a page of 256.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn ended(&self, since: OffsetDateTime) -> Result<Vec<Instance>> {
        let mut from = prefix(self.name());
        from.extend(micros(since));
        self.read(Scan::of(ENDED).prefix(prefix(self.name())).after(from).limit(SAGA_PAGE)).await
    }

    async fn read(&self, scan: Scan) -> Result<Vec<Instance>> {
        let entries = self.store()?.scan(scan).await?;
        entries.iter().map(|entry| Instance::read_entry(self.name(), entry)).collect()
    }

    /// Cancels the saga of this key: one of state with handlers ends at once, one of steps takes
    /// back what it has done first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::BehindPivot`] for one that can only
    /// go forward; those of the store.
    pub async fn cancel(&self, key: &str, reason: &str) -> Result<Instance> {
        let cancelled = self.change(key, "cancelled by hand", |instance, saga| {
            self.runner.machine.cancelled(instance, saga, reason)
        });
        let cancelled = cancelled.await?;
        self.runner.machine.told_cancelled(&cancelled);
        Ok(cancelled)
    }

    /// Lets a saga go on that stands still: a parked one, and one whose events became dead letters,
    /// which are given to it again in their order. How many there were. For one that has ended and
    /// whose compensation has failed see [`resume_compensation`](Self::resume_compensation).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is neither; those of the store.
    pub async fn resume(&self, key: &str) -> Result<usize> {
        let stands = self
            .get(key)
            .await?
            .is_some_and(|instance| matches!(instance.status, SagaStatus::Parked { .. }));
        if stands {
            self.change(key, "resumed by hand", |instance, saga| {
                self.runner.machine.resumed(instance, saga)
            })
            .await?;
        }
        let replayed = self.replay(key).await?;
        if !stands && replayed == 0 {
            return Err(self.none(key, "stands still or has dead letters"));
        }
        Ok(replayed)
    }

    /// The dead letters of this key, given to the saga again.
    async fn replay(&self, key: &str) -> Result<usize> {
        let Some(letters) = self.bus.dead_letters() else { return Ok(0) };
        let handler = self.subscription.name();
        let filter = DeadLetterFilter::new().handler(handler).key(key);
        let there = letters.list(&filter, SAGA_PAGE).len();
        if there > 0 {
            letters.replay_key(&self.bus, handler, key).await?;
        }
        Ok(there)
    }

    /// Takes back a timeout of the saga of this key.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the saga or the timeout is not there; those of the store.
    pub async fn cancel_timeout(&self, key: &str, id: &EventId) -> Result<Instance> {
        self.change(key, "timeout taken back by hand", |_, saga| {
            if saga.cancel_timeout(id) {
                return Ok(());
            }
            Err(self.none(key, &format!("has the timeout {id}")))
        })
        .await
    }

    /// Moves a timeout of the saga of this key to another time, with what its handler is given; it
    /// has another id then.
    ///
    /// # Errors
    /// As [`cancel_timeout`](Self::cancel_timeout).
    pub async fn move_timeout(
        &self,
        key: &str,
        id: &EventId,
        time: OffsetDateTime,
    ) -> Result<Instance> {
        self.change(key, "timeout moved by hand", |instance, saga| {
            let timer = instance.timers.iter().find(|timer| timer.id == *id);
            let timer = timer.ok_or_else(|| self.none(key, &format!("has the timeout {id}")))?;
            saga.cancel_timeout(id);
            saga.timeout_with(timer.name.clone(), time, timer.payload.clone());
            Ok(())
        })
        .await
    }

    /// Changes a saga from outside of its events, whoever else is at it.
    pub(super) async fn change(
        &self,
        key: &str,
        what: &str,
        change: impl Fn(&Instance, &mut SagaContext<'_>) -> Result<()>,
    ) -> Result<Instance> {
        let mut conflicts = Conflicts::new(0);
        loop {
            let before = self.get(key).await?.ok_or_else(|| self.none(key, "is there"))?;
            let cause = self.cause_of(&before)?;
            let mut saga = SagaContext::new(&self.bus, &cause, before.clone(), false);
            change(&before, &mut saga)?;
            saga.failure()?;
            let now = saga.now();
            saga.instance.note(now, what, None);
            let after = saga.instance.clone();
            let append = append_of(Reaction::from(saga))?;
            match self.bus.commit(append).await {
                Ok(_) => {
                    self.runner.has_changed(false, &after.status, &self.bus).await;
                    return Ok(after);
                }
                Err(error) if error.kind() == BusErrorKind::Conflict && conflicts.pause().await => {
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What it publishes belongs to its conversation.
    pub(super) fn cause_of(&self, instance: &Instance) -> Result<Event> {
        let cause = Event::builder("saga.changed").id(instance.id.clone());
        Ok(self.bus.stamp(cause.correlation_id(instance.correlation_id.clone()))?)
    }

    pub(super) fn store(&self) -> Result<&Arc<dyn EventStore>> {
        self.bus.store().ok_or_else(Error::no_store)
    }

    fn none(&self, key: &str, what: &str) -> Error {
        let message = format!(
            "no saga `{}` with the key `{key}` {what}; `list` shows those that run",
            self.name()
        );
        Error::new(ErrorKind::NotFound, message)
    }
}
