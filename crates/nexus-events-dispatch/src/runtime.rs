//! Where handlers run: inline, on a task of their own, or on a thread that may block.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use nexus_events_model::{HandlerOutcome, OutcomeStatus, Text};
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Instrument, Span};

use crate::context::Context;
use crate::delivery::Delivery;
use crate::desk::{Call, Desk};
use crate::entry::{Entry, Run};
use crate::handler::{Begun, BoxFuture, Called, HandlerResult, LastAttempt, Mode, Rest};
use crate::lane::Held;
use crate::limits::SLOW_HANDLER;
use crate::queue::Reason;
use crate::sync::{Arc, Handle, Instant, Semaphore, spawn_blocking};
use crate::trace;
use crate::worker::Worker;

/// One event for one handler.
pub(crate) struct Job {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) place: usize,
}

impl Job {
    /// Goes on without the handler. For those who can not drive the delivery themselves.
    pub(crate) fn give_up(self, reason: Skip) {
        if self.delivery.not_run(self.place, reason) {
            let bus = self.delivery.bus.clone();
            bus.hand_over(self.delivery);
        }
    }

    /// Goes on without the handler if others of its wave are left to do that; or else, with its
    /// runtime, the event is lost.
    pub(crate) fn lose(self) {
        self.delivery.not_run(self.place, Skip::Stopped);
    }
}

/// Whether a runtime has ended.
pub(crate) fn has_ended(runtime: &Handle) -> bool {
    // Such a one drops what it is given on the spot.
    let probe = runtime.spawn(std::future::pending::<()>());
    let has_ended = probe.is_finished();
    probe.abort();
    has_ended
}

/// It does not return from an earlier event.
pub(crate) const STUCK: Skip = Skip::Dropped(Reason::Stuck);

/// Why a handler did not get to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    Filtered,
    Unsubscribed,
    /// The task of the handler ended with its runtime.
    Stopped,
    QueueFull,
    /// Its queue dropped it.
    Dropped(Reason),
    WaitsItself,
}

impl From<Reason> for Skip {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Full => Self::QueueFull,
            _ => Self::Dropped(reason),
        }
    }
}

impl Skip {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Filtered => "the filter does not hold",
            Self::Unsubscribed => "unsubscribed",
            Self::Stopped => "its runtime has ended; subscribe it in one that runs",
            Self::QueueFull => "the queue is full",
            Self::Dropped(reason) => reason.text(),
            Self::WaitsItself => "it waits for this event's report itself; publish without waiting",
        }
    }

    /// Whether the handler wanted the event and lost it.
    pub(crate) fn is_rejection(self) -> bool {
        matches!(self, Self::Stopped | Self::QueueFull | Self::Dropped(_) | Self::WaitsItself)
    }
}

/// Handles an event from a queue; `false` when it took so long that somebody else saw to the
/// event.
pub(crate) async fn handle(
    desk: &Arc<Desk>,
    entry: &Arc<Entry>,
    job: Job,
    held: Option<Held>,
    since: Instant,
    workers: &Arc<Semaphore>,
) -> bool {
    let mut context = Context::of_member(entry, &job);
    let in_hand = desk.lay(Call { entry: entry.clone(), job, held, worker: None });
    // Waiting for a worker is not running yet, so an unsubscribe need not wait for it.
    if entry.mode == Mode::Blocking {
        let worker = Worker::occupy(workers.clone()).await;
        in_hand.occupy(&worker);
        context.worker = Some(worker);
    }
    let ended = match entry.begin() {
        Some(_run) => Some(match context.worker.clone() {
            Some(worker) => run_blocking(desk, entry, context, since, worker).await,
            None => run_queued(desk, entry, context, since).await,
        }),
        None => None,
    };
    let Some(Call { job, held, .. }) = in_hand.take() else { return false };
    if let Some(Some(ended)) = ended {
        conclude(entry, job, ended, held).await;
        return true;
    }
    // Another consumer of the group may take it.
    let left = match held {
        Some(held) => held.put_back(job),
        None => Some(job),
    };
    if let Some(job) = left {
        job.give_up(Skip::Unsubscribed);
    }
    true
}

