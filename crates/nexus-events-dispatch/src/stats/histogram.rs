//! How long things take: counts in buckets that lie ever further apart, so that a microsecond and
//! ten seconds are told equally well by a fixed number of them.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::sync::{AtomicU64, OnceLock, Ordering};

/// Bounds of the buckets within ten times the first, in hundredths of it. None is more than 25 %
/// above the one before.
const STEPS: [u64; 13] = [100, 125, 150, 175, 200, 250, 300, 350, 400, 500, 600, 750, 900];

/// From 1 us to 10 s.
const DECADES: usize = 7;

const BOUNDS_LEN: usize = STEPS.len() * DECADES + 1;

/// Upper bounds, in nanoseconds; one more bucket is above the last.
const BOUNDS: [u64; BOUNDS_LEN] = bounds();

/// The bounds that [`Latency::up_to`] tells, 22 of them: 1, 2.5 and 5 of each decade.
const TOLD: [usize; 3] = [0, 5, 9];

const fn bounds() -> [u64; BOUNDS_LEN] {
    let mut bounds = [0; BOUNDS_LEN];
    let (mut at, mut hundredth) = (0, 10);
    while at < BOUNDS_LEN {
        bounds[at] = STEPS[at % STEPS.len()] * hundredth;
        at += 1;
        if at % STEPS.len() == 0 {
            hundredth *= 10;
        }
    }
    bounds
}

struct Buckets {
    counts: [AtomicU64; BOUNDS_LEN + 1],
    /// Nanoseconds.
    total: AtomicU64,
    max: AtomicU64,
}

#[cfg(not(any(nexus_shuttle, nexus_loom)))]
const _: () = assert!(size_of::<Buckets>() == 760);

/// How long something took, each time that it was timed. Nobody waits for anybody; the buckets
/// are made when something is timed for the first time.
#[derive(Default)]
pub(super) struct Histogram(OnceLock<Box<Buckets>>);

impl Histogram {
    pub(super) fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let buckets = self.0.get_or_init(|| {
            let counts = std::array::from_fn(|_| AtomicU64::new(0));
            Box::new(Buckets { counts, total: AtomicU64::new(0), max: AtomicU64::new(0) })
        });
        // A short inline handler needs no search.
        let is_short = nanos <= BOUNDS[0];
        let bucket = if is_short { 0 } else { BOUNDS.partition_point(|bound| *bound < nanos) };
        buckets.counts[bucket].fetch_add(1, Ordering::Relaxed);
        buckets.total.fetch_add(nanos, Ordering::Relaxed);
        // Mostly it is no new record, and then nothing is written.
        if nanos > buckets.max.load(Ordering::Relaxed) {
            buckets.max.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    pub(super) fn latency(&self) -> Latency {
        let Some(buckets) = self.0.get() else { return Latency::default() };
        let counts = buckets.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let max = buckets.max.load(Ordering::Relaxed);
        let count = counts.iter().sum();
        let quantile = |hundredths| Duration::from_nanos(quantile(&counts, hundredths, max));
        Latency {
            count,
            total: Duration::from_nanos(buckets.total.load(Ordering::Relaxed)),
            p50: quantile(50),
            p90: quantile(90),
            p99: quantile(99),
            max: Duration::from_nanos(max),
            up_to: told(&counts),
        }
    }
}

/// The bound of the bucket in which so many hundredths are reached.
fn quantile(counts: &[u64], hundredths: u64, max: u64) -> u64 {
    let all: u64 = counts.iter().sum();
    let rank = u64::try_from((u128::from(all) * u128::from(hundredths)).div_ceil(100));
    let rank = rank.unwrap_or(u64::MAX);
    let mut reached = 0;
    let bucket = counts.iter().position(|count| {
        reached += count;
        reached >= rank
    });
    bucket.and_then(|bucket| BOUNDS.get(bucket)).map_or(max, |bound| max.min(*bound))
}

/// How many lie up to each bound that is told.
fn told(counts: &[u64]) -> Vec<u64> {
    let mut reached = 0;
    let cumulated = counts.iter().take(BOUNDS_LEN).enumerate().filter_map(|(at, count)| {
        reached += count;
        is_told(at).then_some(reached)
    });
    cumulated.collect()
}

fn is_told(bound: usize) -> bool {
    TOLD.contains(&(bound % STEPS.len()))
}

/// How long something took, those times that it was timed.
///
/// The percentiles are bounds of buckets: at most 25 % too high above a microsecond, never above
/// `max`. As JSON they are in microseconds, rounded down.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// let bus = Bus::new();
/// bus.on("order.*", |_: &Event| {})?;
/// bus.try_publish(Event::builder("order.created"))?;
/// let latency = bus.stats().handlers[0].duration.clone();
/// assert_eq!(latency.count, 1);
/// assert!(latency.p50 <= latency.p99 && latency.p99 <= latency.max);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Latency {
    /// How often it was timed.
    pub count: u64,
    /// How long it took those times together.
    pub total: Duration,
    /// Half of the times it took no longer.
    pub p50: Duration,
    /// 90 % of the times it took no longer.
    pub p90: Duration,
    /// 99 % of the times it took no longer.
    pub p99: Duration,
    /// The longest it took.
    pub max: Duration,
    /// Cumulated, for each bound that is told; empty before the first.
    up_to: Vec<u64>,
}

