//! Windows of so many events.

use std::time::Duration;

use super::{CloseReason, Moment, Span, Window, positive};
use crate::error::{Error, Result};

/// A window that is over when it has so many events, whenever they come.
///
/// ```
/// use nexus_events_patterns::window::{Count, Window};
/// assert_eq!(Count::of(100).size(), Some(100));
/// assert!(Count::of(0).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a window does nothing until something is aggregated in it"]
pub struct Count {
    events: u64,
    max_wait: Option<Duration>,
}

impl Count {
    /// Over with so many events, at least 1.
    pub fn of(events: u64) -> Self {
        Self { events, max_wait: None }
    }

    /// Over so long after its first event at the latest. Default: it waits for the last one.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = Some(max_wait);
        self
    }
}

impl Window for Count {
    fn check(&self) -> Result<()> {
        if self.events == 0 {
            let message = "a count window has at least 1 event, not 0";
            return Err(Error::invalid_option(message));
        }
        self.max_wait.map_or(Ok(()), |wait| positive("a count window's max_wait", wait))
    }

    fn joined(&self, first: Moment, last: Moment) -> Option<Span> {
        let Some(max_wait) = self.max_wait else { return Some(Span::new(first, Moment::MAX)) };
        let end = first.after(max_wait);
        (last < end).then_some(Span::new(first, end))
    }

    fn size(&self) -> Option<u64> {
        Some(self.events)
    }

    fn reason(&self, _: Span, _: Moment) -> CloseReason {
        CloseReason::MaxWait
    }
}
