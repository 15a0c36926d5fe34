//! The queue of one handler or group, the tasks that empty it, and the line in front of it.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use nexus_events_model::Event;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::delivery::{Delivery, Wait};
use crate::entry::Entry;
use crate::limits::{
    QUEUE_BYTES_DEFAULT, QUEUE_EVENTS_DEFAULT, QUEUE_LINE_EVENTS_MAX, QUEUE_WAIT_MAX,
};
use crate::queue::{Arrival, Bounds, Item, Overload, Pushed, Queue};
use crate::runtime::{Job, Skip, contain, handle};
use crate::subscription::Key;
use crate::sync::{Arc, Mutex, OnceLock};

/// How a lane queues and runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneOptions {
    pub(crate) bounds: Bounds,
    pub(crate) overload: Overload,
    pub(crate) key: Option<Key>,
}

pub(crate) struct Lane {
    options: LaneOptions,
    runtime: Handle,
    /// For handlers that block.
    workers: Arc<Semaphore>,
    state: Mutex<State>,
    /// Told when an event may run.
    work: Notify,
    /// Told when an event was taken, for those who hand over through a shared lane.
    freed: Notify,
}

struct State {
    queue: Queue<Job>,
    members: Vec<Member>,
    /// Tasks that wait for an event.
    idle: usize,
    /// Events whose publishers wait for room, in the order they came.
    waiting: VecDeque<(Item<Job>, Arc<Ticket>)>,
    line: Line,
    /// Why nobody empties it any more.
    over: Option<Skip>,
}

/// A handler that takes events from the lane.
struct Member {
    entry: Arc<Entry>,
    tasks: Vec<AbortHandle>,
}

/// Events from other handlers' tasks, which do not wait themselves, in front of a full queue.
#[derive(Default)]
struct Line {
    jobs: VecDeque<(Job, Instant)>,
    /// Whether a task moves them on.
    moving: bool,
}

/// What became of an attempt to queue an event.
pub(crate) enum Handed {
    /// It is queued, or will not be.
    Settled(Result<(), Skip>),
    /// It stands in line; whoever moves it on drives its delivery.
    Apart,
}

impl Default for LaneOptions {
    fn default() -> Self {
        let bounds = Bounds { events: QUEUE_EVENTS_DEFAULT, bytes: QUEUE_BYTES_DEFAULT };
        Self { bounds, overload: Overload::default(), key: None }
    }
}

impl Lane {
    pub(crate) fn new(options: LaneOptions, workers: Arc<Semaphore>, runtime: Handle) -> Arc<Self> {
        let state = State {
            queue: Queue::new(options.bounds, options.overload),
            members: Vec::new(),
            idle: 0,
            waiting: VecDeque::new(),
            line: Line::default(),
            over: None,
        };
        let (work, freed) = (Notify::new(), Notify::new());
        Arc::new(Self { options, runtime, workers, state: Mutex::new(state), work, freed })
    }

    pub(crate) fn options(&self) -> &LaneOptions {
        &self.options
    }

    /// Lets a handler take events from here.
    pub(crate) fn join(self: &Arc<Self>, entry: &Arc<Entry>) {
        let mut state = self.state.lock();
        state.members.push(Member { entry: entry.clone(), tasks: Vec::new() });
        self.add_task(&mut state);
    }

    /// Starts one more task, of the member with the fewest, if one may have more.
    fn add_task(self: &Arc<Self>, state: &mut State) {
        let members = state.members.iter_mut();
        let may = members.filter(|member| member.tasks.len() < member.entry.concurrency);
        if let Some(member) = may.min_by_key(|member| member.tasks.len()) {
            let serving = Serving { lane: self.clone(), entry: member.entry.clone() };
            member.tasks.push(self.runtime.spawn(serving.work()).abort_handle());
        }
    }

    /// Ends a handler's turns after the event it is busy with. With the last one, the events that
    /// wait are skipped.
    pub(crate) fn leave(&self, entry: &Entry) {
        self.end(entry, Skip::Unsubscribed);
        self.work.notify_waiters();
    }

