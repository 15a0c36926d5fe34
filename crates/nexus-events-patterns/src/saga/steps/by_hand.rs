//! Starting a saga of steps by hand, and going on with one that has ended badly.

use nexus_events_dispatch::ErrorKind as BusErrorKind;
use nexus_events_dispatch::store::{Append, Expected, Scan};
use nexus_events_model::{Event, EventId, Text};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::change::append_of;
use super::super::context::SagaContext;
use super::super::handle::SagaHandle;
use super::super::instance::{ACTIVE, ENDED, Instance, prefix};
use super::super::machine::Reaction;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{SAGA_KEY_BYTES_MAX, SAGA_PAGE};

impl SagaHandle {
    /// Starts a saga of steps with this input. When this returns the saga is stored and goes on by
    /// itself, whatever happens to the program.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, store::MemoryStore};
    /// use nexus_events_patterns::{ErrorKind, saga::{StepContext, StepError, StepSaga}};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let greet = StepSaga::<String>::named("greet").step("hello", async |_: StepContext<String>| Ok::<(), StepError>(()));
    /// let greetings = greet.build()?.attach(&bus)?;
    /// greetings.start("ann", &"Ann").await?;
    /// assert_eq!(greetings.start("ann", &"Ann").await.unwrap_err().kind(), ErrorKind::Exists);
    /// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when one of this key runs; [`ErrorKind::MissingKey`] for a key that is
    /// empty or longer than 255 bytes; [`ErrorKind::InvalidState`] for an input that is none of this
    /// saga; [`ErrorKind::InvalidOption`] for a saga of state with handlers, which events start;
    /// those of the store.
    pub async fn start<S: Serialize + ?Sized>(
        &self,
        key: impl Into<Text>,
        input: &S,
    ) -> Result<Instance> {
        let key = self.checked(key.into())?;
        let input = serde_json::to_value(input).map_err(|error| {
            let message = format!("the input of the saga `{}` {key} is no JSON", self.name());
            Error::new(ErrorKind::InvalidState, message).caused_by(error)
        })?;
        let cause = self.bus.stamp(Event::builder("saga.started"))?;
        let (nothing, now) = (RawValue::NULL.to_owned(), self.bus.now());
        let name = self.runner.name();
        let mut instance = Instance::new(name, key, &cause, 1, nothing, now);
        instance.note(now, "started by hand", None);
        let mut saga = SagaContext::new(&self.bus, &cause, instance, true);
        self.runner.machine.started(&input, &mut saga)?;
        saga.failure()?;
        let instance = saga.instance.clone();
        match self.bus.commit(append_of(Reaction::from(saga))?).await {
            Ok(_) => {
                self.runner.has_changed(true, &instance.status, &self.bus).await;
                Ok(instance)
            }
            Err(error) if error.kind() == BusErrorKind::Conflict => Err(self.exists(&instance.key)),
            Err(error) => Err(error.into()),
        }
    }

    fn checked(&self, key: Text) -> Result<Text> {
        if (1..=SAGA_KEY_BYTES_MAX).contains(&key.len()) {
            return Ok(key);
        }
        let message = format!(
            "the key of a saga `{}` has 1 to {SAGA_KEY_BYTES_MAX} bytes, not {}",
            self.name(),
            key.len()
        );
        Err(Error::new(ErrorKind::MissingKey, message))
    }

    fn exists(&self, key: &str) -> Error {
        let message = format!(
            "a saga `{}` with the key `{key}` runs; wait until it has ended, or take another key",
            self.name()
        );
        Error::new(ErrorKind::Exists, message)
    }

    /// Tries again to take back what a saga could not take back, which has ended
    /// [halted](super::super::SagaStatus::Halted) or
    /// [with failures](super::super::SagaStatus::CompensatedWithFailures); one that was halted goes
    /// on with the rest then. It is found by its [id](Instance::id), as its key may have been used
    /// again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when none with this id has ended, or no compensation of it has failed;
    /// [`ErrorKind::Exists`] while another one of its key runs; those of the store.
    pub async fn resume_compensation(&self, id: &EventId) -> Result<Instance> {
        let ended = self.find_ended(id).await?;
        let (ended_row, version) = (ended.ended_row(), ended.stored);
        let cause = self.cause_of(&ended)?;
        let mut saga = SagaContext::new(&self.bus, &cause, ended.clone(), false);
        self.runner.machine.resumed(&ended, &mut saga)?;
        saga.failure()?;
        let now = saga.now();
        saga.instance.note(now, "compensation resumed by hand", None);
        let Reaction { instance, events, .. } = Reaction::from(saga);
        let Some(instance) = instance else { return Ok(ended) };
        let append = Append::new().delete_if(Expected::Exact(version), ENDED, ended_row);
        let append = append.put_if(Expected::Absent, ACTIVE, instance.row(), instance.to_bytes()?);
        let append = events.into_iter().fold(append, Append::event);
        match self.bus.commit(append).await {
            Ok(_) => {
                self.runner.has_changed(false, &instance.status, &self.bus).await;
                Ok(instance)
            }
            Err(error) if error.kind() == BusErrorKind::Conflict => Err(self.exists(&instance.key)),
            Err(error) => Err(error.into()),
        }
    }

    async fn find_ended(&self, id: &EventId) -> Result<Instance> {
        let mut scan = Scan::of(ENDED).prefix(prefix(self.name())).limit(SAGA_PAGE);
        loop {
            let entries = self.store()?.scan(scan.clone()).await?;
            let suffix = id.to_string().into_bytes();
            if let Some(entry) = entries.iter().find(|entry| entry.key.ends_with(&suffix)) {
                let instance = Instance::read_entry(self.name(), entry)?;
                if instance.id == *id {
                    return Ok(instance);
                }
            }
            let Some(last) = entries.last() else {
                let message = format!("no saga `{}` with the id {id} has ended", self.name());
                return Err(Error::new(ErrorKind::NotFound, message));
            };
            scan.after = Some(last.key.clone());
        }
    }
}

/// For sagas that only events start.
pub(in super::super) fn started_by_events(saga: &str, _: &Value) -> Error {
    Error::invalid_option(format!(
        "the saga `{saga}` has state with handlers and is started by an event; publish one that its `.starts(..)` matches"
    ))
}
