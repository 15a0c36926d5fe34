//! How fast a replay goes.

use std::time::Duration;

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// How fast events are given.
///
/// ```
/// use nexus_events_dispatch::{Pace, Replay};
/// let ten_times_as_fast = Replay::all().pace(Pace::Speed(10.0));
/// let slowly = Replay::all().pace(Pace::PerSecond(5.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Pace {
    /// As fast as handlers take them.
    #[default]
    Full,
    /// So many times as fast as they were recorded, more than 0; or as fast as handlers take them,
    /// where that is slower.
    Speed(f64),
    /// At most so many a second, more than 0.
    PerSecond(f64),
}

impl Pace {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Speed(number) | Self::PerSecond(number)
                if !number.is_finite() || number <= 0.0 =>
            {
                Err(Error::invalid_option(format!(
                    "the pace of a replay is a number above 0, not {number}; leave it out for full speed"
                )))
            }
            _ => Ok(()),
        }
    }

    /// How long after the first event this one is given: the event of this number, from 0, recorded
    /// so long after the first.
    pub(super) fn after(self, number: u64, recorded: time::Duration) -> Duration {
        let seconds = match self {
            Self::Full => 0.0,
            Self::Speed(factor) => recorded.as_seconds_f64() / factor,
            #[allow(clippy::cast_precision_loss, reason = "a time of day is no finer")]
            Self::PerSecond(events) => number as f64 / events,
        };
        // Beyond what can be told it is as far as that.
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }

    pub(super) fn waits(self) -> bool {
        self != Self::Full
    }
}

/// When the first event was recorded, and the others since.
#[derive(Default)]
pub(super) struct Recorded(Option<OffsetDateTime>);

impl Recorded {
    pub(super) fn since_first(&mut self, recorded: OffsetDateTime) -> time::Duration {
        recorded - *self.0.get_or_insert(recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_no_panic() {
        let day = time::Duration::days(1);
        assert_eq!(Pace::Speed(2.0).after(3, day), Duration::from_secs(43_200));
        assert_eq!(Pace::PerSecond(0.5).after(3, day), Duration::from_secs(6));
        assert_eq!(Pace::Speed(f64::MIN_POSITIVE).after(3, day), Duration::MAX);
        assert_eq!(Pace::Speed(1.0).after(3, -day), Duration::ZERO);
        assert_eq!(Pace::Full.after(3, day), Duration::ZERO);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Pace::Speed(wrong).check().is_err() && Pace::PerSecond(wrong).check().is_err());
        }
    }
}
