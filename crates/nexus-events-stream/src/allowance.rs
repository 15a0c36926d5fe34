//! How often something may happen: some at once, then so many per second.

use std::time::Duration;

use tokio::time::Instant;

pub(crate) struct Allowance {
    left: f64,
    most: f64,
    per_second: f64,
    since: Instant,
}

impl Allowance {
    /// So many at once, and as many again in that time.
    pub(crate) fn new(at_once: u32, count: u32, every: Duration) -> Self {
        let most = f64::from(at_once);
        let per_second = f64::from(count) / every.as_secs_f64();
        Self { left: most, most, per_second, since: Instant::now() }
    }

    /// Uses up one; `false` when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let grown = now.saturating_duration_since(self.since).as_secs_f64() * self.per_second;
        self.since = now;
        self.left = (self.left + grown).min(self.most);
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let second = Duration::from_secs(1);
        let mut allowance = Allowance::new(3, 2, second);
        let start = Instant::now();
        let taken = |allowance: &mut Allowance, now| (0..9).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, start), 3);
        assert_eq!(taken(&mut allowance, start + second / 4), 0);
        assert_eq!(taken(&mut allowance, start + second), 2);
        assert_eq!(taken(&mut allowance, start + second * 100), 3);
    }
}
