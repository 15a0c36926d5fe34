//! Whether a client is still there: a ping now and then, and an answer in time.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::PING_JITTER_PERCENT;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Ping,
    Alive,
    Dead,
}

pub(crate) struct Heartbeat {
    timer: Pin<Box<Sleep>>,
    every: Duration,
    pong: Duration,
    /// When the ping was sent that is not known to be answered.
    asked: Option<Instant>,
    heard: Instant,
    random: u64,
}

impl Heartbeat {
    pub(crate) fn new(every: Duration, pong: Duration, seed: u64) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now));
        let mut beat = Self { timer, every, pong, asked: None, heard: now, random: seed | 1 };
        beat.wait_for_next(now);
        beat
    }

    /// Anything from the client is a sign of life.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Waits until something is due. Dropping the future loses nothing.
    pub(crate) async fn beat(&mut self) -> Beat {
        self.timer.as_mut().await;
        let now = self.timer.deadline();
        match self.asked.take() {
            None => {
                self.asked = Some(Instant::now());
                self.timer.as_mut().reset(Instant::now() + self.pong);
                Beat::Ping
            }
            Some(asked) if self.heard >= asked => {
                self.wait_for_next(now - self.pong);
                Beat::Alive
            }
            Some(_) => Beat::Dead,
        }
    }

    fn wait_for_next(&mut self, since: Instant) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let unit = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        let jitter = f64::from(PING_JITTER_PERCENT) / 100.0 * (2.0 * unit - 1.0);
        self.timer.as_mut().reset(since + self.every.mul_f64(1.0 + jitter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(25);
    const PONG: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_after_a_ping_is_death() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(EVERY, PONG, 7);
        assert_eq!(heartbeat.beat().await, Beat::Ping);
        let pinged = start.elapsed();
        assert!((EVERY * 9 / 10..=EVERY * 11 / 10).contains(&pinged), "{pinged:?}");
        assert_eq!(heartbeat.beat().await, Beat::Dead);
        assert!(start.elapsed() - pinged >= PONG);
    }

    #[tokio::test(start_paused = true)]
    async fn any_sign_after_a_ping_is_life() {
        let mut heartbeat = Heartbeat::new(EVERY, PONG, 7);
        for _ in 0..3 {
            assert_eq!(heartbeat.beat().await, Beat::Ping);
            heartbeat.heard(Instant::now());
            assert_eq!(heartbeat.beat().await, Beat::Alive);
        }
        assert_eq!(heartbeat.beat().await, Beat::Ping);
        assert_eq!(heartbeat.beat().await, Beat::Dead);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_came_together_are_pinged_apart() {
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            Heartbeat::new(EVERY, PONG, uuid::Uuid::new_v4().as_u64_pair().1).beat().await;
            times.push(start.elapsed().as_millis());
        }
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 10, "{times:?}");
        assert!(times[0] >= 22_500 && times[times.len() - 1] <= 27_501, "{times:?}");
    }
}
