//! The dispatch core's error: one opaque type with a kind, a status and a text that names the fix.

use std::error::Error as StdError;
use std::fmt;

use nexus_events_model as model;
pub use nexus_events_model::Status;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The event, pattern or filter handed in is wrong.
    Invalid(model::ErrorKind),
    /// An option is out of its range.
    InvalidOption,
    /// Another handler has this name.
    DuplicateName,
    /// No handler has this name.
    UnknownHandler,
    /// The bus is shut down or shutting down.
    Closed,
    /// Handlers publish events whose handlers publish events, too many times over.
    TooDeep,
    /// A bound on waiting events is met.
    Overloaded,
    /// A report did not come in time.
    TimedOut,
    /// A layer does not let the event pass, or the handler be registered.
    Refused,
    /// Something would have to be waited for that does not come, or by a caller that does not wait.
    WouldWait,
    /// No dead letter has this id.
    UnknownDeadLetter,
    /// No scheduled event has this id.
    UnknownScheduled,
    /// A store could not read or write.
    Store,
    /// A commit expected something else than what is there.
    Conflict,
    /// More than a store takes at a time.
    TooLarge,
    /// A store has no room; it takes more when there is.
    StoreFull,
    /// A store failed in a way that leaves unknown what the disk holds, and takes nothing any more.
    Poisoned,
    /// What a store holds is damaged.
    Corrupt,
    /// What is to be read is no longer kept.
    Trimmed,
    /// Another process, or another part of this one, has the store open.
    InUse,
    /// What is there is no store, or one of a version that this program cannot read.
    Format,
    /// This store cannot do that.
    Unsupported,
    /// No tokio runtime is there to run the handler on.
    NoRuntime,
    /// A handler takes a [`State`](crate::State) that the bus does not have.
    MissingState,
    /// A handler of one event type is registered for a pattern that means others too.
    OtherType,
}

impl ErrorKind {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_dispatch::ErrorKind;
    /// assert_eq!(ErrorKind::Closed.as_str(), "closed");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid(kind) => kind.as_str(),
            Self::InvalidOption => "invalid_option",
            Self::DuplicateName => "duplicate_name",
            Self::UnknownHandler => "unknown_handler",
            Self::Closed => "closed",
            Self::TooDeep => "too_deep",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::WouldWait => "would_wait",
            Self::UnknownDeadLetter => "unknown_dead_letter",
            Self::UnknownScheduled => "unknown_scheduled",
            Self::Store => "store",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::StoreFull => "store_full",
            Self::Poisoned => "poisoned",
            Self::Corrupt => "corrupt",
            Self::Trimmed => "trimmed",
            Self::InUse => "in_use",
            Self::Format => "format",
            Self::Unsupported => "unsupported",
            Self::NoRuntime => "no_runtime",
            Self::MissingState => "missing_state",
            Self::OtherType => "other_type",
        }
    }
}

