//! A handler's failure: what went wrong, whether trying again can help, and what was tried.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use nexus_events_model::{OutcomeStatus, Status, Text};
use time::OffsetDateTime;

use crate::handler::{BoxFuture, HandlerResult, Rest};

/// A handler's failure, made from any error with `?`.
///
/// It is temporary unless made with [`HandlerError::permanent`]: trying again may help.
///
/// ```
/// use nexus_events_dispatch::HandlerError;
/// fn parse(text: &str) -> Result<u32, HandlerError> {
///     Ok(text.parse::<u32>().map_err(HandlerError::permanent)?)
/// }
/// assert!(parse("seven").unwrap_err().to_string().contains("invalid digit"));
/// ```
pub struct HandlerError(Box<Inner>);

struct Inner {
    error: Box<dyn StdError + Send + Sync>,
    status: Status,
    outcome: OutcomeStatus,
    /// What came on top of it.
    note: Option<Text>,
    retry_after: Option<Duration>,
    attempts: Vec<Attempt>,
    retries: Option<BoxFuture<'static, LastAttempt>>,
    /// It is no failure: the turn is not over.
    rest: Option<Rest>,
}

/// One try of a handler at an event that failed.
///
/// ```
/// use nexus_events_dispatch::Attempt;
/// use time::macros::datetime;
/// let attempt = Attempt::new(datetime!(2026-01-02 03:04:05 UTC), "disk full");
/// assert_eq!(attempt.error, "disk full");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// When it began.
    pub started: OffsetDateTime,
    /// Why it failed.
    pub error: Text,
}

impl Attempt {
    /// An attempt that began then and failed for this reason.
    pub fn new(started: OffsetDateTime, error: impl Into<Text>) -> Self {
        Self { started, error: error.into() }
    }
}

/// What the last of several attempts came to.
#[derive(Debug)]
pub struct LastAttempt {
    /// Which one it was, from 1.
    pub attempt: u32,
    /// How it ended.
    pub result: HandlerResult,
}

impl HandlerError {
    fn new(error: impl Into<Box<dyn StdError + Send + Sync>>, status: Status) -> Self {
        Self(Box::new(Inner {
            error: error.into(),
            status,
            outcome: OutcomeStatus::Error,
            note: None,
            retry_after: None,
            attempts: Vec::new(),
            retries: None,
            rest: None,
        }))
    }

    /// No failure: the turn is not over, this is left of it.
    #[cold]
    pub(crate) fn waits(rest: Rest) -> Self {
        let mut error = Self::new("it waits", Status::Temporary);
        error.0.rest = Some(rest);
        error
    }

    /// What is left of a turn that is not over.
    pub(crate) fn take_rest(&mut self) -> Option<Rest> {
        self.0.rest.take()
    }

    /// A failure that the same event will meet again.
    pub fn permanent(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(error, Status::Permanent)
    }

    /// A failure of a handler that was stopped because its time was up; the outcome is
    /// *timed out*.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nexus_events_dispatch::HandlerError;
    /// let error = HandlerError::timed_out(Duration::from_millis(200));
    /// assert_eq!(error.to_string(), "timed out after 200ms");
    /// ```
    #[must_use]
    pub fn timed_out(after: Duration) -> Self {
        let mut error = Self::new(format!("timed out after {after:?}"), Status::Temporary);
        error.0.outcome = OutcomeStatus::TimedOut;
        error
    }

    /// A panic, as a failure, for layers that catch it; the outcome is *panicked*.
    ///
    /// ```
    /// use nexus_events_dispatch::HandlerError;
    /// assert_eq!(HandlerError::panicked("panicked: oops").to_string(), "panicked: oops");
    /// ```
    #[must_use]
    pub fn panicked(text: impl Into<String>) -> Self {
        let mut error = Self::new(text.into(), Status::Temporary);
        error.0.outcome = OutcomeStatus::Panicked;
        error
    }

    /// Asks for the next attempt no earlier than this, as a server says with `Retry-After`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nexus_events_dispatch::HandlerError;
    /// let error = HandlerError::from("too many requests").retry_after(Duration::from_secs(5));
    /// assert_eq!(error.retry_delay(), Some(Duration::from_secs(5)));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// What was asked for with [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether trying again can help.
    ///
    /// ```
    /// # use nexus_events_dispatch::{HandlerError, Status};
    /// assert_eq!(HandlerError::permanent("no such user").status(), Status::Permanent);
    /// assert_eq!(HandlerError::from("connection lost").status(), Status::Temporary);
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// With another status, as after the last attempt.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.0.status = status;
        self
    }

    /// With something that went wrong on top of it, for layers; it follows in the text.
    ///
    /// ```
    /// use nexus_events_dispatch::HandlerError;
    /// let error = HandlerError::from("connection lost").with_note("and the disk is full");
    /// assert_eq!(error.to_string(), "connection lost; and the disk is full");
    /// ```
    #[must_use]
    pub fn with_note(mut self, note: impl Into<Text>) -> Self {
        self.0.note = Some(note.into());
        self
    }

    /// How the turn ended: error, timed out or panicked.
    #[must_use]
    pub fn outcome(&self) -> OutcomeStatus {
        self.0.outcome
    }

    /// What was tried before, oldest first; kept by the layer that retries.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// With what was tried.
    ///
    /// ```
    /// # use nexus_events_dispatch::{Attempt, HandlerError};
    /// # use time::macros::datetime;
    /// let first = Attempt::new(datetime!(2026-01-02 03:04:05 UTC), "disk full");
    /// let error = HandlerError::from("disk full").with_attempts(vec![first]);
    /// assert_eq!(error.attempts().len(), 1);
    /// ```
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Not the last word: the wave may go on, while `retries` comes to the last attempt. For
    /// layers; the future is polled on a task. It should end when [`Context::ended`] does.
    ///
    /// [`Context::ended`]: crate::Context::ended
    #[must_use]
    pub fn with_retries(mut self, retries: BoxFuture<'static, LastAttempt>) -> Self {
        self.0.retries = Some(retries);
        self
    }

    /// Takes what was given to [`with_retries`](Self::with_retries), so that a layer can put
    /// something around it.
    #[must_use]
    pub fn take_retries(&mut self) -> Option<BoxFuture<'static, LastAttempt>> {
        self.0.retries.take()
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::new(error, Status::Temporary)
    }
}

impl fmt::Display for HandlerError {
    /// The error and its causes, from the outside in; a cause that the text before it ends with
    /// already is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.error.to_string();
        f.write_str(&text)?;
        let mut source = self.0.error.source();
        while let Some(cause) = source {
            let next = cause.to_string();
            if !text.ends_with(&next) {
                write!(f, ": {next}")?;
            }
            text = next;
            source = cause.source();
        }
        match &self.0.note {
            Some(note) => write!(f, "; {note}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerError({:?}, {self})", self.0.status)
    }
}
