//! The style of state with handlers: each event changes the state of its saga.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_events_dispatch::{BoxFuture, Context, HandlerError};
use nexus_events_model::{Event, Pattern, Text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::context::SagaContext;
use super::instance::{Instance, SagaStatus};
use super::key::SagaKey;
use super::machine::{Input, Machine, Reaction, Told, Turn, Why};
use crate::error::{Error, ErrorKind, Result};

/// A handler of events, type erased up to the state.
pub(super) type OnEvent<S> =
    Arc<dyn Fn(&mut S, &Event, &mut SagaContext<'_>) -> Result<(), HandlerError> + Send + Sync>;
/// A handler of timeouts.
pub(super) type OnTimeout<S> =
    Arc<dyn Fn(&mut S, &Value, &mut SagaContext<'_>) -> Result<(), HandlerError> + Send + Sync>;
/// Makes a state of the next version out of one of a version.
pub(super) type Upcast = Arc<dyn Fn(Value) -> Result<Value, HandlerError> + Send + Sync>;
/// Reads the key out of a state.
pub(super) type KeyOf<S> = Arc<dyn Fn(&S) -> Option<Text> + Send + Sync>;

/// What is to be done for events of a pattern.
pub(super) struct Rule<S> {
    pub(super) pattern: Pattern,
    pub(super) key: SagaKey,
    pub(super) starts: bool,
    pub(super) handler: OnEvent<S>,
}

/// A saga of state with handlers.
pub(super) struct States<S> {
    pub(super) name: Text,
    pub(super) version: u32,
    pub(super) upcasts: BTreeMap<u32, Upcast>,
    pub(super) key_of: Option<KeyOf<S>>,
    pub(super) rules: Vec<Rule<S>>,
    pub(super) timeouts: BTreeMap<Text, OnTimeout<S>>,
}

impl<S> States<S>
where
    S: Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A handler for a pattern that another one before it has taken.
    pub(super) fn never_used(&self) -> Option<&Rule<S>> {
        let rules = self.rules.iter().enumerate();
        rules.map(|(at, rule)| (&self.rules[..at], rule)).find_map(|(before, rule)| {
            let takes_all =
                |other: &&Rule<S>| other.pattern == rule.pattern && (other.starts || !rule.starts);
            before.iter().find(takes_all).map(|_| rule)
        })
    }

    fn react(
        &self,
        before: Option<&Instance>,
        input: &Input,
        context: &Context,
    ) -> Result<Turn, HandlerError> {
        match &input.told {
            Told::Event => self.on_event(before, input, context),
            Told::Timeout { instance, timer, name } => {
                let Some(before) = before.filter(|before| {
                    before.id == *instance && before.timers.iter().any(|it| it.id == *timer)
                }) else {
                    return Ok(Turn::Nothing(Why::Outdated));
                };
                self.on_timeout(before, input, name, context)
            }
            Told::Step { .. } => Ok(Turn::Nothing(Why::Outdated)),
        }
    }

    fn on_event(
        &self,
        before: Option<&Instance>,
        input: &Input,
        context: &Context,
    ) -> Result<Turn, HandlerError> {
        let event = &input.event;
        let meant = || self.rules.iter().filter(|it| it.pattern.matches(event.event_type()));
        let rule = match before {
            Some(before) if before.has_handled(event.id()) => {
                return Ok(Turn::Nothing(Why::Duplicate));
            }
            Some(_) => meant().next(),
            None => meant().find(|rule| rule.starts),
        };
        let Some(rule) = rule else { return Ok(Turn::NotFound) };
        let (mut state, instance) = match before {
            Some(before) => (read_state(&self.upcasts, before, self.version)?, before.clone()),
            None => {
                let (state, now) = (RawValue::NULL.to_owned(), context.bus().now());
                let (key, version) = (input.key.clone(), self.version);
                (S::default(), Instance::new(&self.name, key, event, version, state, now))
            }
        };
        let mut saga = SagaContext::new(context.bus(), event, instance, before.is_none());
        (rule.handler)(&mut state, event, &mut saga)?;
        let what = event.event_type().as_str();
        self.reaction(&state, saga, input, what).map(Turn::React)
    }

    fn on_timeout(
        &self,
        before: &Instance,
        input: &Input,
        name: &Text,
        context: &Context,
    ) -> Result<Turn, HandlerError> {
        let Some(handler) = self.timeouts.get(name) else {
            return Err(HandlerError::permanent(Error::new(
                ErrorKind::UnknownTimeout,
                format!(
                    "the saga `{}` has no handler for the timeout `{name}`; add `.timeout(\"{name}\", ..)`",
                    self.name
                ),
            )));
        };
        let (event, mut state) = (&input.event, read_state(&self.upcasts, before, self.version)?);
        let mut instance = before.clone();
        if let Told::Timeout { timer, .. } = &input.told {
            instance.timers.retain(|it| it.id != *timer);
        }
        let mut saga = SagaContext::new(context.bus(), event, instance, false);
        let payload = event.payload().get("payload").unwrap_or(&Value::Null);
        handler(&mut state, payload, &mut saga)?;
        self.reaction(&state, saga, input, &format!("timeout {name}")).map(Turn::React)
    }

    fn reaction(
        &self,
        state: &S,
        mut saga: SagaContext<'_>,
        input: &Input,
        what: &str,
    ) -> Result<Box<Reaction>, HandlerError> {
        saga.failure().map_err(HandlerError::permanent)?;
        self.has_its_key(state, &saga.instance)?;
        let written = serde_json::to_string(state).and_then(RawValue::from_string);
        saga.instance.state = written.map_err(|error| {
            let message = format!("the state of the saga `{}` {} is no JSON", self.name, input.key);
            HandlerError::permanent(Error::new(ErrorKind::InvalidState, message).caused_by(error))
        })?;
        saga.instance.version = self.version;
        let now = saga.now();
        saga.instance.note(now, what, Some(input.event.id()));
        saga.instance.handled(input.event.id());
        Ok(Box::new(saga.into()))
    }

    fn has_its_key(&self, state: &S, instance: &Instance) -> Result<(), HandlerError> {
        let Some(key_of) = &self.key_of else { return Ok(()) };
        let key = key_of(state);
        if key.as_ref() == Some(&instance.key) {
            return Ok(());
        }
        let is = key.map_or_else(|| "nothing".to_owned(), |key| format!("`{key}`"));
        let message = format!(
            "a handler of the saga `{}` changed what it is found by from `{}` to {is}; nothing was changed: end this saga and start another instead",
            self.name, instance.key
        );
        Err(HandlerError::permanent(Error::new(ErrorKind::KeyChanged, message)))
    }
}

/// The state, brought up to the version of today.
pub(super) fn read_state<S: DeserializeOwned>(
    upcasts: &BTreeMap<u32, Upcast>,
    instance: &Instance,
    version: u32,
) -> Result<S, HandlerError> {
    let wrong = |error: serde_json::Error| {
        let message = format!(
            "the state of the saga `{}` {} at version {} does not fit: {error}",
            instance.saga, instance.key, instance.version
        );
        HandlerError::permanent(Error::new(ErrorKind::InvalidState, message))
    };
    if instance.version == version {
        return serde_json::from_str(instance.state.get()).map_err(wrong);
    }
    serde_json::from_value(upcast(upcasts, instance, version)?).map_err(wrong)
}

/// The state as JSON, brought up to this version.
fn upcast(
    upcasts: &BTreeMap<u32, Upcast>,
    instance: &Instance,
    version: u32,
) -> Result<Value, HandlerError> {
    if instance.version > version {
        let message = format!(
            "the saga `{}` {} was written by a newer program, at version {}; this one knows {version}, and leaves it alone: replay the dead letter with the newer one",
            instance.saga, instance.key, instance.version
        );
        return Err(HandlerError::permanent(Error::new(ErrorKind::NewerState, message)));
    }
    let mut state = instance.state();
    for from in instance.version..version {
        if let Some(upcast) = upcasts.get(&from) {
            state = upcast(state)?;
        }
    }
    Ok(state)
}

impl<S> Machine for States<S>
where
    S: Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn turn<'a>(
        &'a self,
        before: Option<&'a Instance>,
        input: &'a Input,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Turn, HandlerError>> {
        Box::pin(std::future::ready(self.react(before, input, context)))
    }

    fn cancelled(&self, _: &Instance, saga: &mut SagaContext<'_>, reason: &str) -> Result<()> {
        saga.cancel(reason);
        Ok(())
    }

    fn resumed(&self, instance: &Instance, saga: &mut SagaContext<'_>) -> Result<()> {
        if matches!(instance.status, SagaStatus::Parked { .. }) {
            saga.instance.status = SagaStatus::Running;
        }
        Ok(())
    }
}
