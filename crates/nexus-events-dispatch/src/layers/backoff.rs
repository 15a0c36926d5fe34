//! How long to wait before the next attempt: exponential, with jitter, then capped.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::{RETRY_BASE_DEFAULT, RETRY_CAP_DEFAULT};
use crate::sync::{AtomicU64, Ordering};

/// How a delay varies, so that those who failed together do not come back together. It is applied
/// before the cap.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::layers::{Backoff, Jitter};
/// let backoff = Backoff::new().base(Duration::from_secs(1)).jitter(Jitter::Bounded(0.1));
/// let first = backoff.delays(7).next().unwrap();
/// assert!(first >= Duration::from_secs(1) && first <= Duration::from_millis(1_100));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// The delay itself.
    None,
    /// Anything from 0 to the delay.
    #[default]
    Full,
    /// The delay and up to this share of it on top: 0.1 is up to 10 % longer.
    Bounded(f64),
    /// Anything from the base to three times the delay before; the factor has no say.
    Decorrelated,
}

/// The delays between attempts: `base`, then each `factor` times as long as the one before, varied
/// by jitter, at most `cap`.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::layers::{Backoff, Jitter};
/// let backoff = Backoff::new().base(Duration::from_millis(10)).cap(Duration::from_millis(50)).jitter(Jitter::None);
/// let millis: Vec<u128> = backoff.delays(0).take(4).map(|delay| delay.as_millis()).collect();
/// assert_eq!(millis, [10, 20, 40, 50]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a back-off waits for nothing by itself"]
pub struct Backoff {
    base: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: RETRY_BASE_DEFAULT, factor: 2.0, cap: RETRY_CAP_DEFAULT, jitter: Jitter::Full }
    }
}

impl Backoff {
    /// 100 ms, twice as long each time, at most 30 s, with full jitter.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first delay. Default: 100 ms.
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// How many times as long each delay is as the one before, at least 1. Default: 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The longest delay. Default: 30 s.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How a delay varies. Default: full.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The delays of one event, without end; the same seed gives the same ones.
    #[must_use]
    pub fn delays(&self, seed: u64) -> Delays {
        Delays { backoff: *self, before: self.base, raw: self.base.as_secs_f64(), random: seed }
    }

    /// Whether its numbers make sense, for those who take one as an option.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for a factor below 1 and for a
    /// bounded jitter that is no share.
    pub fn check(&self) -> Result<()> {
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err(Error::invalid_option(format!(
                "a back-off's factor is 1 or more, not {}",
                self.factor
            )));
        }
        match self.jitter {
            Jitter::Bounded(share) if !(0.0..=1.0).contains(&share) => Err(Error::invalid_option(
                format!("a bounded jitter is a share from 0 to 1, not {share}"),
            )),
            _ => Ok(()),
        }
    }
}

/// The delays of one event, from [`Backoff::delays`].
///
/// ```
/// use nexus_events_dispatch::layers::Backoff;
/// assert!(Backoff::new().delays(7).take(5_000).all(|delay| delay.as_secs() <= 30));
/// ```
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    /// The delay before.
    before: Duration,
    /// The next delay without jitter and cap, in seconds.
    raw: f64,
    random: u64,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let raw = self.raw;
        // It may become infinite; what is too long for a `Duration` is the longest one.
        self.raw = raw * self.backoff.factor;
        let seconds = match self.backoff.jitter {
            Jitter::None => raw,
            Jitter::Full => raw * self.share(),
            Jitter::Bounded(most) => raw * (1.0 + most * self.share()),
            Jitter::Decorrelated => {
                let base = self.backoff.base.as_secs_f64();
                let most = (self.before.as_secs_f64() * 3.0).max(base);
                base + (most - base) * self.share()
            }
        };
        let delay = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.before = delay.min(self.backoff.cap);
        Some(self.before)
    }
}

impl Delays {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        const BITS: u32 = 53;
        self.random = self.random.wrapping_add(STEP);
        (mix(self.random) >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
    }
}

/// `SplitMix64`: all numbers in an order that looks random.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A seed for each event.
#[derive(Debug)]
pub(super) struct Seeds(AtomicU64);

impl Seeds {
    /// Seeded by the operating system, unless given.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        Self(AtomicU64::new(seed))
    }

    pub(super) fn next(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn backoff(jitter: Jitter) -> Backoff {
        Backoff::new().base(100 * MILLI).cap(Duration::from_secs(3_600)).jitter(jitter)
    }

    /// The n-th delay of 10,000 seeds.
    fn draws(backoff: Backoff, n: usize) -> impl Iterator<Item = Duration> {
        (0..10_000).map(move |seed| backoff.delays(seed).nth(n).unwrap())
    }

    #[track_caller]
    fn check_range(jitter: Jitter, n: usize, low: Duration, high: Duration) {
        let (min, max) = draws(backoff(jitter), n)
            .fold((Duration::MAX, Duration::ZERO), |(min, max), d| (min.min(d), max.max(d)));
        assert!(min >= low && max <= high, "{min:?} to {max:?}");
        let hundredth = (high - low) / 100;
        assert!(min <= low + hundredth && max >= high - hundredth, "{min:?} to {max:?}");
    }

    #[test]
    fn full_jitter_is_anything_up_to_the_delay() {
        check_range(Jitter::Full, 0, Duration::ZERO, 100 * MILLI);
        check_range(Jitter::Full, 3, Duration::ZERO, 800 * MILLI);
    }

    #[test]
    fn bounded_jitter_only_adds() {
        check_range(Jitter::Bounded(0.25), 0, 100 * MILLI, 125 * MILLI);
        check_range(Jitter::Bounded(0.25), 2, 400 * MILLI, 500 * MILLI);
    }

    #[test]
    fn decorrelated_jitter_depends_on_the_delay_before() {
        check_range(Jitter::Decorrelated, 0, 100 * MILLI, 300 * MILLI);
        for seed in 0..1_000 {
            let delays: Vec<Duration> =
                backoff(Jitter::Decorrelated).delays(seed).take(6).collect();
            for pair in delays.windows(2) {
                assert!(pair[1] >= 100 * MILLI && pair[1] <= pair[0] * 3 + MILLI, "{pair:?}");
            }
        }
    }

    #[test]
    fn jitter_comes_before_the_cap() {
        let capped = backoff(Jitter::Bounded(1.0)).cap(100 * MILLI);
        assert!(draws(capped, 0).all(|delay| delay == 100 * MILLI));
    }

    #[test]
    fn no_attempt_is_too_many_and_no_number_too_large() {
        for jitter in [Jitter::None, Jitter::Full, Jitter::Bounded(1.0), Jitter::Decorrelated] {
            let backoff = Backoff::new()
                .base(Duration::MAX)
                .factor(f64::MAX)
                .cap(Duration::MAX)
                .jitter(jitter);
            assert_eq!(backoff.delays(1).take(5_000).count(), 5_000);
            let capped = backoff.base(MILLI).cap(Duration::from_secs(1));
            assert!(capped.delays(1).take(5_000).all(|delay| delay <= Duration::from_secs(1)));
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let backoff = backoff(Jitter::Full);
        let take = |seed| backoff.delays(seed).take(9).collect::<Vec<_>>();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let seeds = |seed| Seeds::new(seed).next();
        assert_eq!(seeds(Some(1)), seeds(Some(1)));
        assert_ne!(seeds(None), seeds(None));
    }
}
