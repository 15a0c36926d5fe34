//! The streamer's error: one opaque type with a kind, a status and a text that names the fix.

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
    /// An option is out of its range.
    InvalidOption,
    /// The bus did not take the handler.
    Bus(dispatch::ErrorKind),
    /// What was to be broadcast cannot be written as JSON.
    InvalidMessage,
    /// What was to be broadcast is longer than a message may be.
    TooLarge,
}

impl ErrorKind {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_stream::ErrorKind;
    /// assert_eq!(ErrorKind::InvalidOption.as_str(), "invalid_option");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOption => "invalid_option",
            Self::Bus(kind) => kind.as_str(),
            Self::InvalidMessage => "invalid_message",
            Self::TooLarge => "too_large",
        }
    }
}

/// An error of the streamer. Its text says what is wrong and what would be right.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_stream::{ErrorKind, StreamOptions, Streamer};
/// let error = Streamer::new(&Bus::new(), StreamOptions::new().connections(0)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidOption);
/// assert_eq!(error.to_string(), "connections is 1 to 1000000, not 0");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    status: Status,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            status: Status::Permanent,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
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
