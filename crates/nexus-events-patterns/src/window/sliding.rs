//! Windows of a fixed size that begin more often than they end.

use std::time::Duration;

use super::moment::micros;
use super::tumbling::span_at;
use super::{Moment, Span, Window, positive};
use crate::error::{Error, Result};
use crate::limits::SLIDING_OVERLAP_MAX;

/// Windows of a fixed size, of which a new one begins with each step: an event is in as many as
/// overlap, size / step rounded up, and costs as much as that. Steps are counted from 1970.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::window::{Moment, Sliding, Window};
/// let last_minute = Sliding::of(Duration::from_secs(60)).every(Duration::from_secs(10));
/// let mut spans = 0;
/// last_minute.spans(Moment::from_micros(0), &mut |_| spans += 1);
/// assert_eq!(spans, 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a window does nothing until something is aggregated in it"]
pub struct Sliding {
    size: Duration,
    step: Duration,
}

impl Sliding {
    /// Windows of this size; how often one begins is said with [`every`](Self::every). Until then
    /// they are side by side.
    pub fn of(size: Duration) -> Self {
        Self { size, step: size }
    }

    /// One begins with each step: no longer than the size, so that no event is between two windows,
    /// and no shorter than a 128th of it.
    pub fn every(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }
}

impl Window for Sliding {
    fn check(&self) -> Result<()> {
        positive("a sliding window's size", self.size)?;
        positive("a sliding window's step", self.step)?;
        if self.step > self.size {
            return Err(Error::invalid_option(format!(
                "a sliding window's step of {:?} is longer than its size of {:?}, so that some events are in none; make it as long at most",
                self.step, self.size
            )));
        }
        let overlap = micros(self.size).div_euclid(micros(self.step));
        if overlap > SLIDING_OVERLAP_MAX {
            return Err(Error::invalid_option(format!(
                "with a step of {:?} each event is in {overlap} sliding windows of {:?}, the most is {SLIDING_OVERLAP_MAX}; make the step longer",
                self.step, self.size
            )));
        }
        Ok(())
    }

    fn spans(&self, at: Moment, each: &mut dyn FnMut(Span)) {
        let (size, step) = (micros(self.size), micros(self.step));
        let mut start = span_at(at, step, 0).start.micros();
        while start > at.micros().saturating_sub(size) {
            let end = start.saturating_add(size);
            each(Span::new(Moment::from_micros(start), Moment::from_micros(end)));
            start = start.saturating_sub(step);
        }
    }
}
