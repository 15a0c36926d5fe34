//! Trying again: how often, when, and for which failures.

use std::fmt;
use std::time::Duration;

use nexus_events_model::{Event, OutcomeStatus, Status};
use time::OffsetDateTime;

use super::around::{Surround, around, call, finish, text_of};
use super::attempt::again;
use super::backoff::{Backoff, Delays, Jitter, Seeds};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{
    Attempt, BoxFuture, Called, Handler, HandlerError, HandlerResult, LastAttempt,
};
use crate::layer::{Layer, NewSubscription};
use crate::limits::{RETRY_ATTEMPTS_MAX, RETRY_BUDGET_DEFAULT};
use crate::sync::{Arc, Instant, timeout, timeout_at};

/// Calls a handler that failed again, after a [`Backoff`].
///
/// The first attempt happens where the handler runs, for an inline one on the publisher's stack;
/// further ones on a task (a blocking handler's on a thread), beside lower waves and later events.
/// The report comes after the last one. A failure is final when
///
/// - its status is permanent, or the event is not [`retryable`](Event::retryable);
/// - the handler panicked for the second time: a panic counts as temporary once;
/// - all attempts are used, or the next one would begin after the budget, or after the
///   [`deadline`](Context::deadline) of a layer outside;
/// - [`retry_if`](Self::retry_if) says so.
///
/// Nothing is waited for after the last attempt, and an unsubscribe ends a wait at once. The final
/// error is *exhausted*, unless it is permanent, and lists all attempts.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::Retry};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let calls = AtomicU32::new(0);
/// let third_time_lucky = move |_: &Event| match calls.fetch_add(1, Ordering::Relaxed) {
///     0 | 1 => Err("connection lost"),
///     _ => Ok(()),
/// };
/// bus.on("order.created", third_time_lucky.named("billing").layer(Retry::new()))?;
/// let report = bus.publish_and_wait(Event::builder("order.created")).await?;
/// assert!(report.is_success());
/// assert_eq!(report.outcome("billing").unwrap().attempt, 3);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct Retry {
    attempts: Option<u32>,
    backoff: Backoff,
    budget: Duration,
    retry_if: Option<RetryIf>,
    seeds: Arc<Seeds>,
}

/// Says whether a failure is worth another attempt.
#[derive(Clone)]
struct RetryIf(Arc<dyn Fn(&HandlerError) -> bool + Send + Sync>);

impl fmt::Debug for RetryIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetryIf")
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: None,
            backoff: Backoff::new(),
            budget: RETRY_BUDGET_DEFAULT,
            retry_if: None,
            seeds: Arc::new(Seeds::new(None)),
        }
    }
}

impl Retry {
    /// As often as the event says: [`max_retries`](Event::max_retries) and one, at most 20. With
    /// the default of 3 that is 4 attempts, 100 ms, 200 ms and 400 ms apart at most.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many attempts whatever the event says, the first included, 1 to 20.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
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
    /// [`HandlerError::retry_after`] may be longer.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.backoff = self.backoff.cap(cap);
        self
    }

    /// How a delay varies. Default: full.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.backoff = self.backoff.jitter(jitter);
        self
    }

    /// How long after the first attempt began the last one may begin. Default: 10 minutes.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Tries again only after failures for which this is true; asked about temporary failures that
    /// an attempt is left for.
    ///
    /// ```
    /// use nexus_events_dispatch::layers::Retry;
    /// let retry = Retry::new().retry_if(|error| error.to_string().contains("timed out"));
    /// ```
    pub fn retry_if(
        mut self,
        retry_if: impl Fn(&HandlerError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.retry_if = Some(RetryIf(Arc::new(retry_if)));
        self
    }

    /// Makes the jitter the same each time, for tests. Default: seeded by the operating system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seeds = Arc::new(Seeds::new(Some(seed)));
        self
    }

    fn attempts_for(&self, event: &Event) -> u32 {
        let of_event = || event.max_retries().saturating_add(1).min(RETRY_ATTEMPTS_MAX);
        if event.retryable() { self.attempts.unwrap_or_else(of_event) } else { 1 }
    }
}

impl Layer for Retry {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        if let Some(attempts) = self.attempts.filter(|n| !(1..=RETRY_ATTEMPTS_MAX).contains(n)) {
            return Err(Error::invalid_option(format!(
                "max_attempts is 1 to {RETRY_ATTEMPTS_MAX}, not {attempts}"
            )));
        }
        self.backoff.check()?;
        subscription.needs_runtime = true;
        Ok(())
    }

    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        around(handler, self.clone())
    }
}

impl Surround for Retry {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        let began = Began::now(context);
        let failed = move |error| Trying::new(self, inner, event, context, began).failed(error);
        match call(inner, event, context) {
            Called::Ready(result) => Called::Ready(result.map_err(failed)),
            Called::Pending(future) => {
                Called::Pending(Box::pin(async move { future.await.map_err(failed) }))
            }
        }
    }
}

/// When an attempt began.
#[derive(Clone, Copy)]
struct Began {
    instant: Instant,
    time: OffsetDateTime,
}

impl Began {
    fn now(context: &Context) -> Self {
        Self { instant: Instant::now(), time: context.bus().now() }
    }
}

