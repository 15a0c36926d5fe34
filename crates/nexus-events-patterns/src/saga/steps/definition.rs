//! Defining a saga of steps with compensation.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{self as dispatch, HandlerError};
use nexus_events_model::{Event, Pattern, Text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::definition::{Found, Options, SagaDefinition};
use super::super::key::SagaKey;
use super::super::states::Upcast;
use super::check;
use super::context::{Compensation, StepContext};
use super::function;
use super::machine::{Start, Steps};
use super::options::of_the_last_step;
use super::parts::{Parallel, no_step};
use super::plan::{OnFailure, Plan, Stage, Step};
use super::retry::StepRetry;
use super::token::Running;
use crate::error::{Error, Result};
use crate::limits::SAGA_RESTARTS_MAX;

/// A saga as steps with compensation: functions that are called one after the other, each tried
/// again when it fails; when one has failed for good, what those before it have done is taken back
/// in reverse order. `S` is what it is started with, `R` what the last step returns.
///
/// See the [module](crate::saga) for what is promised.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use nexus_events_dispatch::{Bus, store::MemoryStore};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::{Compensation, StepContext, StepError, StepRetry, StepSaga};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Checkout { total: u32 }
///
/// async fn pay(step: StepContext<Checkout>) -> Result<String, StepError> {
///     Ok(format!("payment of {} as {}", step.data().total, step.idempotency_key()))
/// }
/// async fn refund(payment: Compensation<Checkout, String>) -> Result<(), StepError> {
///     println!("taking back {:?}", payment.outcome);
///     Ok(())
/// }
/// async fn reserve(_: StepContext<Checkout>) -> Result<(), StepError> {
///     Err(StepError::permanent("sold out"))
/// }
///
/// let checkout = StepSaga::<Checkout>::named("checkout")
///     .step("pay", pay).compensate(refund).retry(StepRetry::attempts(5)).timeout(Duration::from_secs(10))
///     .step("reserve", reserve)
///     .build()?;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
/// let checkouts = checkout.attach(&bus)?;
/// checkouts.start("42", &Checkout { total: 100 }).await?;
/// bus.idle().await;
/// assert_eq!(checkouts.stats().compensated, 1);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// # Ok::<(), nexus_events_patterns::Error>(())
/// ```
#[must_use = "a definition does nothing until it is built and attached to a bus"]
pub struct StepSaga<S, R = ()> {
    options: Options,
    version: u32,
    upcasts: BTreeMap<u32, Upcast>,
    starts: Vec<Start<S>>,
    stages: Vec<Stage<S>>,
    on_failure: OnFailure,
    failed: Option<Error>,
    result: PhantomData<fn() -> R>,
}

impl<S, R> fmt::Debug for StepSaga<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepSaga").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S> StepSaga<S>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A saga of this name: one segment of an event type, at most 64 bytes.
    pub fn named(name: impl Into<Text>) -> Self {
        let mut options = Options::named(name.into());
        // It counts restarts itself, and parks the saga, not the event.
        options.crashes = Some(SAGA_RESTARTS_MAX.saturating_mul(2));
        Self {
            options,
            version: 1,
            upcasts: BTreeMap::new(),
            starts: Vec::new(),
            stages: Vec::new(),
            on_failure: OnFailure::default(),
            failed: None,
            result: PhantomData,
        }
    }
}

