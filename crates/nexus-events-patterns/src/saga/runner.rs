//! The handler of a saga's events: reads the saga, asks the definition what becomes of it, commits
//! that together with having handled the event.

use std::sync::Arc;

use nexus_events_dispatch::{
    Bus, Called, Context, ErrorKind as BusErrorKind, Handler, HandlerError, HandlerResult,
};
use nexus_events_model::{Event, EventId, Status, Text};
use parking_lot::Mutex;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::debug;

use super::change::append_of;
use super::conflicts::Conflicts;
use super::definition::{Found, Options, SagaDefinition};
use super::ended::Ended;
use super::instance::{ACTIVE, Instance, SagaStatus, row};
use super::machine::{Input, Machine, Reaction, Told, Turn, Why};
use super::not_found::{self, NotFound};
use super::stats::Counters;
use super::timer::Own;
use crate::error::{Error, ErrorKind, Result};

/// A definition on a bus.
pub(super) struct Runner {
    pub(super) options: Options,
    found: Vec<Found>,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) counters: Counters,
    ended: Ended,
}

impl Runner {
    pub(super) fn new(definition: SagaDefinition) -> Arc<Self> {
        let SagaDefinition { options, found, machine } = definition;
        let (counters, ended) =
            (Counters::default(), Ended::new(&options.name, options.keep_ended));
        Arc::new(Self { options, found, machine, counters, ended })
    }

    pub(super) fn name(&self) -> &Text {
        &self.options.name
    }

    /// What events of one saga have in common, for their order.
    pub(super) fn key_of(&self, event: &Event) -> Option<Text> {
        match Own::of(self.name(), event) {
            Some(_) => event.payload().get("key").and_then(Value::as_str).map(Text::from),
            None => self.found_by(event)?.key.find(event),
        }
    }

    fn found_by(&self, event: &Event) -> Option<&Found> {
        self.found.iter().find(|found| found.pattern.matches(event.event_type()))
    }

    /// What the event is to the saga.
    fn read(&self, event: &Event) -> Result<Input> {
        match Own::of(self.name(), event) {
            None => self.of_program(event.clone()),
            Some(own) => self.of_its_own(own, event),
        }
    }

    fn of_program(&self, event: Event) -> Result<Input> {
        let found = self.found_by(&event).ok_or_else(|| {
            let message =
                format!("the saga `{}` has no handler for `{}`", self.name(), event.event_type());
            Error::new(ErrorKind::MissingKey, message)
        })?;
        let key = found.key.require(self.name(), &event)?;
        Ok(Input {
            event,
            key,
            told: Told::Event,
            redeliveries: 0,
            since: None,
            ran: Mutex::default(),
        })
    }

