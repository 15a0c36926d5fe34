//! Latencies in buckets that are at most 3 % wide.

/// Buckets per power of two.
const STEPS: u64 = 32;

#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; bucket(u64::MAX) + 1], max: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, value: u64) {
        self.buckets[bucket(value)] += 1;
        self.max = self.max.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.max = self.max.max(other.max);
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that this share of all values does not exceed; 0 when there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let all: u64 = self.buckets.iter().sum();
        let mut left = (all as f64 * share).ceil() as u64;
        for (index, count) in self.buckets.iter().enumerate() {
            if *count >= left {
                return upper(index).min(self.max);
            }
            left -= count;
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    let power = u64::from(value.max(STEPS).ilog2() - STEPS.ilog2());
    usize::try_from(power * STEPS + (value >> power)).expect("a small index")
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    ((index - power * STEPS + 1) << power).wrapping_sub(1)
}
