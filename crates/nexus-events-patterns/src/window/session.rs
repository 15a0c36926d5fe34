//! Windows that last as long as something comes.

use std::time::Duration;

use super::{CloseReason, Moment, Span, Window, positive};
use crate::error::{Error, Result};

/// A window that lasts as long as something comes: it is over when nothing has come for the gap. An
/// event exactly one gap after the one before begins another session.
///
/// A late event may bridge two sessions; then they become one, which needs an aggregate that can be
/// [merged](super::Fold::merge).
///
/// With a [`max_wait`](Self::max_wait) it is what other systems call a debounce that loses nothing:
/// it says what has happened once that is over, and not later than that.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::window::{Moment, Session, Window};
/// let session = Session::gap(Duration::from_micros(5)).max_wait(Duration::from_micros(30));
/// let at = Moment::from_micros;
/// assert_eq!(session.joined(at(0), at(12)).unwrap().end, at(17));
/// assert_eq!(session.joined(at(0), at(28)).unwrap().end, at(30));
/// assert_eq!(session.joined(at(0), at(30)), None);
/// ```
#[doc(alias = "debounce")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a window does nothing until something is aggregated in it"]
pub struct Session {
    gap: Duration,
    max_wait: Option<Duration>,
}

impl Session {
    /// Over when nothing has come for so long.
    pub fn gap(gap: Duration) -> Self {
        Self { gap, max_wait: None }
    }

    /// Over so long after its first event at the latest, however much comes. At least the gap.
    /// Default: no end as long as something comes.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = Some(max_wait);
        self
    }
}

impl Window for Session {
    fn check(&self) -> Result<()> {
        positive("a session's gap", self.gap)?;
        match self.max_wait {
            Some(max_wait) if max_wait < self.gap => Err(Error::invalid_option(format!(
                "a session's max_wait of {max_wait:?} is shorter than its gap of {:?}; make it as long at least",
                self.gap
            ))),
            _ => Ok(()),
        }
    }

    fn joined(&self, first: Moment, last: Moment) -> Option<Span> {
        let quiet = last.after(self.gap);
        let Some(max_wait) = self.max_wait else { return Some(Span::new(first, quiet)) };
        let latest = first.after(max_wait);
        (last < latest).then(|| Span::new(first, quiet.min(latest)))
    }

    fn merges(&self) -> bool {
        true
    }

    fn reason(&self, span: Span, last: Moment) -> CloseReason {
        match span.end < last.after(self.gap) {
            true => CloseReason::MaxWait,
            false => CloseReason::Time,
        }
    }
}