    fn of_its_own(&self, own: Own, event: &Event) -> Result<Input> {
        let field = |name: &str| event.payload().get(name).and_then(Value::as_str);
        let wrong = || {
            let message = format!(
                "the event {} of the type `{}`, which belongs to the saga `{}`, was not published by it",
                event.id(),
                event.event_type(),
                self.name()
            );
            Error::new(ErrorKind::MissingKey, message)
        };
        if own == Own::Retry {
            let redeliveries = event.payload().get("redeliveries").and_then(Value::as_u64);
            let redeliveries = redeliveries.and_then(|times| times.try_into().ok());
            let redeliveries = redeliveries.ok_or_else(wrong)?;
            let since = field("since").and_then(|it| OffsetDateTime::parse(it, &Rfc3339).ok());
            let original = Event::from_json(field("event").ok_or_else(wrong)?)?;
            return Ok(Input { redeliveries, since, ..self.of_program(original)? });
        }
        let key = Text::from(field("key").ok_or_else(wrong)?);
        let instance = EventId::new(field("instance").ok_or_else(wrong)?)?;
        let told = match own {
            Own::Timeout => {
                let name = Text::from(field("name").ok_or_else(wrong)?);
                Told::Timeout { instance, timer: event.id().clone(), name }
            }
            Own::Step | Own::Retry => {
                let turn = event.payload().get("turn").and_then(Value::as_u64);
                Told::Step { instance, turn: turn.ok_or_else(wrong)? }
            }
        };
        let (redeliveries, since, ran) = (0, None, Mutex::default());
        Ok(Input { event: event.clone(), key, told, redeliveries, since, ran })
    }

    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let input = self.read(event).map_err(HandlerError::permanent)?;
        let store = context.bus().store().ok_or_else(Error::no_store)?;
        let mut conflicts = Conflicts::new(seed(event.id()));
        loop {
            let stored = store.get(ACTIVE, &row(self.name(), &input.key)).await?;
            let before = stored.as_ref();
            let before = before.map(|stored| Instance::read(self.name(), &input.key, stored));
            let before = before.transpose().map_err(HandlerError::permanent)?;
            let turn = self.machine.turn(before.as_ref(), &input, context).await?;
            let Some(reaction) = self.reaction(turn, &input, context.bus())? else {
                return Ok(Value::Null);
            };
            let status = reaction.instance.as_ref().map(|instance| instance.status.clone());
            let append = append_of(reaction).map_err(HandlerError::permanent)?;
            match context.commit(append).await {
                Ok(_) => {
                    if let Some(status) = status {
                        self.has_changed(before.is_none(), &status, context.bus()).await;
                    }
                    return Ok(Value::Null);
                }
                Err(error) if error.kind() == BusErrorKind::Conflict => {
                    Counters::add(&self.counters.conflicts);
                    if !conflicts.pause().await {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// What is to be committed, if anything.
    fn reaction(
        &self,
        turn: Turn,
        input: &Input,
        bus: &Bus,
    ) -> Result<Option<Reaction>, HandlerError> {
        match turn {
            Turn::React(reaction) => return Ok(Some(*reaction)),
            Turn::Nothing(Why::Duplicate) => Counters::add(&self.counters.duplicates),
            Turn::Nothing(Why::Outdated) => Counters::add(&self.counters.outdated),
            Turn::NotFound => return self.not_found(input, bus).map_err(HandlerError::permanent),
        }
        Ok(None)
    }

    fn not_found(&self, input: &Input, bus: &Bus) -> Result<Option<Reaction>> {
        if input.redeliveries == 0 {
            Counters::add(&self.counters.not_found);
        }
        let (saga, key) = (self.name(), &*input.key);
        match &self.options.not_found {
            NotFound::Ignore => {
                let event_id = input.event.id();
                debug!(%saga, key, %event_id, "no saga has this key");
                Ok(None)
            }
            NotFound::Redeliver { times, every } if input.redeliveries < *times => {
                Counters::add(&self.counters.redelivered);
                let schedule = vec![not_found::again(saga, input, *every, bus)?];
                Ok(Some(Reaction { schedule, ..Reaction::default() }))
            }
            NotFound::Fault | NotFound::Redeliver { .. } => Err(not_found::fault(saga, input)),
            NotFound::Publish(hook) => {
                let events = hook.events(&input.event, bus)?;
                Ok(Some(Reaction { events, ..Reaction::default() }))
            }
        }
    }

    /// It is committed.
    pub(super) async fn has_changed(&self, is_new: bool, status: &SagaStatus, bus: &Bus) {
        Counters::add(&self.counters.turns);
        if is_new {
            Counters::add(&self.counters.started);
        }
        if status.has_ended() {
            self.counters.ended(status);
            self.ended.one_more(bus).await;
        }
    }
}

/// What the store does not take now it may take later, unless it says so.
fn refused(error: nexus_events_dispatch::Error) -> HandlerError {
    match error.status() {
        Status::Permanent => HandlerError::permanent(error),
        _ => error.into(),
    }
}

/// Two changes that meet are not to meet again.
fn seed(id: &EventId) -> u64 {
    id.as_uuid().map_or(0, |id| id.as_u64_pair().1)
}

impl Handler for Runner {
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        Called::Pending(Box::pin(self.handle(event, context)))
    }

    fn name(&self) -> Text {
        format!("saga.{}", self.options.name).into()
    }
}
