//! Attaching a definition to a bus.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Durable, HandlerPriority, Subscription, SubscriptionOptions};
use nexus_events_model::{Filter, Pattern};

use super::definition::{Found, SagaDefinition};
use super::handle::SagaHandle;
use super::runner::Runner;
use super::timer::Own;
use crate::error::{Error, Result};

impl SagaDefinition {
    /// The name of the saga.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Lets the saga run on a bus with a store: a durable handler named `saga.` and its name, behind
    /// all handlers of the program. What it stored before goes on.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::{ErrorKind, saga::{Saga, SagaContext}};
    /// let order = Saga::<u32>::named("order").starts("order.created", "id", |_: &mut u32, _: &Event, _: &mut SagaContext| {});
    /// assert_eq!(order.build()?.attach(&Bus::new()).unwrap_err().kind(), ErrorKind::NoStore);
    /// # Ok::<(), nexus_events_patterns::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoStore`](crate::ErrorKind::NoStore) when the bus has none;
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) with what
    /// [`Bus::subscribe`] says, when a saga of this name is there for instance.
    pub fn attach(self, bus: &Bus) -> Result<SagaHandle> {
        if bus.store().is_none() {
            return Err(Error::no_store());
        }
        let (pattern, filter) = meant(&self.options.name, &self.found)?;
        let runner = Runner::new(self);
        let options = &runner.options;
        let mut durable = Durable::named(format!("saga.{}", options.name))
            .start(options.start)
            .retry(options.retry.clone());
        if let Some(crashes) = options.crashes {
            durable = durable.crashes(crashes);
        }
        let by_key = runner.clone();
        let subscription_options = SubscriptionOptions::new()
            .priority(HandlerPriority::SAGA)
            .filter(filter)
            .concurrency(options.concurrency)
            .ordered_by(move |event| by_key.key_of(event))
            .durable(durable);
        let subscription: Subscription =
            bus.subscribe(pattern, runner.clone(), subscription_options)?;
        Ok(SagaHandle::new(bus, runner, Arc::new(subscription)))
    }
}

/// One pattern and one filter that mean all its events and no other.
fn meant(saga: &str, found: &[Found]) -> Result<(Pattern, Filter)> {
    let own = [Own::Timeout, Own::Retry, Own::Step].map(|own| own.event_type(saga));
    let patterns =
        found.iter().map(|found| found.pattern.as_str()).chain(own.iter().map(|it| &**it));
    let means = patterns.map(|pattern| format!("event_type.matchesPattern('{pattern}')"));
    let filter = Filter::parse(&means.collect::<Vec<_>>().join(" || ")).map_err(|error| {
        let message = format!(
            "the saga `{saga}` has {} patterns, more than one filter holds; use wildcards: {error}",
            found.len()
        );
        Error::invalid_option(message).caused_by(error)
    })?;
    Ok((Pattern::new("**")?, filter))
}