/// What comes next.
enum Then {
    /// An attempt, after this long.
    After(Duration),
    /// The rest of an attempt, of a layer inside that tries again too.
    Rest(BoxFuture<'static, LastAttempt>),
}

/// One event that failed at first.
struct Trying {
    retry: Retry,
    inner: Arc<dyn Handler>,
    event: Event,
    /// Of the latest attempt.
    context: Context,
    started: Instant,
    began: Began,
    allowed: u32,
    failed: u32,
    delays: Delays,
    attempts: Vec<Attempt>,
    panicked: bool,
}

impl Trying {
    fn new(
        retry: &Retry,
        inner: &Arc<dyn Handler>,
        event: &Event,
        context: &Context,
        began: Began,
    ) -> Self {
        Self {
            retry: retry.clone(),
            inner: inner.clone(),
            event: event.clone(),
            // The worker of the first attempt must not be held while nothing runs.
            context: context.with_worker(None),
            started: began.instant,
            began,
            allowed: retry.attempts_for(event),
            // A durable handler's attempts before a restart count too.
            failed: context.attempts_before(),
            delays: retry.backoff.delays(retry.seeds.next()),
            attempts: Vec::new(),
            panicked: false,
        }
    }

    /// The first failure, with what comes after it.
    fn failed(mut self, mut error: HandlerError) -> HandlerError {
        if let Some(rest) = error.take_retries() {
            return error.with_retries(Box::pin(self.go_on(Then::Rest(rest))));
        }
        match self.next(error) {
            Ok((delay, error)) => error
                .with_attempts(self.attempts.clone())
                .with_retries(Box::pin(self.go_on(Then::After(delay)))),
            Err(last) => last,
        }
    }

    async fn go_on(mut self, mut next: Then) -> LastAttempt {
        loop {
            let result = match next {
                Then::After(delay) => {
                    if timeout(delay, self.context.ended()).await.is_ok() {
                        return self.ended();
                    }
                    match self.attempt().await {
                        Some(result) => result,
                        None => return self.ended(),
                    }
                }
                Then::Rest(rest) => self.rest(rest).await,
            };
            let error = match result {
                Ok(value) => return self.last(Ok(value)),
                Err(mut error) => match error.take_retries() {
                    Some(rest) => {
                        next = Then::Rest(rest);
                        continue;
                    }
                    None => error,
                },
            };
            match self.next(error) {
                Ok((delay, _)) => next = Then::After(delay),
                Err(last) => return self.last(Err(last)),
            }
        }
    }

    async fn attempt(&mut self) -> Option<HandlerResult> {
        self.began = Began::now(&self.context);
        let deadline = self.context.deadline;
        let attempt = again(&self.inner, &self.event, &mut self.context);
        match deadline {
            None => attempt.await,
            Some(deadline) => match timeout_at(deadline, attempt).await {
                Ok(result) => result,
                Err(_) => Some(Err(self.out_of_time(deadline))),
            },
        }
    }

    /// The rest of an attempt, which counts its own attempts on.
    async fn rest(&mut self, rest: BoxFuture<'static, LastAttempt>) -> HandlerResult {
        let last = finish(rest, self.context.attempt);
        let last = match self.context.deadline {
            None => last.await,
            Some(deadline) => match timeout_at(deadline, last).await {
                Ok(last) => last,
                Err(_) => return Err(self.out_of_time(deadline)),
            },
        };
        self.context.attempt = self.context.attempt.max(last.attempt);
        last.result
    }

    fn out_of_time(&self, deadline: Instant) -> HandlerError {
        let millis = deadline.duration_since(self.started).as_micros().div_ceil(1_000);
        HandlerError::timed_out(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    /// The delay before the next attempt and the failure, or the last failure.
    fn next(
        &mut self,
        error: HandlerError,
    ) -> std::result::Result<(Duration, HandlerError), HandlerError> {
        self.failed += 1;
        // A layer inside that tries again lists what it tried.
        match error.attempts() {
            [] => self.attempts.push(Attempt::new(self.began.time, text_of(&error))),
            attempts => self.attempts.extend_from_slice(attempts),
        }
        match self.delay_after(&error) {
            Ok(delay) => Ok((delay, error)),
            Err(status) => {
                Err(error.with_status(status).with_attempts(std::mem::take(&mut self.attempts)))
            }
        }
    }

    fn delay_after(&mut self, error: &HandlerError) -> std::result::Result<Duration, Status> {
        let panicked = error.outcome() == OutcomeStatus::Panicked;
        if error.status() == Status::Permanent
            || (panicked && std::mem::replace(&mut self.panicked, true))
        {
            return Err(Status::Permanent);
        }
        if self.failed >= self.allowed {
            return Err(Status::Exhausted);
        }
        if self.retry.retry_if.as_ref().is_some_and(|retry_if| !(retry_if.0)(error)) {
            return Err(Status::Permanent);
        }
        let delay = self.delays.next().unwrap_or_default();
        let delay = delay.max(error.retry_delay().unwrap_or_default());
        let now = Instant::now();
        let in_budget = (now - self.started).saturating_add(delay) <= self.retry.budget;
        let in_time = self
            .context
            .deadline
            .is_none_or(|deadline| delay < deadline.saturating_duration_since(now));
        if in_budget && in_time { Ok(delay) } else { Err(Status::Exhausted) }
    }

    fn last(&self, result: HandlerResult) -> LastAttempt {
        LastAttempt { attempt: self.context.attempt, result }
    }

    /// The handler has ended before the next attempt.
    fn ended(&mut self) -> LastAttempt {
        let before = self.attempts.last().map(|attempt| &*attempt.error).unwrap_or_default();
        let error =
            format!("the handler ended before attempt {}: {before}", self.context.attempt + 1);
        let attempts = std::mem::take(&mut self.attempts);
        self.last(Err(HandlerError::from(error).with_attempts(attempts)))
    }
}
