//! Events on their way to somebody who takes them in batches.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{BoxFuture, ErrorKind as BusErrorKind, HandlerError, Status};
use nexus_events_model::Event;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::contain::contain;
use super::line::{Line, Waiting};
use super::options::{BatcherBuilder, WhenFull};
use super::receipt::{BatchReceipt, Unsent};
use crate::error::{Error, ErrorKind, Result};

pub(super) type Sends =
    Box<dyn Fn(Vec<Event>) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;

/// Collects events and sends them on in batches: when enough are there, by number or bytes, or when
/// one has waited long enough. Clones are the same batcher.
///
/// One batch is sent at a time, in the order in which events came. They leave the batcher only when
/// their batch has succeeded: one that fails stays in front of what comes later, and is sent again
/// after a [`Backoff`](nexus_events_dispatch::layers::Backoff). How many may be there is bounded, and
/// what gives way then is [said](BatcherBuilder::when_full).
///
/// It needs a tokio runtime with a timer. Without a [`close`](Self::close) it goes on until all is
/// sent.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_patterns::Batcher;
/// use serde_json::json;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let to = bus.clone();
/// let batcher = Batcher::to(move |events: Vec<Event>| {
///     let batch = Event::builder("analytics.batch").payload(json!({"count": events.len()}));
///     let to = to.clone();
///     async move { Ok(to.publish(batch).await.map(drop)?) }
/// })
/// .size(50)
/// .interval(Duration::from_secs(30))
/// .build()?;
///
/// let receipt = batcher.push(bus.stamp(Event::builder("analytics.click"))?).await?;
/// receipt.await?; // after 30 seconds, because it is alone
/// assert_eq!(batcher.stats().batches, 1);
/// assert!(batcher.close(Duration::from_secs(5)).await.events.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Batcher(pub(super) Arc<Shared>);

/// What a batcher has done, from [`Batcher::stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct BatcherStats {
    /// Events that are there.
    pub waiting: usize,
    /// Bytes of them.
    pub waiting_bytes: usize,
    /// Batches that were sent.
    pub batches: u64,
    /// Events that were sent.
    pub sent: u64,
    /// Times that a batch could not be sent.
    pub failed_attempts: u64,
    /// Events whose batch was given up; their receipts say why.
    pub given_up: u64,
    /// Events that were refused because it was full.
    pub rejected: u64,
    /// Events that were dropped to make room.
    pub dropped: u64,
}

pub(super) struct Shared {
    options: BatcherBuilder,
    state: Mutex<State>,
    /// Told when there is more to do, or to do it sooner.
    work: Notify,
    /// Told when there is less.
    room: Notify,
    /// The place at the head of those who wait for room.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    line: Line,
    /// How many are to be sent without waiting for more.
    hurry: usize,
    running: bool,
    closed: bool,
    /// Nothing more is sent.
    stopped: bool,
    counts: BatcherStats,
}

/// What came of an event.
enum Pushed {
    In(BatchReceipt),
    Full,
}

impl Batcher {
    /// Brings an event. Where the batcher is full, what happens is what was
    /// [said](BatcherBuilder::when_full). When the future is dropped before it is ready, the event
    /// is not in.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] where it is refused, [`ErrorKind::Unsent`] after
    /// [`close`](Self::close), [`ErrorKind::Bus`] outside of a runtime.
    pub async fn push(&self, event: Event) -> Result<BatchReceipt> {
        let shared = &self.0;
        if shared.options.when_full != WhenFull::Block {
            return self.try_push(event);
        }
        if shared.turn.try_lock().is_ok()
            && let Pushed::In(receipt) = self.put(&event)?
        {
            return Ok(receipt);
        }
        let _turn = shared.turn.lock().await;
        loop {
            let mut room = pin!(shared.room.notified());
            room.as_mut().enable();
            if let Pushed::In(receipt) = self.put(&event)? {
                return Ok(receipt);
            }
            room.await;
        }
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`push`](Self::push); [`ErrorKind::Full`] also where `push` would wait.
    pub fn try_push(&self, event: Event) -> Result<BatchReceipt> {
        match self.put(&event)? {
            Pushed::In(receipt) => Ok(receipt),
            Pushed::Full => {
                self.0.state.lock().counts.rejected += 1;
                let message = "the batcher is full; wait with `push`, give it more room, or look why nothing is sent";
                Err(Error::new(ErrorKind::Full, message))
            }
        }
    }

