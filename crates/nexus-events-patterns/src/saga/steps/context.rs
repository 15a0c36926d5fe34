//! What a step and a compensation are given.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use nexus_events_dispatch::{Bus, HandlerError};
use nexus_events_model::{Event, EventId, IntoEvent, Text};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::super::instance::Instance;
use super::state::{StepState, StepStatus};
use super::token::Token;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_EVENTS_MAX;

/// Why a step or a compensation has failed, made from any error with `?`.
///
/// It is temporary, so that another attempt follows, unless made with
/// [`permanent`](HandlerError::permanent).
pub type StepError = HandlerError;

/// One attempt of a step. Cheap to clone.
///
/// ```
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::{StepContext, StepError};
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
/// # async fn charge(_: u32, _: &str) -> std::io::Result<String> { Ok("p-1".into()) }
///
/// #[derive(Serialize, Deserialize)]
/// struct Checkout { total: u32 }
///
/// async fn pay(step: StepContext<Checkout>) -> Result<String, StepError> {
///     if step.data().total == 0 {
///         return Err(StepError::permanent("nothing to pay"));
///     }
///     let payment = charge(step.data().total, step.idempotency_key()).await?;
///     step.publish(Event::builder("payment.completed").payload(json!({"payment": payment})));
///     Ok(payment)
/// }
/// ```
pub struct StepContext<S> {
    data: Arc<S>,
    inner: Arc<Inner>,
}

struct Inner {
    bus: Bus,
    /// What drives the saga on, for the lineage of what is published.
    cause: Event,
    saga: Arc<Instance>,
    step: Text,
    idempotency_key: Text,
    attempt: u32,
    token: Token,
    published: Mutex<Published>,
}

/// What an attempt publishes if it succeeds.
#[derive(Default)]
struct Published {
    events: Vec<Event>,
    failed: Option<Error>,
}

/// What an attempt needs to know.
pub(super) struct About<'a> {
    pub(super) bus: &'a Bus,
    pub(super) cause: &'a Event,
    pub(super) saga: &'a Arc<Instance>,
    pub(super) token: &'a Token,
}

impl<S> StepContext<S> {
    pub(super) fn new(
        data: &Arc<S>,
        about: &About<'_>,
        state: &StepState,
        idempotency_key: Text,
    ) -> Self {
        let inner = Inner {
            bus: about.bus.clone(),
            cause: about.cause.clone(),
            saga: about.saga.clone(),
            step: state.name.clone(),
            idempotency_key,
            attempt: state.attempts,
            token: about.token.clone(),
            published: Mutex::default(),
        };
        Self { data: data.clone(), inner: Arc::new(inner) }
    }

    /// What the saga was started with.
    #[must_use]
    pub fn data(&self) -> &S {
        &self.data
    }

    /// What the saga is found by.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.inner.saga.key
    }

    /// Names this saga and no later one with the same key: the id of the event that started it.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.inner.saga.id
    }

    /// The name of the step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.inner.step
    }

    /// The same for every attempt of this step of this saga, after a crash too, and another one for
    /// its compensation: what is called with it can tell that it was called before.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.inner.idempotency_key
    }

    /// Which attempt it is, from 1; those that a restart of the program has interrupted count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// What an earlier step has returned.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a step that has not completed, or not before this one began;
    /// [`ErrorKind::InvalidState`] when it has returned something else.
    pub fn log<T: DeserializeOwned>(&self, step: &str) -> Result<T> {
        // While its compensation runs, too.
        let has_completed = |state: &StepState| {
            state.status == StepStatus::Completed || (!state.unsure && !state.log.is_null())
        };
        let steps = &mut self.inner.saga.steps.iter();
        let known = steps.find(|state| state.name == *step && has_completed(state));
        let known = known.ok_or_else(|| {
            let message = format!(
                "the step `{step}` of the saga `{}` {} has not completed before the step `{}` began; name one that comes before it",
                self.inner.saga.saga,
                self.key(),
                self.inner.step
            );
            Error::new(ErrorKind::NotFound, message)
        })?;
        T::deserialize(&known.log).map_err(|error| {
            let message = format!(
                "the step `{step}` of the saga `{}` {} has returned something else: {error}",
                self.inner.saga.saga,
                self.key()
            );
            Error::new(ErrorKind::InvalidState, message)
        })
    }

    /// Publishes an event if this attempt succeeds, in one commit with that. It inherits the
    /// conversation of the saga; a malformed one fails the step. At most 1,024.
    pub fn publish(&self, event: impl IntoEvent) {
        let event = self.inner.event(event);
        let mut published = self.inner.published.lock();
        match event {
            Ok(event) if published.events.len() < SAGA_EVENTS_MAX => published.events.push(event),
            Ok(_) => {
                let message = format!(
                    "the step `{}` of the saga `{}` publishes more than {SAGA_EVENTS_MAX} events; spread them over several steps",
                    self.inner.step, self.inner.saga.saga
                );
                published.failed.get_or_insert(Error::new(ErrorKind::Overloaded, message));
            }
            Err(error) => {
                published.failed.get_or_insert(error);
            }
        }
    }

    /// Whether what it does is not wanted any more: the saga was cancelled, or a step beside it has
    /// failed. It may return early with an error then; no other attempt follows, and what it has
    /// done is compensated. Never for a compensation, nor behind the pivot.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.token.is_told()
    }

    /// Waits until that is so.
    pub async fn cancelled(&self) {
        self.inner.token.told().await;
    }

    /// What it has published, or why it could not.
    pub(super) fn published(&self) -> Result<Vec<Event>> {
        let mut published = self.inner.published.lock();
        match published.failed.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut published.events)),
        }
    }
}

