//! When a client is written to: at once, unless the machine is busy writing and this client was
//! written to a moment ago.
//!
//! Hundreds of clients that each get thousands of events a second cost a wake-up and a write for
//! every event if they are written to as often as they can be, and then nothing of the machine is
//! left for others. With a pause after each write, what comes meanwhile goes out with the next one.
//! A single client, however fast, is no reason to wait.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::limits::WRITE_RATE_WINDOW;
use crate::queue::{ClientQueue, Demand};

/// How often clients are written to, all together. Counted without a lock, so a write or two may be
/// missed where one window follows the other.
pub(crate) struct WriteRate {
    start: Instant,
    /// The number of the window, and the writes in it.
    window: AtomicU64,
    /// Those of the window before.
    before: AtomicU32,
    /// From so many writes in a window on it is high.
    high: u32,
}

impl WriteRate {
    pub(crate) fn new(high_per_second: u32) -> Self {
        let windows = u32::try_from(WRITE_RATE_WINDOW.as_micros()).unwrap_or(u32::MAX);
        let high = u64::from(high_per_second) * u64::from(windows) / 1_000_000;
        Self {
            start: Instant::now(),
            window: AtomicU64::new(0),
            before: AtomicU32::new(0),
            high: u32::try_from(high).unwrap_or(u32::MAX),
        }
    }

    fn number(&self, now: Instant) -> u64 {
        let windows = (now - self.start).as_micros() / WRITE_RATE_WINDOW.as_micros();
        u64::try_from(windows).unwrap_or(u64::MAX) & u64::from(u32::MAX)
    }

    fn count(&self, now: Instant) {
        let number = self.number(now);
        let window = self.window.load(Ordering::Relaxed);
        if window >> 32 == number {
            self.window.fetch_add(1, Ordering::Relaxed);
        } else {
            let follows = (window >> 32) + 1 == number;
            let before = if follows { window as u32 } else { 0 };
            self.before.store(before, Ordering::Relaxed);
            self.window.store((number << 32) | 1, Ordering::Relaxed);
        }
    }

    fn is_high(&self, now: Instant) -> bool {
        let (number, window) = (self.number(now), self.window.load(Ordering::Relaxed));
        let writes = match number - (window >> 32).min(number) {
            0 => (window as u32).max(self.before.load(Ordering::Relaxed)),
            1 => window as u32,
            _ => 0,
        };
        writes >= self.high
    }
}

/// The pauses of one client.
pub(crate) struct Pause {
    length: Duration,
    wrote: Instant,
    /// Events come faster than pauses pass, so that the end of the next pause is waited for and
    /// not the next event, which saves a wake-up.
    busy: bool,
}

impl Pause {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, wrote: Instant::now(), busy: false }
    }

    pub(crate) fn wrote(&mut self, rate: &WriteRate) {
        self.wrote = Instant::now();
        rate.count(self.wrote);
    }

    /// Until when to wait, if at all.
    fn end(&self, rate: &WriteRate) -> Option<Instant> {
        let (now, end) = (Instant::now(), self.wrote + self.length);
        (now < end && rate.is_high(now)).then_some(end)
    }

    /// Waits until something should be written, or the connection is to end. What is asked for is
    /// looked up each time, so that it does not matter what was announced meanwhile, and dropping
    /// the future loses nothing.
    pub(crate) async fn next_write(&mut self, queue: &ClientQueue, rate: &WriteRate) {
        loop {
            let demand = queue.demand();
            let end = match demand {
                Demand::Pressing => return,
                Demand::Some => self.end(rate),
                Demand::Nothing => self.end(rate).filter(|_| self.busy),
            };
            self.busy = end.is_some();
            match (demand, end) {
                (_, Some(end)) => tokio::select! {
                    () = queue.pressing() => {}
                    () = sleep_until(end) => {}
                },
                (Demand::Some, None) => return,
                _ => queue.changed().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_high_from_its_bound_on_and_until_a_window_passed_below() {
        let rate = WriteRate::new(1_000);
        let writes = |count| (0..count).for_each(|_| rate.count(Instant::now()));
        let is_high = || rate.is_high(Instant::now());
        assert!(!is_high());
        writes(9);
        assert!(!is_high());
        writes(1);
        assert!(is_high());
        tokio::time::advance(WRITE_RATE_WINDOW).await;
        assert!(is_high());
        writes(9);
        assert!(is_high());
        tokio::time::advance(WRITE_RATE_WINDOW).await;
        assert!(!is_high());
        writes(10);
        assert!(is_high());
        tokio::time::advance(2 * WRITE_RATE_WINDOW).await;
        assert!(!is_high());
        writes(1);
        assert!(!is_high());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_of_zero_is_always_reached() {
        assert!(WriteRate::new(0).is_high(Instant::now()));
    }
}
