//! The bounded queue of one handler, the task that empties it, and the line in front of it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use crate::delivery::{Delivery, Wait};
use crate::entry::Entry;
use crate::limits::{QUEUE_LINE_EVENTS_MAX, QUEUE_WAIT_MAX};
use crate::runtime::{Job, Skip, contain, handle};
use crate::sync::{Arc, Mutex, OnceLock};

pub(crate) struct Lane {
    sender: mpsc::Sender<Job>,
    line: Arc<Mutex<Line>>,
    runtime: Handle,
    stop: Arc<Notify>,
    task: OnceLock<AbortHandle>,
}

/// Events from other handlers' tasks, which do not wait themselves, in front of a full queue.
#[derive(Default)]
struct Line {
    jobs: VecDeque<(Job, Instant)>,
    /// Whether a task moves them on.
    moving: bool,
}

/// What became of an attempt to queue an event.
pub(crate) enum Pushed {
    /// It is queued, or will not be.
    Settled(Result<(), Skip>),
    /// It stands in line; whoever moves it on drives its delivery.
    Apart,
}

impl Lane {
    /// Gives the entry a lane on this runtime.
    pub(crate) fn open(entry: &Arc<Entry>, queue: usize, workers: Arc<Semaphore>, runtime: Handle) {
        let (sender, receiver) = mpsc::channel(queue);
        let stop = Arc::new(Notify::new());
        let lane = entry.lane.get_or_init(|| Self {
            sender,
            line: Arc::default(),
            runtime,
            stop: stop.clone(),
            task: OnceLock::new(),
        });
        let work = work(entry.clone(), receiver, stop, workers);
        let _ = lane.task.set(lane.runtime.spawn(work).abort_handle());
    }

    /// Queues an event.
    pub(crate) async fn push(&self, job: Job, wait: Wait) -> Pushed {
        if wait == Wait::Apart && !self.line.lock().jobs.is_empty() {
            return self.stand_in_line(job);
        }
        let job = match self.sender.try_send(job) {
            Ok(()) => return Pushed::Settled(Ok(())),
            Err(TrySendError::Closed(_)) => return Pushed::Settled(Err(Skip::Stopped)),
            Err(TrySendError::Full(job)) => job,
        };
        match wait {
            Wait::Never => Pushed::Settled(Err(Skip::QueueFull)),
            Wait::Apart => self.stand_in_line(job),
            Wait::Here => {
                let room = {
                    let _runtime = self.runtime.enter();
                    timeout(QUEUE_WAIT_MAX, self.sender.reserve())
                };
                Pushed::Settled(settle(room.await, job))
            }
        }
    }

    fn stand_in_line(&self, job: Job) -> Pushed {
        let mut line = self.line.lock();
        if line.jobs.len() >= QUEUE_LINE_EVENTS_MAX {
            return Pushed::Settled(Err(Skip::QueueFull));
        }
        line.jobs.push_back((job, Instant::now() + QUEUE_WAIT_MAX));
        if !std::mem::replace(&mut line.moving, true) {
            self.runtime.spawn(move_on(self.line.clone(), self.sender.clone()));
        }
        Pushed::Apart
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
        self.sender.max_capacity() - self.sender.capacity() + self.line.lock().jobs.len()
    }

    pub(crate) fn queue_max(&self) -> usize {
        self.sender.max_capacity()
    }
}

/// A place in a queue, unless the queue ended or the time was up.
type Room<'a> = Result<Result<mpsc::Permit<'a, Job>, SendError<()>>, Elapsed>;

/// Sends the event if there is room for it.
fn settle(room: Room<'_>, job: Job) -> Result<(), Skip> {
    match room {
        Ok(Ok(room)) => {
            room.send(job);
            Ok(())
        }
        Ok(Err(_)) => Err(Skip::Stopped),
        Err(_) => Err(Skip::QueueFull),
    }
}

/// Moves a line on, in order, until nobody stands in it.
async fn move_on(line: Arc<Mutex<Line>>, sender: mpsc::Sender<Job>) {
    loop {
        let next = {
            let mut line = line.lock();
            let next = line.jobs.pop_front();
            line.moving = next.is_some();
            next
        };
        let Some((job, until)) = next else { return };
        let (delivery, place) = (job.delivery.clone(), job.place);
        let room = timeout_at(until, sender.reserve()).await;
        delivery.passed(place, settle(room, job));
        Delivery::drive_one(delivery, Wait::Apart).await;
    }
}

async fn work(
    entry: Arc<Entry>,
    mut jobs: mpsc::Receiver<Job>,
    stop: Arc<Notify>,
    workers: Arc<Semaphore>,
) {
    // A handler's own panics are outcomes. What else panics, such as the drop of a payload, costs
    // its event and not the lane.
    while let Err(panic) = contain(Box::pin(serve(&entry, &mut jobs, &stop, &workers))).await {
        std::mem::forget(panic);
    }
    jobs.close();
    while let Some(job) = jobs.recv().await {
        if job.delivery.not_run(job.place, Skip::Unsubscribed) {
            Delivery::drive_one(job.delivery, Wait::Apart).await;
        }
    }
}

async fn serve(
    entry: &Arc<Entry>,
    jobs: &mut mpsc::Receiver<Job>,
    stop: &Notify,
    workers: &Arc<Semaphore>,
) {
    while let Some(job) = next(jobs, stop).await {
        handle(entry, job, workers).await;
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
