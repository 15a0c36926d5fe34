//! Windows of a fixed size, side by side.

use std::time::Duration;

use super::moment::micros;
use super::{Moment, Span, Window, positive};
use crate::error::Result;

/// Windows of a fixed size, side by side: each event is in exactly one. They begin at 1970, so all
/// keys have the same ones: a size of 15 minutes gives quarters of the hour, in UTC.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::window::{Moment, Span, Tumbling, Window};
/// let quarter = Tumbling::of(Duration::from_micros(10));
/// let mut spans = Vec::new();
/// quarter.spans(Moment::from_micros(25), &mut |span| spans.push(span));
/// assert_eq!(spans, [Span::new(Moment::from_micros(20), Moment::from_micros(30))]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a window does nothing until something is aggregated in it"]
pub struct Tumbling {
    size: Duration,
    offset: Duration,
}

impl Tumbling {
    /// Windows of this size, at least 1 µs.
    pub fn of(size: Duration) -> Self {
        Self { size, offset: Duration::ZERO }
    }

    /// Begins so much after 1970, for days that begin at another hour than UTC's.
    pub fn offset(mut self, offset: Duration) -> Self {
        self.offset = offset;
        self
    }
}

impl Window for Tumbling {
    fn check(&self) -> Result<()> {
        positive("a tumbling window's size", self.size)
    }

    fn spans(&self, at: Moment, each: &mut dyn FnMut(Span)) {
        each(span_at(at, micros(self.size), micros(self.offset)));
    }
}

/// The span that begins at a multiple of `step` and has `at` in its first `step`.
pub(super) fn span_at(at: Moment, step: i64, offset: i64) -> Span {
    let into = at.micros().wrapping_sub(offset % step).rem_euclid(step);
    let start = at.micros().saturating_sub(into);
    Span::new(Moment::from_micros(start), Moment::from_micros(start.saturating_add(step)))
}
