//! Defining a saga of state with handlers.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use nexus_events_dispatch::layers::Retry;
use nexus_events_dispatch::{self as dispatch, HandlerError, Start};
use nexus_events_model::{Event, Pattern, Text, TypedEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::SagaContext;
use super::key::SagaKey;
use super::machine::Machine;
use super::not_found::NotFound;
use super::returns::SagaReturn;
use super::states::{OnTimeout, Rule, States, Upcast};
use super::steps::check_version;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    SAGA_CONCURRENCY_DEFAULT, SAGA_CONCURRENCY_MAX, SAGA_ENDED_DEFAULT, SAGA_NAME_BYTES_MAX,
};

/// A saga as state with handlers: every event of its key is given to a handler, which changes the
/// state and says what follows. State, events and timeouts are one commit.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::{Bus, store::MemoryStore};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::{Saga, SagaContext};
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Order { paid: bool }
///
/// let order = Saga::<Order>::named("order")
///     .starts("order.created", "order_id", |_: &mut Order, _: &Event, saga: &mut SagaContext| {
///         saga.publish(Event::builder("payment.request").payload(json!({"order_id": saga.key()})));
///     })
///     .on("payment.completed", "order_id", |order: &mut Order, _: &Event, saga: &mut SagaContext| {
///         order.paid = true;
///         saga.complete();
///     })
///     .build()?;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
/// let orders = order.attach(&bus)?;
/// bus.publish(Event::builder("order.created").payload(json!({"order_id": 42}))).await?;
/// bus.idle().await;
/// assert_eq!(orders.get("42").await?.unwrap().state(), json!({"paid": false}));
/// bus.publish(Event::builder("payment.completed").payload(json!({"order_id": 42}))).await?;
/// bus.idle().await;
/// assert!(orders.get("42").await?.is_none());
/// assert_eq!(orders.stats().completed, 1);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// # Ok::<(), nexus_events_patterns::Error>(())
/// ```
#[must_use = "a definition does nothing until it is built and attached to a bus"]
pub struct Saga<S> {
    states: States<S>,
    options: Options,
    failed: Option<Error>,
    state: PhantomData<fn() -> S>,
}

/// What both styles have.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) name: Text,
    pub(super) retry: Retry,
    pub(super) not_found: NotFound,
    pub(super) concurrency: usize,
    pub(super) start: Start,
    /// How many crashes it stands, if it sees to them itself.
    pub(super) crashes: Option<u32>,
    pub(super) keep_ended: usize,
}

/// How a saga is found for the events of a pattern.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) pattern: Pattern,
    pub(super) key: SagaKey,
}

impl Found {
    /// Whether all of them can be found.
    pub(super) fn check(saga: &str, found: &[Self]) -> Result<()> {
        found.iter().try_for_each(|found| found.key.check(saga, &found.pattern))
    }
}

/// A definition that is sound: attach it to a bus.
#[must_use = "a definition does nothing until it is attached to a bus"]
pub struct SagaDefinition {
    pub(super) options: Options,
    pub(super) found: Vec<Found>,
    pub(super) machine: Arc<dyn Machine>,
}

impl fmt::Debug for SagaDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (options, found) = (&self.options, &self.found);
        f.debug_struct("SagaDefinition").field("options", options).field("found", found).finish()
    }
}

