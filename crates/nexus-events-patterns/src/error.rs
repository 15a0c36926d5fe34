//! The error of the patterns: one opaque type with a kind, a status and a text that names the fix.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use nexus_events_dispatch as dispatch;
pub use nexus_events_dispatch::Status;
use nexus_events_model::EventType;

use crate::request::Reject;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bus did not take an event or a handler.
    Bus(dispatch::ErrorKind),
    /// An option is out of its range.
    InvalidOption,
    /// Two parts of a definition have one name.
    DuplicateName,
    /// The bus has no store, and this needs one.
    NoStore,
    /// An event does not have the key of its saga.
    MissingKey,
    /// A handler of a saga has changed what the saga is found by.
    KeyChanged,
    /// The state of a saga is not what the program takes it for.
    InvalidState,
    /// A newer program has written it.
    NewerState,
    /// A saga has no handler for a timeout it has asked for.
    UnknownTimeout,
    /// It is not there.
    NotFound,
    /// It is there already.
    Exists,
    /// It can only go forward.
    BehindPivot,
    /// What is stored is damaged.
    Corrupt,
    /// A batcher has no room.
    Full,
    /// An event was not sent with a batch.
    Unsent,
    /// The bus is shut down or shutting down.
    Closed,
    /// A bound on what waits is met.
    Overloaded,
    /// Nobody is there to answer a request.
    NoResponders,
    /// Everybody who could have answered a request has gone without an answer.
    ResponderGone,
    /// What was waited for did not come in time.
    TimedOut,
    /// A responder has said no.
    Failed,
    /// An answer is of another type than was asked for.
    InvalidReply,
    /// A request for one answer has one already.
    AlreadyReplied,
    /// The one who asked does not wait any more.
    RequesterGone,
}

impl ErrorKind {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_patterns::ErrorKind;
    /// assert_eq!(ErrorKind::InvalidOption.as_str(), "invalid_option");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bus(kind) => kind.as_str(),
            Self::InvalidOption => "invalid_option",
            Self::DuplicateName => "duplicate_name",
            Self::NoStore => "no_store",
            Self::MissingKey => "missing_key",
            Self::KeyChanged => "key_changed",
            Self::InvalidState => "invalid_state",
            Self::NewerState => "newer_state",
            Self::UnknownTimeout => "unknown_timeout",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::BehindPivot => "behind_pivot",
            Self::Corrupt => "corrupt",
            Self::Full => "full",
            Self::Unsent => "unsent",
            Self::Closed => "closed",
            Self::Overloaded => "overloaded",
            Self::NoResponders => "no_responders",
            Self::ResponderGone => "responder_gone",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::InvalidReply => "invalid_reply",
            Self::AlreadyReplied => "already_replied",
            Self::RequesterGone => "requester_gone",
        }
    }

    /// Whether trying again can help, for every kind but [`Bus`](Self::Bus), which has the status
    /// of the error that came from the bus.
    fn status(self) -> Status {
        match self {
            Self::Overloaded
            | Self::Full
            | Self::NoResponders
            | Self::ResponderGone
            | Self::TimedOut => Status::Temporary,
            _ => Status::Permanent,
        }
    }
}

/// An error of the patterns. Its text says what is wrong and what would be right.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{ErrorKind, Requests, Status};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let error = Bus::new().request::<u64>(Event::builder("price.asked")).await.unwrap_err();
/// assert_eq!((error.kind(), error.status()), (ErrorKind::NoResponders, Status::Temporary));
/// # });
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    status: Status,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    elapsed: Option<Duration>,
    reject: Option<Reject>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (status, message) = (kind.status(), message.into());
        Self(Box::new(Inner { kind, status, message, source: None, elapsed: None, reject: None }))
    }

    pub(crate) fn invalid_option(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOption, message)
    }

    pub(crate) fn no_store() -> Self {
        let message = "a saga is kept in the store of the bus, and this bus has none; add `.store(..)` to `Bus::builder()`";
        Self::new(ErrorKind::NoStore, message)
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn timed_out(asked: &EventType, elapsed: Duration) -> Self {
        let message = format!(
            "`{asked}` was not answered within {elapsed:?}; give it more time with `timeout`, or see what holds its responders up"
        );
        let mut error = Self::new(ErrorKind::TimedOut, message);
        error.0.elapsed = Some(elapsed);
        error
    }

    pub(crate) fn failed(reject: Reject) -> Self {
        let mut error = Self::new(ErrorKind::Failed, format!("the responder refused: {reject}"));
        error.0.reject = Some(reject);
        error
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status
    }
}

impl Error {
    /// How long was waited, for [`ErrorKind::TimedOut`].
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// What the responder said, for [`ErrorKind::Failed`].
    #[must_use]
    pub fn reject(&self) -> Option<&Reject> {
        self.0.reject.as_ref()
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

impl From<dispatch::Error> for Error {
    fn from(error: dispatch::Error) -> Self {
        let kind = match error.kind() {
            dispatch::ErrorKind::Closed => ErrorKind::Closed,
            kind => ErrorKind::Bus(kind),
        };
        let (status, message) = (error.status(), error.to_string());
        let mut of_bus = Self::new(kind, message).caused_by(error);
        of_bus.0.status = status;
        of_bus
    }
}

impl From<nexus_events_model::Error> for Error {
    fn from(error: nexus_events_model::Error) -> Self {
        dispatch::Error::from(error).into()
    }
}
