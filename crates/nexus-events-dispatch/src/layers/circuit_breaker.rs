//! A pause for what fails all the time.

use std::collections::VecDeque;
use std::time::Duration;

use nexus_events_model::{Event, OutcomeStatus, Status};

use super::around::{Surround, around, at_last, call};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{Called, Handler, HandlerError, HandlerResult};
use crate::layer::{Layer, NewSubscription};
use crate::limits::{CIRCUIT_FAILURES_DEFAULT, CIRCUIT_PAUSE_DEFAULT, CIRCUIT_WINDOW_CALLS_MAX};
use crate::sync::{Arc, Instant, Mutex};

/// Spares a handler that fails again and again, and what it calls: *closed* it lets all events
/// pass; after 5 failures in a row it is *open* and each event fails at once, temporarily, with
/// the rest of the pause as [`retry_delay`](HandlerError::retry_delay); after a pause of 30 s it
/// is *half open* and lets one event pass, whose success closes it and whose failure opens it
/// again.
///
/// What counts is the last result of an event when [`Retry`](super::Retry) is inside, and each
/// attempt when it is outside. A permanent error says something about the event, not about the
/// service behind the handler, so it counts as success. Clones are one breaker: give it to
/// the handlers that call one service.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::{CircuitBreaker, CircuitState}};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let breaker = CircuitBreaker::new().failures(2);
/// let fails = |_: &Event| Err::<(), _>("service away");
/// bus.on("a", fails.named("caller").layer(breaker.clone()))?;
/// for _ in 0..3 {
///     bus.publish(Event::builder("a")).await?;
/// }
/// let stats = breaker.stats();
/// assert_eq!((stats.state, stats.refused), (CircuitState::Open, 1));
/// tokio::time::advance(std::time::Duration::from_secs(30)).await;
/// assert_eq!(breaker.stats().state, CircuitState::HalfOpen);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct CircuitBreaker {
    failures: u32,
    rate: Option<Rate>,
    pause: Duration,
    circuit: Arc<Mutex<Circuit>>,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    share: f64,
    calls: usize,
}

impl Rate {
    fn is_valid(share: f64, calls: usize) -> bool {
        share > 0.0 && share <= 1.0 && (1..=CIRCUIT_WINDOW_CALLS_MAX).contains(&calls)
    }
}

/// What a [`CircuitBreaker`] lets pass.
///
/// ```
/// use nexus_events_dispatch::layers::{CircuitBreaker, CircuitState};
/// assert_eq!(CircuitBreaker::new().stats().state, CircuitState::Closed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One event.
    HalfOpen,
}

/// What a [`CircuitBreaker`] and its clones did.
///
/// ```
/// use nexus_events_dispatch::layers::CircuitBreaker;
/// assert_eq!(CircuitBreaker::new().stats().opened, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitStats {
    /// Its state now.
    pub state: CircuitState,
    /// Failures in a row until now.
    pub failures: u32,
    /// How often it opened.
    pub opened: u64,
    /// How often an event was let through to see whether it succeeds.
    pub probed: u64,
    /// How often it closed again.
    pub closed: u64,
    /// Events that failed at once because it was open.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Circuit {
    now: Now,
    /// Changes with the state, so that a call that began before says nothing any more.
    generation: u64,
    failures: u32,
    /// The last results, true for a failure, and how many of them are.
    results: VecDeque<bool>,
    failed: usize,
    opened: u64,
    probed: u64,
    closed: u64,
    refused: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum Now {
    #[default]
    Closed,
    /// Until then; for ever when there is no such time.
    Open(Option<Instant>),
    Probing,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            failures: CIRCUIT_FAILURES_DEFAULT,
            rate: None,
            pause: CIRCUIT_PAUSE_DEFAULT,
            circuit: Arc::default(),
        }
    }
}

impl CircuitBreaker {
    /// Closed; opens after 5 failures in a row, for 30 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many failures in a row open it, at least 1. Default: 5.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Opens it too when this share of the last so many calls failed: more than 0, at most 1, of 1
    /// to 10,000 calls. Default: it does not.
    ///
    /// ```
    /// use nexus_events_dispatch::layers::CircuitBreaker;
    /// let half_of_the_last_20 = CircuitBreaker::new().failure_rate(0.5, 20);
    /// ```
    pub fn failure_rate(mut self, share: f64, calls: usize) -> Self {
        self.rate = Some(Rate { share, calls });
        self
    }

