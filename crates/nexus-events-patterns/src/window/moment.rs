//! Points and stretches of time, as windows see them.

use std::time::Duration;

use time::OffsetDateTime;

/// A point in time, in microseconds since 1970. Arithmetic stops at the ends instead of wrapping.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::window::Moment;
/// use time::macros::datetime;
/// let moment = Moment::from(datetime!(1970-01-01 00:00:01 UTC));
/// assert_eq!(moment, Moment::from_micros(1_000_000));
/// assert_eq!(moment.after(Duration::from_secs(1)).micros(), 2_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything: the end of a window that time does not close.
    pub const MAX: Self = Self(i64::MAX);

    /// So many microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// So much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How long after an earlier moment; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// The time of day; `None` for [`MIN`](Self::MIN), [`MAX`](Self::MAX) and what no calendar
    /// has.
    #[must_use]
    pub fn time(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok()
    }
}

impl From<OffsetDateTime> for Moment {
    fn from(time: OffsetDateTime) -> Self {
        Self(time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond()))
    }
}

/// In microseconds, as many as there are.
pub(super) fn micros(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1_000_000).saturating_add(i64::from(duration.subsec_micros()))
}

/// A stretch of time: its start is in it, its end is not.
///
/// ```
/// use nexus_events_patterns::window::{Moment, Span};
/// let at = Moment::from_micros;
/// let span = Span::new(at(0), at(10));
/// assert!(span.contains(at(0)) && !span.contains(at(10)));
/// assert!(span.overlaps(Span::new(at(9), at(12))) && !span.overlaps(Span::new(at(10), at(12))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Where it begins.
    pub start: Moment,
    /// Where it is over.
    pub end: Moment,
}

impl Span {
    /// From one moment up to another.
    #[must_use]
    pub const fn new(start: Moment, end: Moment) -> Self {
        Self { start, end }
    }

    /// Whether this moment is in it.
    #[must_use]
    pub fn contains(self, moment: Moment) -> bool {
        self.start <= moment && moment < self.end
    }

    /// Whether some moment is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}
