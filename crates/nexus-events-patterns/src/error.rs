//! The error of the patterns: one opaque type with a kind, a status and a text that names the fix.

use std::error::Error as StdError;
use std::fmt;

use nexus_events_dispatch as dispatch;
pub use nexus_events_dispatch::Status;

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
    /// A batcher has no room.
    Full,
    /// An event was not sent with a batch.
    Unsent,
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
            Self::Full => "full",
            Self::Unsent => "unsent",
        }
    }

    /// Whether trying again can help, for every kind but [`Bus`](Self::Bus), which has the status
    /// of the error that came from the bus.
    fn status(self) -> Status {
        match self {
            Self::Full => Status::Temporary,
            Self::Bus(_) | Self::InvalidOption | Self::Unsent => Status::Permanent,
        }
    }
}

/// An error of the patterns. Its text says what is wrong and what would be right.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    status: Status,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    #[allow(dead_code, reason = "the modules to come")]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, status: kind.status(), message: message.into(), source: None }))
    }

    #[allow(dead_code, reason = "the modules to come")]
    pub(crate) fn invalid_option(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOption, message)
    }

    #[allow(dead_code, reason = "the modules to come")]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
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
        Self(Box::new(Inner {
            kind: ErrorKind::Bus(error.kind()),
            status: error.status(),
            message: error.to_string(),
            source: Some(error.into()),
        }))
    }
}

impl From<nexus_events_model::Error> for Error {
    fn from(error: nexus_events_model::Error) -> Self {
        dispatch::Error::from(error).into()
    }
}
