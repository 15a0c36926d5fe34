//! The model's error: one opaque type with a kind, a status and a text that names the fix.

use std::error::Error as StdError;
use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An event type breaks the rules of [`EventType`](crate::EventType).
    InvalidEventType,
    /// A pattern breaks the rules of [`Pattern`](crate::Pattern).
    InvalidPattern,
    /// A filter cannot be parsed or is over its bounds.
    InvalidFilter,
    /// An event or one of its fields is malformed.
    InvalidEvent,
    /// JSON has a field that no event has.
    UnknownField,
    /// A payload cannot be encoded as, or decoded from, the wanted form.
    InvalidPayload,
    /// Something is larger than its bound in [`limits`](crate::limits).
    TooLarge,
}

impl ErrorKind {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_model::ErrorKind;
    /// assert_eq!(ErrorKind::InvalidPattern.as_str(), "invalid_pattern");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidEventType => "invalid_event_type",
            Self::InvalidPattern => "invalid_pattern",
            Self::InvalidFilter => "invalid_filter",
            Self::InvalidEvent => "invalid_event",
            Self::UnknownField => "unknown_field",
            Self::InvalidPayload => "invalid_payload",
            Self::TooLarge => "too_large",
        }
    }
}

/// Whether trying again can help.
///
/// ```
/// use nexus_events_model::{EventType, Status};
/// assert_eq!(EventType::new("two words").unwrap_err().status(), Status::Permanent);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The same call fails again.
    Permanent,
    /// The same call may succeed later.
    Temporary,
    /// It was temporary, and every allowed attempt was used.
    Exhausted,
}

/// An error of the model. Its text says what is wrong, where, and what would be right.
///
/// Everything the model refuses is refused for good: the status is always
/// [`Status::Permanent`].
///
/// ```
/// use nexus_events_model::{ErrorKind, EventType};
/// let error = EventType::new("order created").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidEventType);
/// assert!(error.to_string().contains("order created"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    position: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), position: None, source: None }))
    }

    /// Marks the byte offset in the input at which the error was found.
    pub(crate) fn at(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
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

    /// Always [`Status::Permanent`].
    #[must_use]
    pub fn status(&self) -> Status {
        Status::Permanent
    }

    /// The byte offset in the input at which the error was found, where there is one.
    ///
    /// ```
    /// use nexus_events_model::Filter;
    /// let error = Filter::parse("priority == ").unwrap_err();
    /// assert_eq!(error.position(), Some(12));
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.0.position
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
            .field("position", &self.0.position)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
