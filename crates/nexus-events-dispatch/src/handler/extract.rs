//! Arguments that a handler owns: parts of the event, and whatever users make of it.

use std::error::Error as StdError;
use std::fmt;

use nexus_events_model::{
    CausationId, CorrelationId, Event, EventId, EventType, Metadata, Pattern, Priority, SessionId,
    UserId,
};

use super::HandlerError;
use crate::bus::Bus;
use crate::context::Context;
use crate::error::Result;

/// What a handler can take as an argument by value. [`IntoHandler`](crate::IntoHandler) lists what
/// there is; implement it for arguments of your own.
///
/// ```
/// use nexus_events_dispatch::{Bus, Context, FromEvent, Rejection};
/// use nexus_events_model::Event;
///
/// /// Whose data an event is about.
/// struct Tenant(String);
///
/// impl FromEvent for Tenant {
///     fn from_event(event: &Event, _: &Context) -> Result<Self, Rejection> {
///         let name = event.metadata().get("tenant").and_then(|name| name.as_str());
///         Ok(Self(name.ok_or("the event has no `tenant` in its metadata")?.to_owned()))
///     }
/// }
///
/// let bus = Bus::new();
/// bus.on("order.*", |tenant: Tenant| assert_eq!(tenant.0, "acme"))?;
/// bus.try_publish(Event::builder("order.created").metadata("tenant", "acme"))?;
/// # assert_eq!(bus.stats().events.processed_events, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from an event",
    label = "takes `{Self}`",
    note = "a handler takes `Event`, `Context`, `Payload<T>`, `State<S>`, `EventId`, `EventType`, `Priority`, `Metadata`, `CorrelationId`, `CausationId`, `SessionId`, `UserId`, an `Option<_>` or `Result<_, Rejection>` of these, or a type that implements `FromEvent`; a synchronous one also `&Event` and `&Context`",
    note = "write `Payload<T>` for the payload and `State<S>` for a value given to `Bus::builder().state(..)`",
    note = "an asynchronous handler cannot borrow: take `Event` instead of `&Event`, a clone is cheap"
)]
pub trait FromEvent: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// Why it cannot be taken. The handler then does not run; its outcome is an error that no
    /// further attempt can mend.
    fn from_event(event: &Event, context: &Context) -> Result<Self, Rejection>;

    /// Asked once, when a handler that takes it is registered for this pattern. It should say
    /// what is missing on the bus, so that this shows before the first event.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context, ErrorKind, FromEvent, Rejection, Result, State};
    /// use nexus_events_model::{Event, Pattern};
    ///
    /// /// A connection out of a pool that was registered as state.
    /// struct Connection(String);
    ///
    /// impl FromEvent for Connection {
    ///     fn from_event(_: &Event, context: &Context) -> Result<Self, Rejection> {
    ///         Ok(Self(context.state().ok_or("no pool")?))
    ///     }
    ///     fn check(bus: &Bus, pattern: &Pattern) -> Result<()> {
    ///         State::<String>::check(bus, pattern)
    ///     }
    /// }
    /// let error = Bus::new().on("a", |connection: Connection| {}).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::MissingState);
    /// ```
    ///
    /// # Errors
    /// Whatever should be told to the caller of [`Bus::on`].
    fn check(bus: &Bus, pattern: &Pattern) -> Result<()> {
        let _ = (bus, pattern);
        Ok(())
    }
}

/// Why an argument could not be taken from an event: made from text or any error with `?`.
///
/// It becomes a permanent [`HandlerError`], for the same event will never be any different.
///
/// ```
/// use nexus_events_dispatch::{HandlerError, Rejection, Status};
/// let rejection = Rejection::from("the event has no tenant");
/// assert_eq!(HandlerError::from(rejection).status(), Status::Permanent);
/// ```
pub struct Rejection(Box<dyn StdError + Send + Sync>);

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<Rejection> for HandlerError {
    fn from(rejection: Rejection) -> Self {
        Self::permanent(rejection.0)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({self})")
    }
}

impl FromEvent for Event {
    fn from_event(event: &Event, _: &Context) -> Result<Self, Rejection> {
        Ok(event.clone())
    }
}

impl FromEvent for Context {
    fn from_event(_: &Event, context: &Context) -> Result<Self, Rejection> {
        Ok(context.clone())
    }
}

/// `None` when it cannot be taken, for whatever reason; what a bus lacks is no error of `on`.
impl<T: FromEvent> FromEvent for Option<T> {
    fn from_event(event: &Event, context: &Context) -> Result<Self, Rejection> {
        Ok(T::from_event(event, context).ok())
    }
}

/// Never rejected: the handler sees why.
impl<T: FromEvent> FromEvent for Result<T, Rejection> {
    fn from_event(event: &Event, context: &Context) -> Result<Self, Rejection> {
        Ok(T::from_event(event, context))
    }
}

macro_rules! parts {
    ($($part:ty: $get:expr;)*) => { $(
        impl FromEvent for $part {
            fn from_event(event: &Event, _: &Context) -> Result<Self, Rejection> {
                let get: fn(&Event) -> Result<Self, Rejection> = $get;
                get(event)
            }
        }
    )* };
}

parts! {
    EventType: |event| Ok(event.event_type().clone());
    EventId: |event| Ok(event.id().clone());
    Priority: |event| Ok(event.priority());
    Metadata: |event| Ok(event.metadata().clone());
    CorrelationId: |event| given(event.correlation_id().cloned(), "CorrelationId");
    CausationId: |event| given(event.causation_id(), "CausationId");
    SessionId: |event| given(event.session_id().cloned(), "SessionId");
    UserId: |event| given(event.user_id().cloned(), "UserId");
}

fn given<T>(id: Option<T>, name: &str) -> Result<T, Rejection> {
    id.ok_or_else(|| {
        format!("the event has no {name}; take `Option<{name}>` if that may be").into()
    })
}