/// An error of the dispatch core. Its text says what is wrong and what would be right.
///
/// ```
/// use nexus_events_dispatch::{Bus, ErrorKind};
/// let bus = Bus::new();
/// let error = bus.on("order..created", |_: &nexus_events_model::Event| {}).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::Invalid(_)));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// For a layer that does not let an event pass. The text says why and what to do.
    ///
    /// ```
    /// use nexus_events_dispatch::{Error, ErrorKind};
    /// assert_eq!(Error::refused("not allowed").kind(), ErrorKind::Refused);
    /// ```
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// As [`refused`](Self::refused), when trying again later can help.
    ///
    /// ```
    /// use nexus_events_dispatch::{Error, Status};
    /// assert_eq!(Error::overloaded("100 events/s are the most").status(), Status::Temporary);
    /// ```
    #[must_use]
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Overloaded, message)
    }

    /// For a store that can not read or write.
    ///
    /// ```
    /// use nexus_events_dispatch::{Error, ErrorKind};
    /// assert_eq!(Error::store("disk full").kind(), ErrorKind::Store);
    /// ```
    #[must_use]
    pub fn store(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        let message = source.to_string();
        Self(Box::new(Inner { kind: ErrorKind::Store, message, source: Some(source) }))
    }

    /// For a store, when none of the others says it: the kind, and a text that says what is wrong
    /// and what to do.
    ///
    /// ```
    /// use nexus_events_dispatch::{Error, ErrorKind};
    /// let error = Error::of_store(ErrorKind::StoreFull, "the disk is full; make room or trim");
    /// assert_eq!(error.kind(), ErrorKind::StoreFull);
    /// ```
    #[must_use]
    pub fn of_store(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message)
    }

    /// The same error with another one that led to it.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use nexus_events_dispatch::{Error, ErrorKind};
    /// let disk = std::io::Error::other("no space left");
    /// assert!(Error::of_store(ErrorKind::StoreFull, "make room").caused_by(disk).source().is_some());
    /// ```
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    pub(crate) fn invalid_option(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOption, message)
    }

    pub(crate) fn would_wait() -> Self {
        let message = "a layer of this bus has to wait; use `publish` instead of `try_publish`";
        Self::new(ErrorKind::WouldWait, message)
    }

    pub(crate) fn waits_for_itself(handler: &str) -> Self {
        let message = format!("`{handler}` would wait for itself; redeliver from outside of it");
        Self::new(ErrorKind::WouldWait, message)
    }

    pub(crate) fn unknown_handler(name: &str) -> Self {
        let message = format!("no handler is named `{name}`; `stats` lists those that there are");
        Self::new(ErrorKind::UnknownHandler, message)
    }

    pub(crate) fn closed() -> Self {
        Self::new(
            ErrorKind::Closed,
            "the bus is shut down; publish and subscribe before `shutdown`, or build a new bus",
        )
    }

    pub(crate) fn cut_off() -> Self {
        Self::new(
            ErrorKind::Closed,
            "the event was cut off by a shutdown at its deadline, or its runtime ended; give `shutdown` more time",
        )
    }

    pub(crate) fn no_timer() -> Self {
        let message = "what is not inline needs tokio's timer; build the runtime with `enable_time` or `enable_all`";
        Self::new(ErrorKind::NoRuntime, message)
    }

    pub(crate) fn no_runtime() -> Self {
        let message = "what is not inline runs on tokio; do this inside a runtime, for instance under #[tokio::main]";
        Self::new(ErrorKind::NoRuntime, message)
    }

    pub(crate) fn missing_state(name: &str, there: &str) -> Self {
        let message = format!(
            "a handler takes `State<{name}>`, but the bus has no such state; add `.state(..)` to `Bus::builder()` (there: {there})"
        );
        Self::new(ErrorKind::MissingState, message)
    }

    pub(crate) fn other_type(
        name: &str,
        event_type: &model::EventType,
        pattern: &model::Pattern,
    ) -> Self {
        let message = format!(
            "a handler takes `&{name}`, which is the payload of `{event_type}` alone, not of all that `{pattern}` means; register it for `{name}::TYPE`, or take `Payload<{name}>` to decode whatever comes"
        );
        Self::new(ErrorKind::OtherType, message)
    }

    pub(crate) fn at_index(mut self, index: usize) -> Self {
        self.0.message = format!("event {index} of the batch: {}", self.0.message);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help: for [`ErrorKind::Overloaded`], [`ErrorKind::TimedOut`],
    /// [`ErrorKind::Store`], [`ErrorKind::Conflict`], [`ErrorKind::StoreFull`],
    /// [`ErrorKind::InUse`] and [`ErrorKind::WouldWait`].
    #[must_use]
    pub fn status(&self) -> Status {
        match self.0.kind {
            ErrorKind::Overloaded
            | ErrorKind::TimedOut
            | ErrorKind::Store
            | ErrorKind::Conflict
            | ErrorKind::StoreFull
            | ErrorKind::InUse
            | ErrorKind::WouldWait => Status::Temporary,
            _ => Status::Permanent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<model::Error> for Error {
    fn from(error: model::Error) -> Self {
        Self(Box::new(Inner {
            kind: ErrorKind::Invalid(error.kind()),
            message: error.to_string(),
            source: Some(error.into()),
        }))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