/// The turn is over.
async fn conclude(entry: &Arc<Entry>, job: Job, ended: Ended, held: Option<Held>) {
    let is_awaited = job.delivery.is_awaited();
    if job.delivery.done(job.place, entry, ended, held) {
        job.delivery.drive_on();
    }
    if is_awaited {
        // Who has the report now is not to wait for the next handler.
        step_back().await;
    }
}

/// What became of an event that a shared lane gave to a handler which may wait.
pub(crate) enum Handled {
    /// It is done.
    InTime,
    /// It took so long that somebody else saw to the event.
    TooLate,
    /// It has to wait, elsewhere.
    Waits(Box<(Call, Unfinished)>),
}

/// Handles an event from a shared lane, which does not wait for it.
pub(crate) async fn begin(
    desk: &Arc<Desk>,
    entry: &Arc<Entry>,
    job: Job,
    since: Instant,
) -> Handled {
    let context = Context::of_member(entry, &job);
    let in_hand = desk.lay(Call { entry: entry.clone(), job, held: None, worker: None });
    let begun = entry.begin().map(|run| {
        let turn = Turn::of_queued(context.delivery(), entry, since);
        let begin = || entry.handler.begin(context.event(), &context);
        let begin = || catch_unwind(AssertUnwindSafe(|| context.within(begin)));
        let begun = turn.span.in_scope(|| desk.busy(begin));
        (run, turn, begun)
    });
    let Some(call) = in_hand.take() else { return Handled::TooLate };
    let Some((run, turn, begun)) = begun else {
        call.job.give_up(Skip::Unsubscribed);
        return Handled::InTime;
    };
    let result = match begun {
        Ok(Begun::Done(result)) => Ok(result),
        Ok(Begun::Waits(rest)) => {
            return Handled::Waits(Box::new((call, Unfinished::new(context, turn, run, rest))));
        }
        Err(panic) => Err(panic),
    };
    let ended = turn.end(entry, result).synchronous(entry);
    drop(run);
    conclude(entry, call.job, ended, None).await;
    Handled::InTime
}

/// A handler's turn that goes on elsewhere than it began.
pub(crate) struct Unfinished {
    context: Context,
    rest: BoxFuture<'static, HandlerResult>,
    turn: Turn,
    run: Run,
}

impl Unfinished {
    fn new(context: Context, turn: Turn, run: Run, rest: Rest) -> Self {
        Self { rest: rest.go_on(context.clone()), context, turn, run }
    }

    /// What is left of a turn in a pass, which goes on as a job of its own.
    pub(crate) fn of_pass(entry: &Arc<Entry>, job: Job, run: Run, rest: Rest) -> (Call, Self) {
        let (context, turn) = (Context::of_member(entry, &job), Turn::begin(&job.delivery, entry));
        let call = Call { entry: entry.clone(), job, held: None, worker: None };
        (call, Self::new(context, turn, run, rest))
    }

    /// Goes on with the call on this desk; `false` when somebody else saw to the event.
    pub(crate) async fn go_on(self, desk: &Desk, entry: &Arc<Entry>) -> bool {
        let Self { context, rest, turn, run } = self;
        let in_hand = desk.in_hand();
        let rest = context.scope(contain(rest)).instrument(turn.span.clone());
        let ended = desk.attend(rest).await.map(|result| turn.end(entry, result));
        drop(run);
        let Some((Call { job, held, .. }, ended)) = in_hand.take().zip(ended) else {
            return false;
        };
        conclude(entry, job, ended, held).await;
        true
    }
}

/// A handler's turn that has begun, and when.
pub(crate) struct Turn {
    started: OffsetDateTime,
    clock: Instant,
    span: Span,
}

impl Turn {
    pub(crate) fn begin(delivery: &Delivery, entry: &Entry) -> Self {
        let span = trace::turn(delivery, entry, Some(1));
        Self { started: delivery.bus.now(), clock: Instant::now(), span }
    }

