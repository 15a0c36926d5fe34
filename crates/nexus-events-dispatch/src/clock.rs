//! Wall-clock time. It enters the system here and nowhere else.

use std::fmt;
use std::time::Duration;

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
        OffsetDateTime::now_utc()
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