impl Latency {
    /// How long it takes on average; zero before it was timed.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos().checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many times it took no longer than 1 us, 2.5 us, 5 us, 10 us, and so on up to 10 s; 22
    /// bounds with their counts, ascending.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// bus.try_publish(Event::builder("order.created"))?;
    /// let (bound, count) = bus.stats().publish.up_to().last().unwrap();
    /// assert_eq!((bound.as_secs(), count), (10, 1));
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = BOUNDS.iter().enumerate().filter(|(at, _)| is_told(*at));
        bounds.enumerate().map(|(at, (_, bound))| {
            (Duration::from_nanos(*bound), self.up_to.get(at).copied().unwrap_or(0))
        })
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Latency", 5)?;
        fields.serialize_field("p50", &micros(self.p50))?;
        fields.serialize_field("p90", &micros(self.p90))?;
        fields.serialize_field("p99", &micros(self.p99))?;
        fields.serialize_field("max", &micros(self.max))?;
        fields.serialize_field("mean", &micros(self.mean()))?;
        fields.end()
    }
}

/// Microseconds, as JSON has them.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[test]
    fn bounds_ascend_by_a_quarter_at_most_from_a_microsecond_to_ten_seconds() {
        assert_eq!((BOUNDS[0], BOUNDS[BOUNDS_LEN - 1]), (1_000, 10_000_000_000));
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1] && pair[1] * 4 <= pair[0] * 5));
        let told: Vec<u64> =
            (0..BOUNDS_LEN).filter(|at| is_told(*at)).map(|at| BOUNDS[at]).collect();
        assert_eq!(told.len(), 22);
        assert_eq!(told[..4], [1_000, 2_500, 5_000, 10_000]);
        // What the conventions for such metrics advise, where it is one of ours.
        for millis in [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] {
            assert!(told.contains(&(millis * 1_000_000)), "{millis}");
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let histogram = Histogram::default();
        histogram.record(nanos(2_500));
        histogram.record(nanos(2_501));
        let counts: Vec<u64> = histogram.latency().up_to().map(|(_, count)| count).collect();
        assert_eq!(counts[..4], [0, 1, 2, 2]);
    }

    #[test]
    fn percentiles_are_a_quarter_too_high_at_most() {
        let histogram = Histogram::default();
        (1..=10_000).for_each(|micros| histogram.record(nanos(micros * 1_000)));
        let latency = histogram.latency();
        for (said, exact) in [(latency.p50, 5_000), (latency.p90, 9_000), (latency.p99, 9_900)] {
            let said = said.as_micros();
            assert!(said >= exact && said * 4 <= exact * 5, "{said} for {exact}");
        }
        assert_eq!((latency.count, latency.max), (10_000, nanos(10_000_000)));
        assert_eq!(latency.mean(), nanos(5_000_500));
    }

    #[test]
    fn extremes_are_counted_and_none_is_above_the_longest() {
        let histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        let latency = histogram.latency();
        assert_eq!((latency.p99, latency.max, latency.count), (Duration::ZERO, Duration::ZERO, 1));
        histogram.record(Duration::from_secs(3_600));
        let latency = histogram.latency();
        assert_eq!((latency.p50, latency.p99), (nanos(1_000), Duration::from_secs(3_600)));
        assert_eq!(latency.up_to().last(), Some((Duration::from_secs(10), 1)));
        histogram.record(Duration::MAX);
        assert_eq!(histogram.latency().count, 3);
    }

    #[test]
    fn nothing_is_kept_for_what_was_never_timed() {
        let histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        assert!(histogram.0.get().is_none());
        assert_eq!(
            (histogram.latency().mean(), histogram.latency().up_to().count()),
            (Duration::ZERO, 22)
        );
    }

    #[test]
    fn threads_lose_no_count() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let histogram = &histogram;
                scope.spawn(move || {
                    (0..5_000).for_each(|number| histogram.record(nanos(thread * number)));
                });
            }
        });
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.max), (20_000, nanos(4 * 4_999)));
        assert_eq!(latency.total, nanos((1 + 2 + 3 + 4) * 4_999 * 5_000 / 2));
    }
}