    /// The same for an event that was queued then.
    fn of_queued(delivery: &Delivery, entry: &Entry, since: Instant) -> Self {
        let turn = Self::begin(delivery, entry);
        entry.counters.waited(turn.clock.saturating_duration_since(since));
        turn
    }

    pub(crate) fn end(self, entry: &Entry, result: std::thread::Result<HandlerResult>) -> Ended {
        let Said { status, value, error, retries } = read(result);
        let mut outcome = HandlerOutcome::new(entry.name.clone(), entry.id, status, self.started);
        outcome.value = value;
        outcome.error = error;
        outcome = outcome.duration(self.clock.elapsed());
        trace::ended(&self.span, &outcome);
        Ended { outcome, retries, clock: self.clock }
    }
}

/// A handler's turn that is over, as far as its wave is concerned.
pub(crate) struct Ended {
    pub(crate) outcome: HandlerOutcome,
    /// Further attempts, which go on beside lower waves.
    retries: Option<BoxFuture<'static, LastAttempt>>,
    clock: Instant,
}

impl Ended {
    /// The turn of a synchronous handler, which no other task of its thread could go on beside.
    fn synchronous(self, entry: &Entry) -> Self {
        let took = self.outcome.duration;
        if took > SLOW_HANDLER && entry.counters.was_slow(self.clock + took) {
            trace::slow(entry, took);
        }
        self
    }

    /// Waits for further attempts on a task where the handler is at home; gives the outcome back
    /// when there are none. Events of the same key wait for them too.
    pub(crate) fn go_on(
        self,
        delivery: &Arc<Delivery>,
        place: usize,
        entry: &Arc<Entry>,
        held: Option<Held>,
    ) -> Option<HandlerOutcome> {
        let Self { outcome, retries, clock } = self;
        let home = || entry.runtime.clone().filter(|home| !has_ended(home));
        let runtime = retries.as_ref().and_then(|_| home().or_else(|| delivery.bus.runtime()));
        let (Some(retries), Some(runtime)) = (retries, runtime) else {
            return Some(outcome);
        };
        delivery.retrying(&outcome, entry);
        let (delivery, entry) = (delivery.clone(), entry.clone());
        let span = trace::turn(&delivery, &entry, None);
        let held = held.filter(Held::is_keyed);
        runtime.spawn(async move {
            let _held = held;
            let mut cut_off = pin!(entry.is_cut_off());
            let mut retries = pin!(contain(retries).instrument(span.clone()));
            let last = poll_fn(|task| match cut_off.as_mut().poll(task) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => retries.as_mut().poll(task).map(Some),
            });
            if let Some(last) = last.await {
                let last = last_outcome(outcome, last, clock);
                trace::ended(&span, &last);
                delivery.retried(place, &entry, last);
            }
        });
        None
    }
}

/// The first outcome turned into the last.
fn last_outcome(
    mut outcome: HandlerOutcome,
    last: std::thread::Result<LastAttempt>,
    clock: Instant,
) -> HandlerOutcome {
    let (attempt, result) = match last {
        Ok(last) => (last.attempt, Ok(last.result)),
        Err(panic) => (outcome.attempt, Err(panic)),
    };
    let said = read(result);
    (outcome.status, outcome.value, outcome.error) = (said.status, said.value, said.error);
    outcome.attempt = attempt;
    outcome.duration(clock.elapsed())
}

/// What a turn gave, read from what the program said.
struct Said {
    status: OutcomeStatus,
    value: Value,
    error: Option<Text>,
    retries: Option<BoxFuture<'static, LastAttempt>>,
}

impl Said {
    fn new(status: OutcomeStatus, value: Value, error: Option<Text>) -> Self {
        Self { status, value, error, retries: None }
    }
}