    fn end(&self, entry: &Entry, reason: Skip) {
        let mut state = self.state.lock();
        let Some(at) = state.members.iter().position(|member| member.entry.id == entry.id) else {
            return;
        };
        let member = state.members.swap_remove(at);
        let mut left = Vec::new();
        if state.members.is_empty() {
            state.over = Some(reason);
            left.extend(state.queue.drain().into_iter().map(|item| item.value));
            left.extend(state.line.jobs.drain(..).map(|(job, _)| job));
            state.waiting.drain(..).for_each(|(_, ticket)| ticket.settle(Err(reason)));
        }
        drop(state);
        drop(member);
        match reason {
            // Nobody is left who could drive them on.
            Skip::Stopped => drop(left),
            _ => left.into_iter().for_each(|job| job.give_up(reason)),
        }
    }

    /// Ends the tasks of a handler where they wait, and the handler with them. What waits for the
    /// last one is lost.
    pub(crate) fn abort(&self, entry: &Entry) {
        let state = self.state.lock();
        let own = state.members.iter().filter(|member| member.entry.id == entry.id);
        let tasks: Vec<AbortHandle> = own.flat_map(|member| member.tasks.clone()).collect();
        drop(state);
        tasks.iter().for_each(AbortHandle::abort);
        self.end(entry, Skip::Stopped);
    }

    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.queue.len() + state.line.jobs.len()
    }

    /// How long the event has waited that waits longest.
    pub(crate) fn waits_since(&self) -> Option<Duration> {
        self.state.lock().queue.oldest().map(|since| since.elapsed())
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.state.lock().queue.bytes()
    }

    /// Queues an event.
    pub(crate) async fn push(self: &Arc<Self>, job: Job, wait: Wait) -> Handed {
        if wait == Wait::Apart && !self.state.lock().line.jobs.is_empty() {
            return self.stand_in_line(job);
        }
        let item = match self.try_push(self.item(job)) {
            Ok(result) => return Handed::Settled(result),
            Err(item) => item,
        };
        match wait {
            Wait::Never => Handed::Settled(Err(Skip::QueueFull)),
            Wait::Apart => self.stand_in_line(item.value),
            Wait::Here => {
                let until = Instant::now() + self.patience();
                Handed::Settled(self.push_until(item, until).await)
            }
        }
    }

    /// Queues an event if there is room.
    pub(crate) fn push_now(self: &Arc<Self>, job: Job) -> Result<(), Skip> {
        self.try_push(self.item(job)).unwrap_or(Err(Skip::QueueFull))
    }

    /// Whether there is room for an event, waited for where that may be.
    pub(crate) async fn has_room(&self, wait: Wait, event: &Event) -> bool {
        let bytes = event.size();
        let until = Instant::now() + self.patience();
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.state.lock().queue.has_room(bytes) {
                return true;
            }
            let told = {
                let _runtime = self.runtime.enter();
                timeout_at(until, freed)
            };
            if wait != Wait::Here || told.await.is_err() {
                return false;
            }
        }
    }

    /// How long an event waits for room.
    fn patience(&self) -> Duration {
        match self.options.overload {
            Overload::Block { timeout } => timeout,
            _ => QUEUE_WAIT_MAX,
        }
    }

    fn item(&self, job: Job) -> Item<Job> {
        let event: &Event = &job.delivery.event;
        let key = self.options.key.as_ref().and_then(|key| key.of_any(event));
        Item { bytes: event.size(), priority: event.priority(), key, value: job }
    }

    /// Queues the event or says why not; gives it back when there is no room and its publisher
    /// may wait.
    fn try_push(self: &Arc<Self>, item: Item<Job>) -> Result<Result<(), Skip>, Item<Job>> {
        let mut state = self.state.lock();
        if let Some(reason) = state.over {
            return Ok(Err(reason));
        }
        if !state.waiting.is_empty() {
            return Err(item);
        }
        let pushed = state.queue.push(item, Instant::now());
        self.call_for_work(&mut state);
        drop(state);
        match pushed {
            Pushed::Queued => Ok(Ok(())),
            Pushed::Full(item) => Err(item),
            Pushed::Refused(_, reason) => Ok(Err(Skip::from(reason))),
            Pushed::QueuedInsteadOf { first, more, reason } => {
                let dropped = std::iter::once(first).chain(more);
                dropped.for_each(|item| item.value.give_up(Skip::from(reason)));
                Ok(Ok(()))
            }
        }
    }

    /// Sees to it that somebody takes what may run.
    fn call_for_work(self: &Arc<Self>, state: &mut State) {
        if state.queue.is_runnable() {
            if state.idle > 0 {
                self.work.notify_one();
            } else {
                self.add_task(state);
            }
        }
    }

    /// Waits for room, behind those who came before.
    async fn push_until(self: &Arc<Self>, item: Item<Job>, until: Instant) -> Result<(), Skip> {
        let (delivery, place) = (item.value.delivery.clone(), item.value.place);
        let ticket = Arc::new(Ticket::default());
        {
            let mut state = self.state.lock();
            if let Some(reason) = state.over {
                return Err(reason);
            }
            state.waiting.push_back((item, ticket.clone()));
            self.let_in(&mut state);
        }
        let waiting = Waiting { lane: self, ticket, delivery, place };
        let told = {
            let _runtime = self.runtime.enter();
            timeout_at(until, waiting.ticket.told.notified())
        };
        // Whether it was told in time or just after, the ticket says.
        let _ = told.await;
        waiting.end()
    }

    /// Queues events that wait, as far as there is room.
    fn let_in(self: &Arc<Self>, state: &mut State) {
        while let Some((item, _)) = state.waiting.front()
            && state.queue.has_room(item.bytes)
            && let Some((item, ticket)) = state.waiting.pop_front()
        {
            match state.queue.push(item, Instant::now()) {
                Pushed::Refused(_, reason) => ticket.settle(Err(Skip::from(reason))),
                _ => ticket.settle(Ok(())),
            }
        }
        self.call_for_work(state);
    }

    fn stand_in_line(self: &Arc<Self>, job: Job) -> Handed {
        let mut state = self.state.lock();
        if let Some(reason) = state.over {
            return Handed::Settled(Err(reason));
        }
        if state.line.jobs.len() >= QUEUE_LINE_EVENTS_MAX {
            return Handed::Settled(Err(Skip::QueueFull));
        }
        let until = Instant::now() + self.patience();
        state.line.jobs.push_back((job, until));
        if !std::mem::replace(&mut state.line.moving, true) {
            self.runtime.spawn(self.clone().move_on());
        }
        Handed::Apart
    }

    /// Moves the line on, in order, until nobody stands in it.
    async fn move_on(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.line.jobs.pop_front();
                state.line.moving = next.is_some();
                next
            };
            let Some((job, until)) = next else { return };
            let (delivery, place) = (job.delivery.clone(), job.place);
            let pushed = self.push_until(self.item(job), until).await;
            delivery.passed(place, pushed);
            Delivery::drive_one(delivery, Wait::Apart).await;
        }
    }

    /// The next event for this handler, or `None` when it has ended.
    async fn next(self: &Arc<Self>, entry: &Entry) -> Option<Taken> {
        loop {
            if let Some(next) = self.try_next(entry) {
                return next;
            }
            let mut work = pin!(self.work.notified());
            work.as_mut().enable();
            // What came in between was told to nobody.
            if let Some(next) = self.try_next(entry) {
                return next;
            }
            self.state.lock().idle += 1;
            let _idle = Idle(self);
            if !self.state.lock().queue.is_runnable() {
                work.await;
            }
        }
    }

    /// `None` when there is nothing to do, `Some(None)` when there never will be.
    fn try_next(self: &Arc<Self>, entry: &Entry) -> Option<Option<Taken>> {
        let mut state = self.state.lock();
        if entry.has_ended() || state.over.is_some() {
            return Some(None);
        }
        let (job, arrival) = state.queue.take(Instant::now)?;
        if state.waiting.is_empty() {
            if state.idle > 0 && state.queue.is_runnable() {
                self.work.notify_one();
            }
        } else {
            self.let_in(&mut state);
        }
        drop(state);
        self.freed.notify_waiters();
        Some(Some(Taken { job, held: Held { lane: self.clone(), arrival: Some(arrival) } }))
    }
}