impl Inner {
    fn event(&self, event: impl IntoEvent) -> Result<Event> {
        let event = self.bus.stamp(event)?;
        let correlation_id = event.correlation_id().unwrap_or(&self.saga.correlation_id).clone();
        let event = event.to_builder().correlation_id(correlation_id);
        Ok(event.caused_by(&self.cause).build()?)
    }
}

impl<S> Clone for StepContext<S> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), inner: self.inner.clone() }
    }
}

impl<S> fmt::Debug for StepContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("key", &self.key())
            .field("step", &self.step())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

/// What is known of a step that is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepOutcome<R> {
    /// It has returned this.
    Completed(R),
    /// Nobody knows whether it has done anything: it took too long each time, it panicked, or the
    /// program ended meanwhile. What it was called with is
    /// [`step_idempotency_key`](Compensation::step_idempotency_key).
    Unknown,
}

impl<R> StepOutcome<R> {
    /// What the step has returned, if that is known.
    ///
    /// ```
    /// use nexus_events_patterns::saga::StepOutcome;
    /// assert_eq!(StepOutcome::Completed("p-1").completed(), Some("p-1"));
    /// assert_eq!(StepOutcome::<&str>::Unknown.completed(), None);
    /// ```
    #[must_use]
    pub fn completed(self) -> Option<R> {
        match self {
            Self::Completed(result) => Some(result),
            Self::Unknown => None,
        }
    }
}

/// One attempt of a compensation: what a [step](StepContext) has, and what came of the step. It
/// must be fine to call it twice.
///
/// ```
/// use nexus_events_patterns::saga::{Compensation, StepError, StepOutcome};
/// # async fn refund_payment(_: &str, _: &str) -> std::io::Result<()> { Ok(()) }
/// # async fn find_payment(_: &str) -> std::io::Result<Option<String>> { Ok(None) }
/// async fn refund(compensation: Compensation<(), String>) -> Result<(), StepError> {
///     let payment = match &compensation.outcome {
///         StepOutcome::Completed(payment) => Some(payment.clone()),
///         _ => find_payment(compensation.step_idempotency_key()).await?,
///     };
///     if let Some(payment) = payment {
///         refund_payment(&payment, compensation.idempotency_key()).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compensation<S, R> {
    context: StepContext<S>,
    step_key: Text,
    /// What came of the step.
    pub outcome: StepOutcome<R>,
}

impl<S, R> Compensation<S, R> {
    pub(super) fn new(context: StepContext<S>, step_key: Text, outcome: StepOutcome<R>) -> Self {
        Self { context, step_key, outcome }
    }

    /// What the step that is taken back was called with.
    #[must_use]
    pub fn step_idempotency_key(&self) -> &str {
        &self.step_key
    }
}

impl<S, R> Deref for Compensation<S, R> {
    type Target = StepContext<S>;

    fn deref(&self) -> &StepContext<S> {
        &self.context
    }
}
