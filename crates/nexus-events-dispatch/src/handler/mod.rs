//! The code that receives events: the [`Handler`] trait, and functions as handlers.

mod argument;
mod begin;
mod error;
mod extract;
mod function;
mod into;
mod payload;
mod returns;
#[doc(hidden)]
pub mod shape;
mod state;

use std::fmt;
use std::pin::Pin;

use nexus_events_model::{Event, Pattern, Text};
use serde_json::Value;

#[doc(hidden)]
pub use self::begin::{Begun, Rest};
pub use self::error::{Attempt, HandlerError, LastAttempt};
pub use self::extract::{FromEvent, Rejection};
pub use self::into::{Configured, HandlerExt, IntoHandler};
pub use self::payload::Payload;
pub use self::returns::{HandlerReturn, Outcome};
pub use self::state::State;
pub(crate) use self::state::States;
use crate::bus::Bus;
use crate::context::Context;
use crate::error::Result;
use crate::runtime::NOT_INLINE;
use crate::sync::Arc;

/// What a handler's turn gave: a value for the report (`null` for nothing), or an error.
pub type HandlerResult = Result<Value, HandlerError>;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a handler runs.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, Mode};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let slow = (|_: &nexus_events_model::Event| { /* reads a file */ }).mode(Mode::Blocking);
/// bus.on("report.*", slow)?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// On the publisher's own stack; for short synchronous handlers, their default.
    Inline,
    /// On a task, one event at a time, in the order of publication, behind a bounded queue; the
    /// default of asynchronous handlers. Task and queue are its own once it has to wait.
    Queued,
    /// As [`Queued`](Self::Queued), but on a thread that may block; at most `max_workers` of them
    /// run at the same time on one bus.
    Blocking,
}

/// A handler that was called: either it is done, or it has begun.
pub enum Called<'a> {
    /// It is done.
    Ready(HandlerResult),
    /// It goes on when polled.
    Pending(BoxFuture<'a, HandlerResult>),
}

impl fmt::Debug for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Code that receives events. Functions and closures are handlers already, see
/// [`IntoHandler`]; implement this for a type that carries its own state.
///
/// ```
/// use nexus_events_dispatch::{Bus, Called, Context, Handler, Mode};
/// use nexus_events_model::Event;
///
/// struct Printer;
///
/// impl Handler for Printer {
///     fn mode(&self) -> Mode { Mode::Inline }
///     fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
///         Called::Ready(Ok(event.id().to_string().into()))
///     }
/// }
///
/// Bus::new().on("order.*", Printer)?;
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Handles one event. It may be called from several threads at once when it is inline.
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a>;

    /// Asked once, before it is registered for this pattern: whether it can work there.
    ///
    /// # Errors
    /// Whatever should be told to the caller of [`Bus::on`]; [`Error::refused`] makes one.
    ///
    /// [`Error::refused`]: crate::Error::refused
    fn check(&self, bus: &Bus, pattern: &Pattern) -> Result<()> {
        let _ = (bus, pattern);
        Ok(())
    }

    /// Where it runs when its options do not say.
    fn mode(&self) -> Mode {
        Mode::Queued
    }

    /// Its name when its options do not say. A number is added where the name is taken.
    fn name(&self) -> Text {
        Text::from_static(short_type_name::<Self>())
    }

    /// Whether it may run on a lane that it shares with others: it never waits there. What waits
    /// gives back what is left of its turn.
    #[doc(hidden)]
    fn shares(&self) -> bool {
        self.mode() == Mode::Inline
    }

    /// [`call`](Self::call) on such a lane.
    #[doc(hidden)]
    fn begin(&self, event: &Event, context: &Context) -> Begun<HandlerResult> {
        Begun::Done(match self.call(event, context) {
            Called::Ready(result) => result,
            Called::Pending(_) => Err(NOT_INLINE.into()),
        })
    }

    /// [`call`](Self::call) for when nobody asks for the value. Compiled for each handler, so that
    /// a short one becomes one indirect call.
    #[doc(hidden)]
    fn turn(self: Arc<Self>) -> Turn {
        Arc::new(move |event, context| match self.call(event, context) {
            Called::Ready(Ok(_)) => None,
            Called::Ready(Err(error)) => Some(error),
            Called::Pending(_) => Some(NOT_INLINE.into()),
        })
    }
}

/// A handler's turn in a pass: its error, if it fails. Routes hold clones side by side.
#[doc(hidden)]
pub type Turn = Arc<dyn Fn(&Event, &Context) -> Option<HandlerError> + Send + Sync>;

/// The last part of a type's path, `validate` for `my_app::orders::validate`; closures have none
/// and are called `handler`.
fn short_type_name<T: ?Sized>() -> &'static str {
    let path = std::any::type_name::<T>();
    if path.ends_with("{{closure}}") {
        return "handler";
    }
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