impl<S> fmt::Debug for Saga<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saga").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S> Saga<S>
where
    S: Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A saga of this name: one segment of an event type, at most 64 bytes. Its state begins as the
    /// default of its type.
    pub fn named(name: impl Into<Text>) -> Self {
        let options = Options::named(name.into());
        let states = States {
            name: options.name.clone(),
            version: 1,
            upcasts: BTreeMap::new(),
            key_of: None,
            rules: Vec::new(),
            timeouts: BTreeMap::new(),
        };
        Self { states, options, failed: None, state: PhantomData }
    }

    /// Events that start a saga, and are given to it where one is already. The key is a field of the
    /// payload or a [`SagaKey`].
    pub fn starts<R: SagaReturn>(
        self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        key: impl Into<SagaKey>,
        handler: impl Fn(&mut S, &Event, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.rule(pattern.try_into().map_err(Into::into), key.into(), true, handler)
    }

    /// Events that are given to a saga that is there; see [`not_found`](Self::not_found). Where an
    /// event matches several patterns the first one counts.
    pub fn on<R: SagaReturn>(
        self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        key: impl Into<SagaKey>,
        handler: impl Fn(&mut S, &Event, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.rule(pattern.try_into().map_err(Into::into), key.into(), false, handler)
    }

    /// As [`starts`](Self::starts), for events of a type of the program.
    ///
    /// ```
    /// use nexus_events_model::{EventType, TypedEvent};
    /// use nexus_events_patterns::saga::{Saga, SagaContext};
    /// use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Created { order_id: u32, total: u32 }
    /// impl TypedEvent for Created {
    ///     const TYPE: EventType = EventType::from_static("order.created");
    /// }
    /// let order = Saga::<u32>::named("order").starts_typed("order_id", |total: &mut u32, created: &Created, _: &mut SagaContext| {
    ///     *total = created.total;
    /// });
    /// ```
    pub fn starts_typed<T: TypedEvent, R: SagaReturn>(
        self,
        key: impl Into<SagaKey>,
        handler: impl Fn(&mut S, &T, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.rule(Ok(Pattern::from(T::TYPE)), key.into(), true, typed(handler))
    }

    /// As [`on`](Self::on), for events of a type of the program.
    pub fn on_typed<T: TypedEvent, R: SagaReturn>(
        self,
        key: impl Into<SagaKey>,
        handler: impl Fn(&mut S, &T, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.rule(Ok(Pattern::from(T::TYPE)), key.into(), false, typed(handler))
    }

    fn rule<R: SagaReturn>(
        mut self,
        pattern: Result<Pattern, dispatch::Error>,
        key: SagaKey,
        starts: bool,
        handler: impl Fn(&mut S, &Event, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        match pattern {
            Ok(pattern) => {
                let handler =
                    Arc::new(move |state: &mut S, event: &Event, saga: &mut SagaContext<'_>| {
                        handler(state, event, saga).into_result()
                    });
                self.states.rules.push(Rule { pattern, key, starts, handler });
            }
            Err(error) => self.fail(error.into()),
        }
        self
    }

    /// What is done when the timeout of this name has come; see
    /// [`SagaContext::timeout_after`]. The value is what was given to it, or null.
    pub fn timeout<R: SagaReturn>(
        mut self,
        name: impl Into<Text>,
        handler: impl Fn(&mut S, &Value, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let handler: OnTimeout<S> =
            Arc::new(move |state, payload, saga| handler(state, payload, saga).into_result());
        if self.states.timeouts.insert(name.clone(), handler).is_some() {
            let message = format!(
                "the saga `{}` has two handlers for the timeout `{name}`; leave one out, or name them apart",
                self.options.name
            );
            self.fail(Error::new(ErrorKind::DuplicateName, message));
        }
        self
    }

    /// The version of its state, from 1. Sagas that were stored with a lower one are brought up to
    /// it by [`upcast`](Self::upcast); those with a higher one are left alone. Default: 1.
    pub fn version(mut self, version: u32) -> Self {
        self.states.version = version;
        self
    }

    /// Makes a state of the next version out of one of this version. Where a version has none, its
    /// state is read as it is.
    ///
    /// ```
    /// use nexus_events_patterns::saga::Saga;
    /// use serde_json::{Value, json};
    /// let order = Saga::<Value>::named("order").version(2).upcast(1, |old: Value| json!({"total": old["amount"]}));
    /// ```
    pub fn upcast(
        mut self,
        from: u32,
        upcast: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let upcast: Upcast = Arc::new(move |state| Ok::<_, HandlerError>(upcast(state)));
        self.states.upcasts.insert(from, upcast);
        self
    }

    /// Reads the key out of the state: a handler that changes it fails, and changes nothing.
    pub fn key_of(mut self, key: impl Fn(&S) -> Option<Text> + Send + Sync + 'static) -> Self {
        self.states.key_of = Some(Arc::new(key));
        self
    }

    /// What happens to an event whose saga is not there. Default: it is ignored and counted.
    pub fn not_found(mut self, not_found: NotFound) -> Self {
        self.options.not_found = not_found;
        self
    }

    /// How a handler that fails is tried again before the event becomes a dead letter. A conflict
    /// with another change of the same saga does not count. Default: as the event says.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.retry = retry;
        self
    }

    /// How many sagas are worked on at the same time; events of one key come one after the other.
    /// 1 to 4,096. Default: 256.
    pub fn concurrency(mut self, sagas: usize) -> Self {
        self.options.concurrency = sagas;
        self
    }

    /// With which event of the log it begins when the store does not know it yet. Default: with
    /// what comes.
    pub fn start(mut self, start: Start) -> Self {
        self.options.start = start;
        self
    }

    /// How many sagas that have ended are kept, to be looked at; the oldest go first, up to 255 more
    /// stay for a while. Default: 10,000.
    pub fn keep_ended(mut self, sagas: usize) -> Self {
        self.options.keep_ended = sagas;
        self
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// The first mistake, naming its part: [`ErrorKind::InvalidOption`], a malformed name or
    /// pattern, a key that is a field without a name, nothing that starts it, an upcast from a
    /// version that is not older; [`ErrorKind::DuplicateName`] for two handlers of one timeout, or
    /// of one pattern.
    pub fn build(self) -> Result<SagaDefinition> {
        let Self { states, options, failed, .. } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        options.check()?;
        let name = &options.name;
        if !states.rules.iter().any(|rule| rule.starts) {
            return Err(Error::invalid_option(format!(
                "nothing starts the saga `{name}`; add `.starts(pattern, key, handler)`"
            )));
        }
        check_version(name, states.version, &states.upcasts)?;
        if let Some(rule) = states.never_used() {
            let pattern = &rule.pattern;
            return Err(Error::new(
                ErrorKind::DuplicateName,
                format!(
                    "the saga `{name}` has two handlers for `{pattern}`, and the second one is never called; what `.starts(..)` is also given events of sagas that are there: ask `is_new` in it, and leave the other out"
                ),
            ));
        }
        let found = states.rules.iter();
        let found =
            found.map(|rule| Found { pattern: rule.pattern.clone(), key: rule.key.clone() });
        let found: Vec<Found> = found.collect();
        Found::check(name, &found)?;
        Ok(SagaDefinition { options, found, machine: Arc::new(states) })
    }
}

fn typed<S, T: TypedEvent, R: SagaReturn>(
    handler: impl Fn(&mut S, &T, &mut SagaContext<'_>) -> R + Send + Sync + 'static,
) -> impl Fn(&mut S, &Event, &mut SagaContext<'_>) -> Result<(), HandlerError> + Send + Sync + 'static
{
    move |state, event, saga| {
        if let Some(payload) = event.payload().downcast_ref::<T>() {
            return handler(state, payload, saga).into_result();
        }
        let payload = event.payload().decode::<T>().map_err(HandlerError::permanent)?;
        handler(state, &payload, saga).into_result()
    }
}

impl Options {
    pub(super) fn named(name: Text) -> Self {
        Self {
            name,
            retry: Retry::new(),
            not_found: NotFound::default(),
            concurrency: SAGA_CONCURRENCY_DEFAULT,
            start: Start::default(),
            crashes: None,
            keep_ended: SAGA_ENDED_DEFAULT,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let (name, most) = (&self.name, SAGA_NAME_BYTES_MAX);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > most || !name.bytes().all(allowed) {
            return Err(Error::invalid_option(format!(
                "the name of a saga is 1 to {most} letters, digits, `-` and `_`, not `{name}`"
            )));
        }
        if !(1..=SAGA_CONCURRENCY_MAX).contains(&self.concurrency) {
            return Err(Error::invalid_option(format!(
                "the concurrency of the saga `{name}` is 1 to {SAGA_CONCURRENCY_MAX}, not {}",
                self.concurrency
            )));
        }
        self.not_found.check()
    }
}
