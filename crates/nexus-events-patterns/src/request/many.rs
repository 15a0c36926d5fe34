//! Requests for more than one answer.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::ask::{Asked, Begun, decode};
use super::exchange::{Found, Wanted};
use super::slot::Pending;
use crate::error::{Error, Result};
use crate::limits::{REPLIES_TAKEN_MAX, REQUEST_TIMEOUT_MAX};

/// A request for all answers, made by [`Requests::request_many`](crate::Requests::request_many).
///
/// It ends when everybody who could answer has gone, after as many answers as were
/// [taken](Self::take), when none has come for [a while](Self::idle), and at its
/// [deadline](Self::deadline).
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{Reject, Requests};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.respond("offer.asked", || Ok::<_, Reject>(12_u64))?;
/// bus.respond("offer.asked", || Ok::<_, Reject>(11_u64))?;
/// bus.respond("offer.asked", || Err::<u64, _>(Reject::new(1, "sold out")))?;
/// let offers = bus.request_many::<u64>(Event::builder("offer.asked")).collect().await?;
/// assert_eq!(offers.iter().flatten().collect::<Vec<_>>(), [&12, &11]);
/// assert!(offers[2].is_err());
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[must_use = "a request is made when it is sent"]
pub struct RequestMany<T> {
    asked: Asked,
    take: usize,
    idle: Option<Duration>,
    answer: PhantomData<fn() -> T>,
}

impl<T> RequestMany<T> {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked, take: REPLIES_TAKEN_MAX, idle: None, answer: PhantomData }
    }

    /// The most answers that are taken: 65,536 unless it is said, which is also the bound.
    pub fn take(mut self, answers: usize) -> Self {
        self.take = answers;
        self
    }

    /// Ends when no answer has come for so long, since the request or the last one. Without it
    /// only the deadline ends a wait.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Ends so long after the request: 30 seconds unless it is said, a day at most. Inside a
    /// responder it ends with the time of the request that is answered, if that is sooner.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.asked.timeout = deadline;
        self
    }

    /// As [`Request::accept`](crate::Request::accept).
    pub fn accept<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.asked = self.asked.accept(names);
        self
    }

    /// Asks; gives back where the answers are taken from.
    ///
    /// # Errors
    /// As [`Request`](crate::Request); [`ErrorKind::NoResponders`](crate::ErrorKind::NoResponders)
    /// when nobody was there to ask, [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) when the
    /// deadline came before the event was in.
    pub async fn send(self) -> Result<Replies<T>> {
        if !(1..=REPLIES_TAKEN_MAX).contains(&self.take) {
            let message = format!("take is 1 to {REPLIES_TAKEN_MAX}, not {}", self.take);
            return Err(Error::invalid_option(message));
        }
        if self.idle.is_some_and(|idle| idle.is_zero() || idle > REQUEST_TIMEOUT_MAX) {
            let most = REQUEST_TIMEOUT_MAX.as_secs();
            let message = format!("idle is more than nothing and at most {most} s");
            return Err(Error::invalid_option(message));
        }
        let begun = Begun::new(self.asked)?;
        let mut pending = begun.pending(Wanted::Many)?;
        let slot = pending.slot.clone();
        let published = begun.in_time(std::pin::pin!(begun.publish(&slot))).await;
        let refused = match published {
            Some(Ok(_)) if slot.has_no_responders() => Some(Some(Ok(Found::NoResponders))),
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(Some(Err(error))),
            None => Some(None),
        };
        if let Some(found) = refused {
            pending.ended = true;
            let _never = begun.ended(found)?;
        }
        let (left, idle, last) = (self.take, self.idle, Instant::now());
        Ok(Replies { begun, pending, left, idle, last, answer: PhantomData })
    }

    /// Asks, and waits for all the answers, in the order they came.
    ///
    /// # Errors
    /// As [`send`](Self::send). A responder's no is one of the answers.
    pub async fn collect(self) -> Result<Vec<Result<T>>>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let mut replies = self.send().await?;
        let mut all = Vec::new();
        while let Some(reply) = replies.next().await {
            all.push(reply);
        }
        Ok(all)
    }
}

impl<T> fmt::Debug for RequestMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestMany")
            .field("asked", &self.asked)
            .field("take", &self.take)
            .field("idle", &self.idle)
            .finish()
    }
}

/// The answers to a request for many. When it is dropped the request is given up.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{ReplyTo, Requests};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.respond_with("count.asked", |reply_to: ReplyTo| {
///     for number in 1..=3_u64 {
///         let _ = reply_to.reply(number);
///     }
/// })?;
/// let mut counted = bus.request_many::<u64>(Event::builder("count.asked")).send().await?;
/// let mut sum = 0;
/// while let Some(number) = counted.next().await {
///     sum += number?;
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
pub struct Replies<T> {
    begun: Begun,
    pending: Pending,
    left: usize,
    idle: Option<Duration>,
    last: Instant,
    answer: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Replies<T> {
    /// The next answer; `None` when there are no more.
    ///
    /// # Cancel safety
    /// When the future is dropped no answer is lost.
    pub async fn next(&mut self) -> Option<Result<T>> {
        if self.left == 0 {
            self.pending.ended = true;
            return None;
        }
        let deadline = self.pending.slot.deadline;
        let until = self.idle.map_or(deadline, |idle| deadline.min(self.last + idle));
        let slot = self.pending.slot.clone();
        let found = timeout_at(until, poll_fn(|task| slot.poll(task)));
        match self.begun.wait_for(found).await {
            Ok(Found::Answer(answer)) => {
                (self.left, self.last) = (self.left - 1, Instant::now());
                if answer.is_err() {
                    self.begun.requests.counters.rejected.add(1);
                }
                self.pending.ended |= self.left == 0;
                Some(decode(answer))
            }
            _ => {
                (self.left, self.pending.ended) = (0, true);
                None
            }
        }
    }
}

impl<T> fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("left", &self.left).field("idle", &self.idle).finish()
    }
}
