//! Where handlers run: inline, on a task of their own, or on a thread that may block.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use nexus_events_model::{HandlerOutcome, OutcomeStatus, Text};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::context::{CURRENT, Context};
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::handler::{Called, HandlerResult, Mode};
use crate::limits::QUEUE_WAIT_MAX;
use crate::sync::{Arc, OnceLock};

/// One event for one handler.
pub(crate) struct Job {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) place: usize,
}

/// Why a handler did not get to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    Filtered,
    Unsubscribed,
    QueueFull,
    WaitsItself,
}

impl Skip {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Filtered => "the filter does not hold",
            Self::Unsubscribed => "unsubscribed",
            Self::QueueFull => "the queue is full",
            Self::WaitsItself => "it waits for this event's report itself; publish without waiting",
        }
    }

    /// Whether the handler wanted the event and lost it.
    pub(crate) fn is_rejection(self) -> bool {
        matches!(self, Self::QueueFull | Self::WaitsItself)
    }
}

/// The bounded queue of one handler and the task that empties it.
pub(crate) struct Lane {
    sender: mpsc::Sender<Job>,
    runtime: Handle,
    stop: Arc<Notify>,
    task: OnceLock<AbortHandle>,
}

impl Lane {
    /// Gives the entry a lane on this runtime.
    pub(crate) fn open(entry: &Arc<Entry>, queue: usize, workers: Arc<Semaphore>, runtime: Handle) {
        let (sender, receiver) = mpsc::channel(queue);
        let stop = Arc::new(Notify::new());
        let lane = entry.lane.get_or_init(|| Self {
            sender,
            runtime,
            stop: stop.clone(),
            task: OnceLock::new(),
        });
        let work = work(entry.clone(), receiver, stop, workers);
        let _ = lane.task.set(lane.runtime.spawn(work).abort_handle());
    }

    /// Queues an event; with `wait`, waits a second for room.
    pub(crate) async fn push(&self, job: Job, wait: bool) -> Result<(), Skip> {
        let job = match self.sender.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Skip::Unsubscribed),
            Err(TrySendError::Full(_)) if !wait => return Err(Skip::QueueFull),
            Err(TrySendError::Full(job)) => job,
        };
        let room = {
            let _runtime = self.runtime.enter();
            tokio::time::timeout(QUEUE_WAIT_MAX, self.sender.reserve())
        };
        match room.await {
            Ok(Ok(room)) => {
                room.send(job);
                Ok(())
            }
            Ok(Err(_)) => Err(Skip::Unsubscribed),
            Err(_) => Err(Skip::QueueFull),
        }
    }

    /// Ends the task after the event it is busy with; the others in the queue are skipped.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Ends the task where it waits, its handler with it.
    pub(crate) fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    pub(crate) fn queue_max(&self) -> usize {
        self.sender.max_capacity()
    }
}

async fn work(
    entry: Arc<Entry>,
    mut jobs: mpsc::Receiver<Job>,
    stop: Arc<Notify>,
    workers: Arc<Semaphore>,
) {
    while let Some(job) = next(&mut jobs, &stop).await {
        let must_go_on = run_job(&entry, &job, &workers).await;
        if must_go_on {
            job.delivery.go_on().await;
        }
    }
    jobs.close();
    while let Some(job) = jobs.recv().await {
        if job.delivery.not_run(job.place, Skip::Unsubscribed) {
            job.delivery.go_on().await;
        }
    }
}

/// The next event, or `None` when the lane is stopped.
async fn next(jobs: &mut mpsc::Receiver<Job>, stop: &Notify) -> Option<Job> {
    let mut stopped = pin!(stop.notified());
    poll_fn(|task| match stopped.as_mut().poll(task) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => jobs.poll_recv(task),
    })
    .await
}

