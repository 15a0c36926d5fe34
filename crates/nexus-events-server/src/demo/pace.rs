//! When the next event is due.

use time::OffsetDateTime;
use tokio::time::Instant;

/// How fast time passes in a replay.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many times as fast as it happened.
    Times(f64),
    /// Everything is due at once.
    Max,
}

/// A replay's clock, from its first event on.
#[derive(Debug)]
pub(super) struct Metronome {
    pace: Pace,
    began: Instant,
    first: OffsetDateTime,
}

impl Metronome {
    pub(super) fn new(pace: Pace, first: OffsetDateTime) -> Self {
        Self { pace, began: Instant::now(), first }
    }

    /// Waits until what happened at this time is due.
    pub(super) async fn until(&self, at: OffsetDateTime) {
        if let Some(due) = self.due(at) {
            tokio::time::sleep_until(due).await;
        }
    }

    /// Whether what happened at this time is due already.
    pub(super) fn is_due(&self, at: OffsetDateTime) -> bool {
        self.due(at).is_none_or(|due| due <= Instant::now())
    }

    fn due(&self, at: OffsetDateTime) -> Option<Instant> {
        let Pace::Times(times) = self.pace else { return None };
        let seconds = (at - self.first).as_seconds_f64() / times;
        // Only a negative or absurdly long wait does not convert.
        self.began.checked_add(std::time::Duration::try_from_secs_f64(seconds).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    const FIRST: OffsetDateTime = datetime!(2013-02-05 00:00 -5);
    const LATER: OffsetDateTime = datetime!(2013-02-06 00:00 -5);

    #[tokio::test(start_paused = true)]
    async fn a_day_at_864_times_takes_100_seconds() {
        let metronome = Metronome::new(Pace::Times(864.0), FIRST);
        let began = Instant::now();
        assert!(metronome.is_due(FIRST) && !metronome.is_due(LATER));
        metronome.until(LATER).await;
        assert_eq!(began.elapsed().as_secs(), 100);
        assert!(metronome.is_due(LATER));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_at_most() {
        let began = Instant::now();
        Metronome::new(Pace::Max, FIRST).until(LATER).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