/// What became of an event that waits for room.
#[derive(Default)]
struct Ticket {
    told: Notify,
    result: OnceLock<Result<(), Skip>>,
}

impl Ticket {
    fn settle(&self, result: Result<(), Skip>) {
        let _ = self.result.set(result);
        self.told.notify_one();
    }
}

/// An event taken from the queue.
pub(crate) struct Taken {
    pub(crate) job: Job,
    pub(crate) held: Held,
}

/// The key of a taken event; the next one of the same key may run when this is dropped.
pub(crate) struct Held {
    lane: Arc<Lane>,
    arrival: Option<Arrival>,
}

impl Held {
    /// Whether others wait for this.
    pub(crate) fn is_keyed(&self) -> bool {
        self.lane.options.key.is_some()
    }
}

impl Held {
    /// Puts the event back where it was; gives it back when nobody would take it.
    pub(crate) fn put_back(mut self, job: Job) -> Option<Job> {
        let Some(arrival) = self.arrival.take() else { return Some(job) };
        let mut state = self.lane.state.lock();
        if state.over.is_some() {
            return Some(job);
        }
        state.queue.put_back(job, arrival);
        self.lane.work.notify_one();
        None
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            let mut state = self.lane.state.lock();
            state.queue.done(arrival);
            if state.idle > 0 && state.queue.is_runnable() {
                self.lane.work.notify_one();
            }
        }
    }
}