/// What a turn gave. Errors and panics are the program's own values: writing them as text and
/// dropping them may panic in turn.
fn read(result: std::thread::Result<HandlerResult>) -> Said {
    let read = catch_unwind(AssertUnwindSafe(|| match result {
        Ok(Ok(value)) => Said::new(OutcomeStatus::Success, value, None),
        Ok(Err(mut error)) => {
            let retries = error.take_retries();
            let text = Text::from(error.to_string());
            Said { retries, ..Said::new(error.outcome(), Value::Null, Some(text)) }
        }
        Err(panic) => Said::new(OutcomeStatus::Panicked, Value::Null, Some(panic_text(&*panic))),
    }));
    read.unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        // Dropping this one might go on for ever.
        std::mem::forget(panic);
        Said::new(OutcomeStatus::Panicked, Value::Null, Some(text))
    })
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Text {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is no text")).into()
}

/// What an inline handler must not do.
pub(crate) const NOT_INLINE: &str =
    "an inline handler returned a future; let its `mode()` be `Mode::Queued`";

/// Calls the handler with the context at hand for calls on a plain bus, panics contained.
fn call(context: &Context) -> std::thread::Result<Called<'_>> {
    catch_unwind(AssertUnwindSafe(|| {
        context.within(|| context.entry().handler.call(context.event(), context))
    }))
}

pub(crate) fn run_inline(delivery: &Arc<Delivery>, place: usize) -> Ended {
    let turn = Turn::begin(delivery, delivery.entry(place));
    let context = Context::tracked(delivery.clone(), place);
    let result = turn.span.in_scope(|| call(&context)).map(|called| match called {
        Called::Ready(result) => result,
        Called::Pending(_) => Err(NOT_INLINE.into()),
    });
    turn.end(delivery.entry(place), result)
}

/// `None` when somebody else sees to the event.
async fn run_queued(
    desk: &Desk,
    entry: &Arc<Entry>,
    context: Context,
    since: Instant,
) -> Option<Ended> {
    let turn = Turn::of_queued(context.delivery(), entry, since);
    let result = match turn.span.in_scope(|| desk.busy(|| call(&context))) {
        Ok(Called::Ready(result)) => return Some(turn.end(entry, Ok(result)).synchronous(entry)),
        Ok(Called::Pending(future)) => {
            let future = context.scope(contain(future)).instrument(turn.span.clone());
            desk.attend(future).await?
        }
        Err(panic) => Err(panic),
    };
    Some(turn.end(entry, result))
}

async fn run_blocking(
    desk: &Arc<Desk>,
    entry: &Arc<Entry>,
    context: Context,
    since: Instant,
    worker: Worker,
) -> Option<Ended> {
    let turn = Turn::of_queued(context.delivery(), entry, since);
    let (runtime, span, desk) = (Handle::current(), turn.span.clone(), desk.clone());
    let thread = spawn_blocking(move || {
        worker.runs_here();
        span.in_scope(|| match desk.busy(|| call(&context)) {
            Ok(Called::Ready(result)) => Some(Ok(result)),
            Ok(Called::Pending(future)) => {
                runtime.block_on(desk.attend(context.scope(contain(future))))
            }
            Err(panic) => Some(Err(panic)),
        })
    });
    let result = thread.await.unwrap_or_else(|ended| Some(Ok(Err(ended.into()))))?;
    Some(turn.end(entry, result))
}

/// Lets other tasks run. Tokio's own way of it puts a task aside until its thread has nothing else
/// to do, which may be never when a handler blocks; here it stands in line, where others take it.
pub(crate) async fn step_back() {
    let mut stepped = false;
    poll_fn(|task| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs code whose panics concern nobody.
pub(crate) fn contained(code: impl FnOnce()) {
    // Dropping what was thrown might panic again.
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(std::mem::forget);
}

/// Polls and drops a future with its panics contained.
pub(crate) async fn contain<T>(
    future: Pin<Box<dyn Future<Output = T> + Send + '_>>,
) -> std::thread::Result<T> {
    let mut future = Some(future);
    poll_fn(|task| {
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut future {
            Some(running) => {
                let polled = running.as_mut().poll(task);
                if polled.is_ready() {
                    future = None;
                }
                polled
            }
            None => Poll::Pending,
        }));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => {
                let dropped = catch_unwind(AssertUnwindSafe(|| future = None));
                dropped.unwrap_or_else(std::mem::forget);
                Poll::Ready(Err(panic))
            }
        }
    })
    .await
}