impl<S, R> StepSaga<S, R>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Events that start a saga, unless one of their key runs. The function makes its input of the
    /// event. None are needed where it is [started](super::super::SagaHandle::start) by hand.
    ///
    /// ```
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::saga::{StepContext, StepError, StepSaga};
    /// let checkout = StepSaga::<u64>::named("checkout")
    ///     .starts("order.created", "order_id", |event: &Event| event.payload().get("total").and_then(|it| it.as_u64()).ok_or("no total"))
    ///     .step("pay", async |_: StepContext<u64>| Ok::<(), StepError>(()))
    ///     .build()?;
    /// # Ok::<(), nexus_events_patterns::Error>(())
    /// ```
    pub fn starts<E: Into<HandlerError>>(
        mut self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        key: impl Into<SagaKey>,
        read: impl Fn(&Event) -> Result<S, E> + Send + Sync + 'static,
    ) -> Self {
        match pattern.try_into() {
            Ok(pattern) => {
                let read = Arc::new(move |event: &Event| read(event).map_err(Into::into));
                self.starts.push(Start { pattern, key: key.into(), read });
            }
            Err(error) => self.fail(error.into().into()),
        }
        self
    }

    /// The next step. What it returns is stored, for later steps and for its compensation.
    pub fn step<T, E, F>(
        mut self,
        name: impl Into<Text>,
        run: impl Fn(StepContext<S>) -> F + Send + Sync + 'static,
    ) -> StepSaga<S, T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Into<HandlerError>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let step = Step::new(name.into(), function::step(run));
        self.stages.push(Stage { name: None, steps: vec![step], is_pivot: false });
        self.after()
    }

    /// The step behind which there is no way back: what comes then is tried until it succeeds, or
    /// parked. When the pivot itself fails with an error the saga goes back; when nobody knows what
    /// it has done, it is parked too. From its beginning on the saga cannot be cancelled.
    pub fn pivot<T, E, F>(
        self,
        name: impl Into<Text>,
        run: impl Fn(StepContext<S>) -> F + Send + Sync + 'static,
    ) -> StepSaga<S, T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Into<HandlerError>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut saga = self.step(name, run);
        if let Some(stage) = saga.stages.last_mut() {
            stage.is_pivot = true;
        }
        saga
    }

    /// Steps that run at the same time. The next step begins when all have completed; when one has
    /// failed for good the others are [told](StepContext::cancelled), and what they have done is
    /// taken back at the same time too. At most 64.
    ///
    /// ```
    /// use nexus_events_patterns::saga::{Compensation, StepContext, StepError, StepSaga};
    /// async fn hold(_: StepContext<()>) -> Result<u32, StepError> { Ok(7) }
    /// async fn release(_: Compensation<(), u32>) -> Result<(), StepError> { Ok(()) }
    /// let trip = StepSaga::<()>::named("trip")
    ///     .parallel("hold", |group| group.step("seat", hold).compensate(release).step("room", hold).compensate(release))
    ///     .build()?;
    /// # Ok::<(), nexus_events_patterns::Error>(())
    /// ```
    pub fn parallel<T>(
        mut self,
        name: impl Into<Text>,
        group: impl FnOnce(Parallel<S>) -> Parallel<S, T>,
    ) -> StepSaga<S> {
        let Parallel { steps, failed, .. } = group(Parallel::new());
        if let Some(error) = failed {
            self.fail(error);
        }
        self.stages.push(Stage { name: Some(name.into()), steps, is_pivot: false });
        self.after()
    }

    /// What becomes of the other compensations when one has failed for good. Default: they run.
    pub fn on_compensation_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// The version of its input, from 1. Sagas that were stored with a lower one are brought up to
    /// it by [`upcast`](Self::upcast); those with a higher one are left alone. Default: 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Makes an input of the next version out of one of this version. Where a version has none, its
    /// input is read as it is.
    pub fn upcast(
        mut self,
        from: u32,
        upcast: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.upcasts.insert(from, Arc::new(move |input| Ok(upcast(input))));
        self
    }

    /// How many sagas are worked on at the same time. 1 to 4,096. Default: 256.
    pub fn concurrency(mut self, sagas: usize) -> Self {
        self.options.concurrency = sagas;
        self
    }

    /// With which event of the log it begins when the store does not know it yet. Default: with
    /// what comes.
    pub fn start(mut self, start: dispatch::Start) -> Self {
        self.options.start = start;
        self
    }

    /// How many sagas that have ended are kept, to be looked at; the oldest go first, up to 255 more
    /// stay for a while. Default: 10,000.
    pub fn keep_ended(mut self, sagas: usize) -> Self {
        self.options.keep_ended = sagas;
        self
    }

    fn after<T>(self) -> StepSaga<S, T> {
        let Self { options, version, upcasts, starts, stages, on_failure, failed, .. } = self;
        let result = PhantomData;
        StepSaga { options, version, upcasts, starts, stages, on_failure, failed, result }
    }

    fn last(&mut self, option: &str, change: impl FnOnce(&mut Step<S>)) {
        // After a group there is no last step: it may be meant for any of them.
        let stage = self.stages.last_mut().filter(|stage| stage.name.is_none());
        match stage.and_then(|stage| stage.steps.last_mut()) {
            Some(step) => change(step),
            None => self.fail(no_step(option)),
        }
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// The first mistake, naming its part. [`InvalidOption`](crate::ErrorKind::InvalidOption): a malformed name or
    /// pattern, a key that is a field without a name, no steps or too many, a second pivot, a compensation of the pivot or of a step
    /// behind it, a timeout of no time, attempts that are not 1 to 1,000, an upcast from a version
    /// that is not older. [`DuplicateName`](crate::ErrorKind::DuplicateName): two steps of one name.
    pub fn build(self) -> Result<SagaDefinition> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.options.check()?;
        let name = self.options.name.clone();
        check::version(&name, self.version, &self.upcasts)?;
        check::stages(&name, &self.stages)?;
        let found = self.starts.iter();
        let found =
            found.map(|start| Found { pattern: start.pattern.clone(), key: start.key.clone() });
        let found: Vec<Found> = found.collect();
        Found::check(&name, &found)?;
        let machine = Steps {
            name,
            version: self.version,
            upcasts: self.upcasts,
            starts: self.starts,
            plan: Plan { stages: self.stages, on_failure: self.on_failure },
            running: Running::default(),
            run: RandomState::new().hash_one(0),
        };
        Ok(SagaDefinition { options: self.options, found, machine: Arc::new(machine) })
    }
}

of_the_last_step!(StepSaga);
