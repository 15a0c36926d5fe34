//! What a batch handler says when it fails.

use std::error::Error as StdError;
use std::fmt;

use nexus_events_dispatch::{HandlerError, Status};

/// A batch handler's failure, made from any error with `?`: of the whole batch, or of events that it
/// names.
///
/// ```
/// use nexus_events_patterns::BatchFailure;
/// fn parse(texts: &[&str]) -> Result<Vec<u32>, BatchFailure> {
///     let parse = |(place, text): (usize, &&str)| {
///         text.parse().map_err(|error| BatchFailure::event(place, error))
///     };
///     texts.iter().enumerate().map(parse).collect()
/// }
/// assert!(parse(&["1", "x"]).unwrap_err().to_string().starts_with("event 1: invalid digit"));
/// ```
pub struct BatchFailure {
    pub(super) whole: Option<HandlerError>,
    pub(super) events: Vec<(usize, HandlerError)>,
}

impl BatchFailure {
    /// The event at this place of the batch, from 0, cannot be handled: it fails for good, and the
    /// others are given again without it.
    pub fn event(place: usize, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { whole: None, events: Vec::new() }.and_event(place, error)
    }

    /// And so does the event at this place.
    #[must_use]
    pub fn and_event(
        mut self,
        place: usize,
        error: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.events.push((place, HandlerError::permanent(error)));
        self
    }

    /// The batch fails, and will do so again as a whole: its events are tried one by one.
    pub fn permanent(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { whole: Some(HandlerError::permanent(error)), events: Vec::new() }
    }

    pub(super) fn panicked(text: String) -> Self {
        Self { whole: Some(HandlerError::panicked(text)), events: Vec::new() }
    }

    /// Whether the whole batch may succeed when it is given again.
    #[must_use]
    pub fn status(&self) -> Status {
        self.whole.as_ref().map_or(Status::Permanent, HandlerError::status)
    }

    /// The failure of the batch, when only one event is in it.
    pub(super) fn into_error(self) -> HandlerError {
        let event = self.events.into_iter().next().map(|(_, error)| error);
        self.whole.or(event).unwrap_or_else(|| "the batch failed".into())
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for BatchFailure {
    fn from(error: E) -> Self {
        Self { whole: Some(HandlerError::from(error)), events: Vec::new() }
    }
}

impl fmt::Display for BatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(whole) = &self.whole {
            return write!(f, "{whole}");
        }
        for (number, (place, error)) in self.events.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}event {place}: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchFailure({self})")
    }
}
