//! Wall-clock time. It enters the system here and nowhere else.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime};

use nexus_events_model::Stamp;
use time::OffsetDateTime;

use crate::stamp::{self, Maker};
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
        SystemTime::now().into()
    }
}

/// A time of day to the microsecond, the finest an event holds, in the two forms a publish needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) time: OffsetDateTime,
    pub(crate) unix_micros: i64,
}

impl Moment {
    fn of(time: OffsetDateTime) -> Self {
        let unix_micros = time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond());
        let whole = time.replace_nanosecond(time.microsecond() * 1_000);
        Self { time: whole.unwrap_or(time), unix_micros }
    }

    /// The same for times after 1970, with the date worked out once a second; `None` for others.
    fn since_1970(now: SystemTime) -> Option<Self> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let (mut second, mut whole) = SECOND.get();
        if second != since.as_secs() {
            second = since.as_secs();
            whole = OffsetDateTime::from_unix_timestamp(i64::try_from(second).ok()?).ok()?;
            SECOND.set((second, whole));
        }
        let micros = since.subsec_micros();
        let time = whole.replace_nanosecond(micros * 1_000).ok()?;
        let unix_micros = i64::try_from(second).ok()? * 1_000_000 + i64::from(micros);
        Some(Self { time, unix_micros })
    }
}

thread_local! {
    /// The last second somebody asked for: most events come in the same one as the one before.
    static SECOND: Cell<(u64, OffsetDateTime)> = const { Cell::new((0, OffsetDateTime::UNIX_EPOCH)) };
}

/// The clock of a bus: the machine's, called directly, or another one.
#[derive(Debug, Clone, Default)]
pub(crate) struct BusClock(Option<Arc<Own>>);

/// A clock that one bus alone has, and so ids of its own: they may be ahead of all others.
#[derive(Debug)]
struct Own {
    clock: Box<dyn Clock>,
    ids: Mutex<Maker>,
}

impl BusClock {
    pub(crate) fn own(clock: impl Clock) -> Self {
        Self(Some(Arc::new(Own { clock: Box::new(clock), ids: Mutex::new(Maker::new()) })))
    }

    /// Whether it is not the machine's.
    pub(crate) fn is_own(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.0.as_ref().map_or_else(|| SystemClock.now(), |own| own.clock.now())
    }

    /// An id and a time, and that in microseconds of Unix time.
    #[inline]
    pub(crate) fn stamp(&self) -> (Stamp, i64) {
        let now = self.moment();
        let stamp = match &self.0 {
            Some(own) => own.ids.lock().stamp(now),
            None => stamp::stamp(now),
        };
        (stamp, now.unix_micros)
    }

    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        if let Some(own) = &self.0 {
            return Moment::of(own.clock.now());
        }
        let now = SystemTime::now();
        Moment::since_1970(now).unwrap_or_else(|| Moment::of(now.into()))
    }
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
    fn a_moment_after_1970_is_what_the_time_crate_says() {
        for micros in
            [0, 1, 999, 1_000, 999_999, 1_000_000, 951_782_399_999_999, 1_767_323_045_678_901]
        {
            let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
            let moment = Moment::since_1970(time + Duration::from_nanos(999)).unwrap();
            assert_eq!(moment, Moment::of(time.into()));
            assert_eq!((moment.time, moment.unix_micros), (time.into(), micros as i64));
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Moment::since_1970(before), None);
        assert_eq!(Moment::of(before.into()).unix_micros, -1_000_000);
    }
}
