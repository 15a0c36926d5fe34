//! Values registered with a bus, as arguments.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use nexus_events_model::{Event, Pattern};

use super::{FromEvent, Rejection};
use crate::bus::Bus;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::sync::Arc;

/// A clone of a value that was registered with [`BusBuilder::state`], for handlers: a connection
/// pool, a configuration, an [`Arc`] of whatever they share.
///
/// That it is there is checked when the handler is registered.
///
/// ```
/// use nexus_events_dispatch::{Bus, ErrorKind, State};
///
/// #[derive(Clone)]
/// struct Mailer { host: &'static str }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// async fn welcome(State(mailer): State<Mailer>) {
///     println!("welcome from {}", mailer.host);
/// }
/// let error = Bus::new().on("user.created", welcome).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MissingState);
///
/// let bus = Bus::builder().state(Mailer { host: "mail.example" }).build()?;
/// bus.on("user.created", welcome)?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
///
/// [`BusBuilder::state`]: crate::BusBuilder::state
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<S>(
    /// The value.
    pub S,
);

impl<S: Clone + Send + Sync + 'static> FromEvent for State<S> {
    fn from_event(_: &Event, context: &Context) -> Result<Self, Rejection> {
        let state = context.state().ok_or_else(|| context.states().missing::<S>())?;
        Ok(Self(state))
    }

    fn check(bus: &Bus, _: &Pattern) -> Result<()> {
        match bus.state::<S>() {
            Some(_) => Ok(()),
            None => Err(bus.states().missing::<S>()),
        }
    }
}

impl Context {
    /// A clone of the value of this type that was given to [`BusBuilder::state`], for a
    /// [`FromEvent`] of your own that makes something of it.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context};
    /// use nexus_events_model::Event;
    /// let bus = Bus::builder().state("mail.example").build()?;
    /// bus.on("a", |context: &Context| assert_eq!(context.state(), Some("mail.example")))?;
    /// bus.try_publish(Event::builder("a"))?;
    /// # assert_eq!(bus.stats().events.failed_events, 0);
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    ///
    /// [`BusBuilder::state`]: crate::BusBuilder::state
    #[must_use]
    pub fn state<S: Clone + 'static>(&self) -> Option<S> {
        self.states().get().cloned()
    }
}

/// The registered values, one of each type. There are few, so they are searched one by one.
#[derive(Clone, Default)]
pub(crate) struct States(Vec<(TypeId, &'static str, Arc<dyn Any + Send + Sync>)>);

impl States {
    pub(crate) fn set<S: Any + Send + Sync>(&mut self, state: S) {
        self.0.retain(|(id, ..)| *id != TypeId::of::<S>());
        self.0.push((TypeId::of::<S>(), type_name::<S>(), Arc::new(state)));
    }

    pub(crate) fn get<S: Any>(&self) -> Option<&S> {
        let (.., state) = self.0.iter().find(|(id, ..)| *id == TypeId::of::<S>())?;
        state.downcast_ref()
    }

    fn missing<S>(&self) -> Error {
        let there: Vec<_> = self.0.iter().map(|(_, name, _)| format!("`{name}`")).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Error::missing_state(type_name::<S>(), &there)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, name, _)| name)).finish()
    }
}
