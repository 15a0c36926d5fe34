//! Which dead letters are meant.

use nexus_events_model::{Filter, Pattern, Text};

use super::record::DeadLetter;

/// Which dead letters are meant; all that is set must hold, and nothing set means all.
///
/// ```
/// use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters};
/// use nexus_events_model::{Filter, Pattern};
/// let large = DeadLetterFilter::new()
///     .handler("billing")
///     .pattern(Pattern::new("order.*")?)
///     .filter(Filter::parse("payload.amount > 100")?);
/// assert!(DeadLetters::new().list(&large, 50).is_empty());
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a filter does nothing until something is filtered with it"]
pub struct DeadLetterFilter {
    handler: Option<Text>,
    pattern: Option<Pattern>,
    filter: Option<Filter>,
    key: Option<Text>,
    pub(super) after: u64,
}

impl DeadLetterFilter {
    /// All dead letters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this handler.
    pub fn handler(mut self, name: impl Into<Text>) -> Self {
        self.handler = Some(name.into());
        self
    }

    /// Of event types that match.
    pub fn pattern(mut self, pattern: Pattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Of events for which the filter holds.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Of this key.
    pub fn key(mut self, key: impl Into<Text>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Parked later than the one with this id, to read them page by page.
    pub fn after(mut self, id: u64) -> Self {
        self.after = id;
        self
    }

    /// Whether this one is meant.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        letter.id > self.after
            && self.handler.as_ref().is_none_or(|handler| *handler == letter.handler)
            && self.key.as_ref().is_none_or(|key| letter.key.as_ref() == Some(key))
            && self.pattern.as_ref().is_none_or(|p| p.matches(letter.event.event_type()))
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&letter.event))
    }
}
