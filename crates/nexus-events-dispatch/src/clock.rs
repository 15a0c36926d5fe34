//! Wall-clock time. It enters the system here and nowhere else.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use crate::sync::{Arc, Mutex};

/// Tells the time of day. Durations come from tokio's timer instead.
///
/// ```
/// use nexus_events_dispatch::{Clock, SystemClock};
/// assert!(SystemClock.now().year() >= 2026);
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock, in UTC.
///
/// ```
/// use nexus_events_dispatch::{Clock, SystemClock};
/// assert!(SystemClock.now().offset().is_utc());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        let now = SystemTime::now();
        since_1970(now).unwrap_or_else(|| now.into())
    }
}

/// What `time` does for any time, done for those after 1970 and with the date worked out once a
/// second. `None` for other times.
fn since_1970(now: SystemTime) -> Option<OffsetDateTime> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let (mut second, mut whole) = SECOND.get();
    if second != since.as_secs() {
        second = since.as_secs();
        whole = OffsetDateTime::from_unix_timestamp(i64::try_from(second).ok()?).ok()?;
        SECOND.set((second, whole));
    }
    whole.replace_nanosecond(since.subsec_nanos()).ok()
}

thread_local! {
    /// The last second somebody asked for: most events come in the same one as the one before.
    static SECOND: Cell<(u64, OffsetDateTime)> = const { Cell::new((0, OffsetDateTime::UNIX_EPOCH)) };
}

/// A clock that stands still until told otherwise, for tests. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::{Clock, ManualClock};
/// use time::macros::datetime;
/// let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), datetime!(2026-01-02 03:05:05 UTC));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<OffsetDateTime>>);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }

    /// Sets the clock, backward too.
    pub fn set(&self, now: OffsetDateTime) {
        *self.0.lock() = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_after_1970_are_those_of_the_time_crate() {
        for millis in
            [0, 1, 999, 1_000, 1_999, 951_782_399_999, 1_767_323_045_678, 1_767_323_045_679]
        {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(since_1970(time), Some(time.into()));
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(since_1970(before), None);
    }
}