async fn run_job(entry: &Arc<Entry>, job: &Job, workers: &Semaphore) -> bool {
    // Waiting for a worker is not running yet, so an unsubscribe need not wait for it.
    let worker = match entry.mode {
        Mode::Blocking => workers.acquire().await.ok(),
        _ => None,
    };
    let Some(run) = entry.begin() else {
        return job.delivery.not_run(job.place, Skip::Unsubscribed);
    };
    let outcome = match worker {
        Some(_) => run_blocking(&job.delivery, entry).await,
        None => run_queued(&job.delivery, entry).await,
    };
    drop(run);
    job.delivery.done(job.place, outcome)
}

/// A handler's turn that has begun: when, and whose.
struct Turn<'a> {
    entry: &'a Entry,
    started: OffsetDateTime,
    clock: Instant,
}

impl<'a> Turn<'a> {
    fn begin(delivery: &Delivery, entry: &'a Entry) -> Self {
        Self { entry, started: delivery.bus.now(), clock: Instant::now() }
    }

    fn end(self, result: std::thread::Result<HandlerResult>) -> HandlerOutcome {
        let (status, value, error) = match result {
            Ok(Ok(value)) => (OutcomeStatus::Success, value, None),
            Ok(Err(error)) => {
                (OutcomeStatus::Error, Value::Null, Some(Text::from(error.to_string())))
            }
            Err(panic) => (OutcomeStatus::Panicked, Value::Null, Some(panic_text(&*panic))),
        };
        let mut outcome =
            HandlerOutcome::new(self.entry.name.clone(), self.entry.id, status, self.started);
        outcome.value = value;
        outcome.error = error;
        outcome.duration(self.clock.elapsed())
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> Text {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is no text")).into()
}

fn context(delivery: &Arc<Delivery>, entry: &Arc<Entry>) -> Context {
    Context { delivery: delivery.clone(), entry: entry.clone() }
}

/// Calls the handler with the context at hand for calls on a plain bus, panics contained.
fn call<'a>(entry: &'a Entry, context: &'a Context) -> std::thread::Result<Called<'a>> {
    catch_unwind(AssertUnwindSafe(|| {
        CURRENT.sync_scope(context.clone(), || entry.handler.call(context.event(), context))
    }))
}

pub(crate) fn run_inline(delivery: &Arc<Delivery>, entry: &Arc<Entry>) -> HandlerOutcome {
    let turn = Turn::begin(delivery, entry);
    let context = context(delivery, entry);
    let result = call(entry, &context).map(|called| match called {
        Called::Ready(result) => result,
        Called::Pending(_) => {
            Err("an inline handler returned a future; let its `mode()` be `Mode::Queued`".into())
        }
    });
    turn.end(result)
}

async fn run_queued(delivery: &Arc<Delivery>, entry: &Arc<Entry>) -> HandlerOutcome {
    let turn = Turn::begin(delivery, entry);
    let context = context(delivery, entry);
    let result = match call(entry, &context) {
        Ok(Called::Ready(result)) => Ok(result),
        Ok(Called::Pending(future)) => CURRENT.scope(context.clone(), contain(future)).await,
        Err(panic) => Err(panic),
    };
    turn.end(result)
}

async fn run_blocking(delivery: &Arc<Delivery>, entry: &Arc<Entry>) -> HandlerOutcome {
    let turn = Turn::begin(delivery, entry);
    let (context, entry) = (context(delivery, entry), entry.clone());
    let runtime = Handle::current();
    let thread = tokio::task::spawn_blocking(move || match call(&entry, &context)? {
        Called::Ready(result) => Ok(result),
        Called::Pending(future) => {
            runtime.block_on(CURRENT.scope(context.clone(), contain(future)))
        }
    });
    turn.end(thread.await.unwrap_or_else(|ended| Ok(Err(ended.into()))))
}

/// Polls a handler's future with its panics contained.
async fn contain(
    mut future: Pin<Box<dyn Future<Output = HandlerResult> + Send + '_>>,
) -> std::thread::Result<HandlerResult> {
    std::future::poll_fn(|task| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}