    /// How long it stays open before it lets one event pass. Default: 30 s.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Its state, and how often that changed.
    #[must_use]
    pub fn stats(&self) -> CircuitStats {
        let circuit = self.circuit.lock();
        let state = match circuit.now {
            Now::Closed => CircuitState::Closed,
            Now::Open(until) if until.is_none_or(|until| Instant::now() < until) => {
                CircuitState::Open
            }
            Now::Open(_) | Now::Probing => CircuitState::HalfOpen,
        };
        let Circuit { failures, opened, probed, closed, refused, .. } = *circuit;
        CircuitStats { state, failures, opened, probed, closed, refused }
    }

    /// Permission for a call, or how long there is none.
    fn enter(&self) -> std::result::Result<Pass, Duration> {
        let mut circuit = self.circuit.lock();
        match circuit.now {
            Now::Closed => {}
            Now::Probing => return Err(circuit.refuse(self.pause)),
            Now::Open(until) => {
                let rest = until
                    .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
                if !rest.is_zero() {
                    return Err(circuit.refuse(rest));
                }
                circuit.turn(Now::Probing);
                circuit.probed += 1;
            }
        }
        Ok(Pass { breaker: self.clone(), generation: circuit.generation, told: false })
    }

    fn tell(&self, generation: u64, failed: bool) {
        let mut circuit = self.circuit.lock();
        if circuit.generation != generation {
            return;
        }
        circuit.note(failed, self.rate);
        match circuit.now {
            Now::Probing if !failed => {
                circuit.turn(Now::Closed);
                circuit.forget();
                circuit.closed += 1;
            }
            Now::Probing => self.open(&mut circuit, self.pause),
            Now::Closed if failed && self.is_too_much(&circuit) => {
                self.open(&mut circuit, self.pause);
            }
            Now::Closed | Now::Open(_) => {}
        }
    }

    fn open(&self, circuit: &mut Circuit, pause: Duration) {
        circuit.turn(Now::Open(Instant::now().checked_add(pause)));
        circuit.opened += 1;
    }

    fn is_too_much(&self, circuit: &Circuit) -> bool {
        let rate = self.rate.is_some_and(|Rate { share, calls }| {
            circuit.results.len() >= calls && circuit.failed as f64 >= share * calls as f64
        });
        rate || circuit.failures >= self.failures
    }
}

impl Circuit {
    fn turn(&mut self, now: Now) {
        self.now = now;
        self.generation += 1;
    }

    fn refuse(&mut self, rest: Duration) -> Duration {
        self.refused += 1;
        rest
    }

    fn note(&mut self, failed: bool, rate: Option<Rate>) {
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        let Some(Rate { calls, .. }) = rate else { return };
        self.results.push_back(failed);
        self.failed += usize::from(failed);
        if self.results.len() > calls && self.results.pop_front() == Some(true) {
            self.failed -= 1;
        }
    }

    fn forget(&mut self) {
        self.results.clear();
        (self.failures, self.failed) = (0, 0);
    }
}

/// A call that was let through.
struct Pass {
    breaker: CircuitBreaker,
    generation: u64,
    told: bool,
}

impl Pass {
    fn tell(mut self, result: &HandlerResult) {
        self.told = true;
        let failed = result.as_ref().is_err_and(|error| {
            error.status() != Status::Permanent || error.outcome() != OutcomeStatus::Error
        });
        self.breaker.tell(self.generation, failed);
    }
}

impl Drop for Pass {
    /// A call that was dropped half way says nothing, so the next one may be the probe.
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let mut circuit = self.breaker.circuit.lock();
        if circuit.generation == self.generation && matches!(circuit.now, Now::Probing) {
            circuit.turn(Now::Open(Some(Instant::now())));
        }
    }
}

impl Layer for CircuitBreaker {
    fn subscribe(&self, _: &mut NewSubscription) -> Result<()> {
        if self.failures == 0 {
            return Err(Error::invalid_option("a circuit breaker opens after 1 failure or more"));
        }
        match self.rate {
            Some(Rate { share, calls }) if !Rate::is_valid(share, calls) => {
                Err(Error::invalid_option(format!(
                    "a failure rate is a share above 0 and up to 1, of 1 to {CIRCUIT_WINDOW_CALLS_MAX} calls, not {share} of {calls}"
                )))
            }
            _ => Ok(()),
        }
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        around(handler, self.clone())
    }
}

impl Surround for CircuitBreaker {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        match self.enter() {
            Ok(pass) => at_last(call(inner, event, context), |result| pass.tell(result)),
            Err(rest) => {
                let error = HandlerError::from("the circuit breaker is open");
                Called::Ready(Err(error.retry_after(rest)))
            }
        }
    }
}
