//! Latencies, in steps of 10 µs.

use std::time::Duration;

const STEP_US: u64 = 10;
/// 20 seconds; what took longer counts as that.
const STEPS: usize = 2_000_000;

pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS], total: 0, max_us: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, us: u64) {
        let step = (us / STEP_US) as usize;
        self.counts[step.min(STEPS - 1)] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// The latency that this share of all did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        Duration::from_micros((step.unwrap_or(0) as u64 + 1) * STEP_US)
    }
}
