//! How often a step is tried, and how long it waits in between.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use nexus_events_dispatch::layers::{Backoff, Jitter};

use crate::error::{Error, Result};
use crate::limits::{
    SAGA_ATTEMPTS_MAX, SAGA_COMPENSATION_ATTEMPTS_DEFAULT, SAGA_STEP_ATTEMPTS_DEFAULT,
};

/// How often a step or a compensation is tried before it has failed for good, and how long apart.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::saga::StepRetry;
/// let patient = StepRetry::attempts(8).base(Duration::from_secs(1)).cap(Duration::from_secs(3_600));
/// let once = StepRetry::attempts(1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "it does nothing until a step is given it"]
pub struct StepRetry {
    attempts: u32,
    backoff: Backoff,
}

impl StepRetry {
    /// So many attempts, the first included, 1 to 1,000; 100 ms apart at first, twice as long each
    /// time, at most 30 s, with full jitter.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, backoff: Backoff::new() }
    }

    /// All attempts one directly after the other.
    pub fn immediate(attempts: u32) -> Self {
        Self::attempts(attempts).base(Duration::ZERO)
    }

    /// The first delay. Default: 100 ms.
    pub fn base(mut self, base: Duration) -> Self {
        self.backoff = self.backoff.base(base);
        self
    }

    /// How many times as long each delay is as the one before, at least 1. Default: 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.backoff = self.backoff.factor(factor);
        self
    }

    /// The longest delay. Default: 30 s. What an error asks for with
    /// [`StepError::retry_after`](super::StepError) may be longer.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.backoff = self.backoff.cap(cap);
        self
    }

    /// How a delay varies. Default: full.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.backoff = self.backoff.jitter(jitter);
        self
    }

    pub(super) fn of_steps() -> Self {
        Self::attempts(SAGA_STEP_ATTEMPTS_DEFAULT)
    }

    pub(super) fn of_compensations() -> Self {
        Self::attempts(SAGA_COMPENSATION_ATTEMPTS_DEFAULT)
    }

    /// Whether another attempt follows after so many.
    pub(super) fn has_left(&self, used: u32) -> bool {
        used < self.attempts
    }

    /// How long is waited after so many attempts; the same for the same step of the same saga.
    pub(super) fn delay(&self, used: u32, idempotency_key: &str) -> Duration {
        let mut seed = DefaultHasher::new();
        idempotency_key.hash(&mut seed);
        let before = used.saturating_sub(1) as usize;
        self.backoff.delays(seed.finish()).nth(before).unwrap_or_default()
    }

    pub(super) fn check(&self, what: &str) -> Result<()> {
        if !(1..=SAGA_ATTEMPTS_MAX).contains(&self.attempts) {
            return Err(Error::invalid_option(format!(
                "{what} takes 1 to {SAGA_ATTEMPTS_MAX} attempts, not {}",
                self.attempts
            )));
        }
        self.backoff.check().map_err(|error| Error::invalid_option(format!("{what}: {error}")))
    }
}