    fn put(&self, event: &Event) -> Result<Pushed> {
        let (shared, options) = (&self.0, &self.0.options);
        let bytes = event.size();
        let room = (options.room_events, options.room_bytes);
        let mut dropped = Vec::new();
        let mut state = shared.state.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Unsent, "the batcher is closed; build a new one"));
        }
        // Nothing is in that nobody sends.
        let runtime = if state.running { None } else { Some(runtime()?) };
        while !state.line.has_room(bytes, room) {
            let oldest = match options.when_full {
                WhenFull::DropOldest => state.line.drop_oldest(),
                WhenFull::Block | WhenFull::Reject => None,
            };
            match oldest {
                Some(oldest) => dropped.push(oldest),
                None => break,
            }
        }
        state.counts.dropped += dropped.len() as u64;
        let fits = state.line.has_room(bytes, room);
        let (done, receipt) = oneshot::channel();
        if fits {
            let came = Instant::now();
            state.line.push(Waiting { event: event.clone(), bytes, came, done });
        }
        let is_due = shared.is_full_batch(&state.line);
        let is_first = state.line.len() == 1;
        let starts = runtime.filter(|_| !state.line.is_empty());
        state.running |= starts.is_some();
        drop(state);
        if let Some(runtime) = starts {
            runtime.spawn(shared.clone().run());
        } else if is_due || is_first {
            shared.work.notify_one();
        }
        for oldest in dropped {
            let message = "it was dropped to make room for a newer event";
            let _ = oldest.done.send(Err(Error::new(ErrorKind::Unsent, message)));
        }
        Ok(if fits { Pushed::In(BatchReceipt(receipt)) } else { Pushed::Full })
    }

    /// Sends what is there without waiting for more, and returns when it is sent or given up.
    pub async fn flush(&self) {
        {
            let mut state = self.0.state.lock();
            state.hurry = state.line.len();
        }
        self.0.work.notify_one();
        self.0.until(|state| state.hurry == 0 || state.stopped).await;
    }

    /// Takes nothing more, sends what is there, and gives back what could not be sent before the
    /// deadline. A second call gives back nothing.
    pub async fn close(&self, deadline: Duration) -> Unsent {
        self.0.state.lock().closed = true;
        self.0.work.notify_one();
        self.0.room.notify_waiters();
        // What is left is given back.
        let _ = timeout(deadline, self.0.until(|state| state.line.is_empty())).await;
        let (unknown, left) = {
            let mut state = self.0.state.lock();
            state.stopped = true;
            (state.line.in_hand(), state.line.take_all())
        };
        self.0.work.notify_one();
        self.0.room.notify_waiters();
        Unsent { events: left.into_iter().map(|it| it.event).collect(), unknown }
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> BatcherStats {
        let state = self.0.state.lock();
        let (waiting, waiting_bytes) = (state.line.len(), state.line.bytes());
        BatcherStats { waiting, waiting_bytes, ..state.counts }
    }
}

impl Shared {
    pub(super) fn new(options: BatcherBuilder) -> Self {
        Self {
            options,
            state: Mutex::default(),
            work: Notify::new(),
            room: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn is_full_batch(&self, line: &Line) -> bool {
        line.len() >= self.options.size || line.bytes() >= self.options.bytes
    }

    /// Waits for something that comes true when something is sent.
    async fn until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            if done(&self.state.lock()) {
                return;
            }
            room.await;
        }
    }

    /// Sends batch after batch, as long as anything is there.
    async fn run(self: Arc<Self>) {
        let running = Running(&self);
        loop {
            let batch = {
                let mut state = self.state.lock();
                if state.line.is_empty() || state.stopped {
                    (state.running, state.hurry) = (false, 0);
                    drop(state);
                    // Another task may begin before this one is gone.
                    std::mem::forget(running);
                    self.room.notify_waiters();
                    return;
                }
                let is_due = self.is_full_batch(&state.line) || state.closed || state.hurry > 0;
                let first = state.line.first_came();
                // `None` when the interval is longer than time goes.
                let due = first.and_then(|came| came.checked_add(self.options.interval));
                if is_due || due.is_some_and(|due| due <= Instant::now()) {
                    Ok(state.line.next_batch(self.options.size, self.options.bytes))
                } else {
                    Err(due)
                }
            };
            match batch {
                Ok(events) => self.send(events).await,
                // Until then, or until there is more.
                Err(Some(due)) => drop(timeout_at(due, self.work.notified()).await),
                Err(None) => self.work.notified().await,
            }
        }
    }

    /// Sends one batch until it succeeds or is given up, or all is stopped.
    async fn send(&self, events: Vec<Event>) {
        let mut delays = self.options.backoff.delays(events.len() as u64);
        for attempt in 1.. {
            let sending = Box::pin(async { (self.options.sends)(events.clone()).await });
            let Some(sent) = self.unless_stopped(contain(sending)).await else { return };
            let error = match sent {
                Ok(Ok(())) => return self.done(None),
                Ok(Err(error)) => error,
                Err(panic) => HandlerError::panicked(panic),
            };
            self.state.lock().counts.failed_attempts += 1;
            if error.status() == Status::Permanent || attempt >= self.options.max_attempts {
                warn!(%error, events = events.len(), "a batch is given up");
                return self.done(Some(&error));
            }
            let delay = delays.next().unwrap_or_default();
            let delay = delay.max(error.retry_delay().unwrap_or_default());
            if self.unless_stopped(sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// `None` when all is stopped before.
    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut stopped = pin!(self.until(|state| state.stopped));
        std::future::poll_fn(|task| {
            if stopped.as_mut().poll(task).is_ready() {
                return std::task::Poll::Ready(None);
            }
            future.as_mut().poll(task).map(Some)
        })
        .await
    }

    /// The batch in hand is sent, or given up.
    fn done(&self, error: Option<&HandlerError>) {
        let done = {
            let mut state = self.state.lock();
            let done = state.line.done();
            let events = done.len() as u64;
            state.hurry = state.hurry.saturating_sub(done.len());
            match error {
                None => {
                    state.counts.batches += 1;
                    state.counts.sent += events;
                }
                Some(_) => state.counts.given_up += events,
            }
            done
        };
        self.room.notify_waiters();
        for waiting in done {
            let result = match error {
                None => Ok(()),
                Some(error) => {
                    let message = format!("its batch was given up: {error}");
                    Err(Error::new(ErrorKind::Unsent, message))
                }
            };
            // Nobody need wait for it.
            let _ = waiting.done.send(result);
        }
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|error| {
        let message = "a batcher sends on tokio; bring events inside a runtime, for instance under #[tokio::main]";
        Error::new(ErrorKind::Bus(BusErrorKind::NoRuntime), message).caused_by(error)
    })
}

/// Says that nobody sends any more, where the runtime ends: the next event begins anew, with what
/// was in hand once more.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batcher").field(&self.stats()).finish()
    }
}