/// A task that waits for an event, until dropped.
struct Idle<'a>(&'a Lane);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.state.lock().idle -= 1;
    }
}

/// A publisher that waits for room.
struct Waiting<'a> {
    lane: &'a Arc<Lane>,
    ticket: Arc<Ticket>,
    delivery: Arc<Delivery>,
    place: usize,
}

impl Waiting<'_> {
    /// Waits no longer; says whether the event is queued.
    fn end(self) -> Result<(), Skip> {
        self.leave().unwrap_or(Err(Skip::QueueFull))
    }

    /// What became of the event; takes it out when it still waits.
    fn leave(&self) -> Option<Result<(), Skip>> {
        let mut state = self.lane.state.lock();
        let result = self.ticket.result.get().copied();
        if result.is_none() {
            state.waiting.retain(|(_, ticket)| !Arc::ptr_eq(ticket, &self.ticket));
            // Those behind it may need less room.
            self.lane.let_in(&mut state);
            let _ = self.ticket.result.set(Err(Skip::QueueFull));
        }
        result
    }
}

impl Drop for Waiting<'_> {
    /// The publish was dropped, or has ended.
    fn drop(&mut self) {
        if self.leave() == Some(Ok(())) {
            self.delivery.passed(self.place, Ok(()));
        }
    }
}

/// One task of one handler.
struct Serving {
    lane: Arc<Lane>,
    entry: Arc<Entry>,
}

impl Serving {
    async fn work(self) {
        // A handler's own panics are outcomes. What else panics, such as the drop of a payload,
        // costs its event and not the lane.
        while let Err(panic) = contain(Box::pin(self.serve())).await {
            std::mem::forget(panic);
        }
    }

    async fn serve(&self) {
        while let Some(taken) = self.lane.next(&self.entry).await {
            let Taken { job, held } = taken;
            handle(&self.entry, job, Some(held), &self.lane.workers).await;
            // Handlers that never wait must not keep other tasks from their turn.
            consume_budget().await;
        }
    }
}

impl Drop for Serving {
    /// The handler has ended, or its runtime has.
    fn drop(&mut self) {
        let reason = if self.entry.has_ended() { Skip::Unsubscribed } else { Skip::Stopped };
        self.lane.end(&self.entry, reason);
    }
}
