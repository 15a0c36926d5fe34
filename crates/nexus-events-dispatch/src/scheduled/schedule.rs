//! When an event is to be published.

use std::time::Duration;

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// What happens to an event that could not fire when it was due: the program did not run, or the
/// clock was set forward.
///
/// ```
/// use nexus_events_dispatch::Misfire;
/// assert_eq!(Misfire::default(), Misfire::PublishOnce);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Misfire {
    /// It fires as soon as it can.
    #[default]
    PublishOnce,
    /// It does not fire any more, and is counted as skipped.
    Skip {
        /// How late it may fire all the same.
        grace: Duration,
    },
}

/// When an event is to be published, for [`Bus::schedule`](crate::Bus::schedule).
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::{Misfire, Schedule};
/// use time::macros::datetime;
/// let new_year = Schedule::at(datetime!(2027-01-01 00:00 UTC)).misfire(Misfire::Skip { grace: Duration::from_secs(3600) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it does nothing until an event is scheduled with it"]
pub struct Schedule {
    when: When,
    pub(super) misfire: Misfire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    At(OffsetDateTime),
    After(Duration),
}

impl Schedule {
    /// At this time.
    pub fn at(time: OffsetDateTime) -> Self {
        Self { when: When::At(time), misfire: Misfire::default() }
    }

    /// After so much time on the clock of the bus.
    pub fn after(after: Duration) -> Self {
        Self { when: When::After(after), misfire: Misfire::default() }
    }

    /// What happens if it is late. Default: it fires as soon as it can.
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }

    pub(super) fn due(&self, now: OffsetDateTime) -> Result<OffsetDateTime> {
        let after = match self.when {
            When::At(time) => return Ok(time),
            When::After(after) => after,
        };
        let due = after.try_into().ok().and_then(|after: time::Duration| now.checked_add(after));
        due.ok_or_else(|| {
            let message = format!("{after:?} from now is beyond every calendar; choose less");
            Error::invalid_option(message)
        })
    }
}
