//! The queue of one handler or group, the tasks that empty it, and the line in front of it.

mod behind;
mod line;
mod serving;
mod stuck;

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use nexus_events_model::{Event, EventId, Text};

pub(crate) use self::line::Room;
use self::line::Waiter;
use self::serving::{Serving, Task};
use self::stuck::Stuck;
use crate::delivery::Wait;
use crate::desk::Call;
use crate::entry::Entry;
use crate::limits::{QUEUE_BYTES_DEFAULT, QUEUE_EVENTS_DEFAULT};
use crate::lineage::Lineage;
use crate::queue::{Arrival, Bounds, Item, Overload, Pushed, Queue};
use crate::runtime::{Job, STUCK, Skip, Unfinished, contained};
use crate::subscription::Key;
use crate::sync::{Arc, Handle, Instant, Mutex, Notify, Semaphore};

/// How a lane queues and runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneOptions {
    pub(crate) bounds: Bounds,
    pub(crate) overload: Overload,
    pub(crate) key: Option<Key>,
}

pub(crate) struct Lane {
    options: LaneOptions,
    /// For handlers that block.
    workers: Arc<Semaphore>,
    state: Mutex<State>,
    /// Told when an event may run.
    work: Notify,
    /// Told when no event is left in the line that nobody waits for.
    relieved: Notify,
}

struct State {
    queue: Queue<Job>,
    /// What has come through a shared lane, before everything in the queue.
    early: VecDeque<(Job, Instant)>,
    /// Whether more may come from there, for which the queue waits.
    flushing: bool,
    members: Vec<Member>,
    /// Tasks that wait for an event.
    idle: usize,
    /// Events that wait for room, in the order they came.
    line: VecDeque<Waiter>,
    /// The last number given to one of them.
    last_waiter: u64,
    /// How many of them nobody waits for.
    apart: usize,
    /// Whether a task sees to those.
    ushered: bool,
    /// Why nobody empties it any more.
    over: Option<Skip>,
    /// Handlers that do not return.
    stuck: Stuck,
    /// Whether tasks were ended where they wait.
    aborted: bool,
}

impl State {
    /// Whether something may be taken.
    fn is_runnable(&self) -> bool {
        !self.early.is_empty() || (!self.flushing && self.queue.is_runnable())
    }

    /// Whether its handlers are on several runtimes.
    fn is_scattered(&self) -> bool {
        if self.members.len() < 2 {
            return false;
        }
        let mut homes = self.members.iter().map(|member| member.entry.runtime.as_ref());
        let first = homes.next().flatten().map(Handle::id);
        homes.any(|home| home.map(Handle::id) != first)
    }
}

/// A handler that takes events from the lane.
struct Member {
    entry: Arc<Entry>,
    /// How many tasks it has, or is about to have.
    started: usize,
    tasks: Vec<Task>,
    /// How many calls of it do not return.
    stuck: usize,
}

/// What became of an attempt to queue an event.
pub(crate) enum Handed {
    /// It is queued or stands in line, or will not be queued.
    Settled(Result<(), Skip>),
    /// Its publisher has to wait.
    Waits(Room),
}

impl Default for LaneOptions {
    fn default() -> Self {
        let bounds = Bounds { events: QUEUE_EVENTS_DEFAULT, bytes: QUEUE_BYTES_DEFAULT };
        Self { bounds, overload: Overload::default(), key: None }
    }
}

impl Lane {
    pub(crate) fn new(options: LaneOptions, workers: Arc<Semaphore>) -> Arc<Self> {
        let state = State {
            queue: Queue::new(options.bounds, options.overload),
            early: VecDeque::new(),
            flushing: false,
            members: Vec::new(),
            idle: 0,
            line: VecDeque::new(),
            last_waiter: 0,
            apart: 0,
            ushered: false,
            over: None,
            stuck: Stuck::default(),
            aborted: false,
        };
        let (work, relieved) = (Notify::new(), Notify::new());
        Arc::new(Self { options, workers, state: Mutex::new(state), work, relieved })
    }

    pub(crate) fn options(&self) -> &LaneOptions {
        &self.options
    }

    /// Lets a handler take events from here.
    pub(crate) fn join(self: &Arc<Self>, entry: &Arc<Entry>) {
        self.join_with(entry, None);
    }

    /// The same for a handler of a shared lane, from where more comes until
    /// [`has_all`](Self::has_all). It may be in the middle of a call, which comes first.
    pub(crate) fn join_from_shared(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        call: Option<(Call, Unfinished)>,
    ) {
        self.state.lock().flushing = true;
        self.join_with(entry, call);
    }

    fn join_with(self: &Arc<Self>, entry: &Arc<Entry>, call: Option<(Call, Unfinished)>) {
        let mut state = self.state.lock();
        // The last consumer of a group has just left, or the runtimes of all have ended.
        state.over = None;
        state.members.push(Member {
            entry: entry.clone(),
            started: 0,
            tasks: Vec::new(),
            stuck: 0,
        });
        state.stuck.ends();
        let more = self.one_more(&mut state);
        drop(state);
        self.start_with(more, call);
    }

    /// Sees to it that somebody takes what may run; what comes back is to be started.
    fn wake(self: &Arc<Self>, state: &mut State) -> Option<Serving> {
        if !state.is_runnable() {
            return None;
        }
        if state.is_scattered() {
            // The one told first might be on a runtime that stands still.
            self.work.notify_waiters();
        } else if state.idle > 0 {
            self.work.notify_one();
            return None;
        }
        self.one_more(state)
    }

    /// One more task, of the member with the fewest, if one may have more.
    fn one_more(self: &Arc<Self>, state: &mut State) -> Option<Serving> {
        let members = state.members.iter_mut();
        let may = members.filter(|member| member.started < member.entry.concurrency);
        let member = may.min_by_key(|member| member.started)?;
        member.started += 1;
        Some(Serving::new(self, &member.entry))
    }

    /// Ends a handler's turns after the event it is busy with. With the last one, and with the
    /// last one that is not stuck, the events that wait are skipped.
    pub(crate) fn leave(&self, entry: &Entry) {
        self.end(entry, Skip::Unsubscribed);
        self.work.notify_waiters();
    }

    /// Gives back the events that are lost although they are counted as handled.
    fn end(&self, entry: &Entry, reason: Skip) -> Vec<EventId> {
        let mut state = self.state.lock();
        let Some(at) = state.members.iter().position(|member| member.entry.id == entry.id) else {
            return Vec::new();
        };
        let member = state.members.swap_remove(at);
        let (left, reason) = if state.members.is_empty() {
            state.over = Some(reason);
            (self.take_all(&mut state), reason)
        } else if !state.aborted && state.is_stuck() {
            // It was the last one that took events. Where all are aborted the others follow, and
            // what waits is lost with the last of them.
            (self.take_all_from_stuck(&mut state), STUCK)
        } else {
            (Left::default(), reason)
        };
        drop(state);
        drop(member);
        let left = left.end(reason);
        if reason != Skip::Stopped {
            left.into_iter().for_each(|job| contained(|| job.give_up(reason)));
            return Vec::new();
        }
        let shares = left
            .iter()
            .filter(|job| !job.delivery.is_counted() && job.delivery.log_place().is_none());
        let shares = shares.map(|job| job.delivery.event.id().clone()).collect();
        left.into_iter().for_each(|job| contained(|| job.lose()));
        shares
    }

    /// Takes out what waits, in the queue and before it.
    fn take_all(&self, state: &mut State) -> Left {
        state.apart = 0;
        self.relieved.notify_waiters();
        let early = std::mem::take(&mut state.early).into_iter().map(|(job, _)| job);
        let jobs = early.chain(state.queue.drain().into_iter().map(|item| item.value)).collect();
        Left { jobs, line: std::mem::take(&mut state.line) }
    }

    /// Ends the tasks of a handler where they wait, and the handler with them. What waits for the
    /// last one is lost; gives back what of that is counted as handled.
    pub(crate) fn abort(&self, entry: &Entry) -> Vec<EventId> {
        let mut state = self.state.lock();
        state.aborted = true;
        let own = state.members.iter().filter(|member| member.entry.id == entry.id);
        let tasks: Vec<Task> = own.flat_map(|member| member.tasks.clone()).collect();
        drop(state);
        // Before they are ended: a task that is dropped elsewhere takes with it what it has.
        let mut lost = self.end(entry, Skip::Stopped);
        let posts = tasks.iter().filter_map(|task| task.post.upgrade());
        // Who takes it has the word on what became of it.
        let cut: Vec<Call> = posts.filter_map(|post| post.desk.take_share()).collect();
        tasks.iter().for_each(|task| task.handle.abort());
        lost.extend(cut.iter().map(|call| call.job.delivery.event.id().clone()));
        cut.into_iter().for_each(|call| contained(|| call.job.lose()));
        lost
    }

    /// The events that wait and are counted elsewhere.
    pub(crate) fn shares(&self) -> Vec<EventId> {
        let state = self.state.lock();
        let early = state.early.iter().filter(|(job, _)| !job.delivery.is_counted());
        early.map(|(job, _)| job.delivery.event.id().clone()).collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.early.len() + state.queue.len() + state.apart
    }

    /// How long the event has waited that waits longest.
    pub(crate) fn waits_since(&self) -> Option<Duration> {
        let state = self.state.lock();
        let early = state.early.front().map(|(_, since)| *since);
        early.or_else(|| state.queue.oldest()).map(|since| since.elapsed())
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.state.lock().queue.bytes()
    }

    /// Whether everybody who could take an event of this lineage waits for its report.
    pub(crate) fn waits_itself(&self, entry: &Entry, lineage: &Lineage) -> bool {
        if lineage.waits() == 0 {
            return false;
        }
        let waits = |entry: &Entry| lineage.waiting(entry.id) >= entry.concurrency;
        let state = self.state.lock();
        lineage.waiting(entry.id) > 0 || state.members.iter().all(|member| waits(&member.entry))
    }

    /// Queues an event.
    pub(crate) fn push(self: &Arc<Self>, job: Job, wait: Wait) -> Handed {
        match self.try_push(self.item(job)) {
            Ok(result) => Handed::Settled(result),
            Err(_) if wait == Wait::Never => Handed::Settled(Err(Skip::QueueFull)),
            Err(item) if wait == Wait::Apart => Handed::Settled(self.wait_apart(item)),
            Err(item) => match self.wait_with_publisher(item) {
                Ok(room) => Handed::Waits(room),
                Err(reason) => Handed::Settled(Err(reason)),
            },
        }
    }

    /// Queues an event, or lets it wait without anybody.
    pub(crate) fn push_apart(self: &Arc<Self>, job: Job) -> Result<(), Skip> {
        match self.push(job, Wait::Apart) {
            Handed::Settled(result) => result,
            Handed::Waits(_) => unreachable!("nobody waits"),
        }
    }

    /// Takes an event over from a shared lane, where it has waited in front of those that came
    /// here at once.
    pub(crate) fn push_early(self: &Arc<Self>, job: Job) -> Result<(), Skip> {
        let mut state = self.state.lock();
        if let Some(reason) = state.refusal() {
            return Err(reason);
        }
        state.early.push_back((job, Instant::now()));
        let more = self.wake(&mut state);
        drop(state);
        self.start(more);
        Ok(())
    }

    /// Nothing more comes from a shared lane.
    pub(crate) fn has_all(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.flushing = false;
        let more = self.wake(&mut state);
        drop(state);
        self.start(more);
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
        if let Some(reason) = state.refusal() {
            return Ok(Err(reason));
        }
        if !state.line.is_empty() {
            return Err(item);
        }
        let pushed = state.queue.push(item, Instant::now());
        let more = self.wake(&mut state);
        drop(state);
        self.start(more);
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
            if !self.state.lock().is_runnable() {
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
        if let Some((job, since)) = state.early.pop_front() {
            drop(state);
            let held = Held { lane: self.clone(), arrival: None };
            return Some(Some(Taken { job, since, held, is_stuck: false }));
        }
        if state.flushing {
            return None;
        }
        let (job, arrival) = state.queue.take(Instant::now)?;
        self.let_in(&mut state);
        // Several may have come before the task that was told of the first one ran.
        let more = self.wake(&mut state);
        let is_stuck = state.stuck.has(arrival.key());
        drop(state);
        self.start(more);
        let since = arrival.since();
        let held = Held { lane: self.clone(), arrival: Some(arrival) };
        Some(Some(Taken { job, since, held, is_stuck }))
    }
}

/// What nobody takes any more.
#[derive(Default)]
struct Left {
    jobs: Vec<Job>,
    line: VecDeque<Waiter>,
}

impl Left {
    /// Tells those who wait with their event; gives back the other events. Not under the lock.
    fn end(mut self, reason: Skip) -> Vec<Job> {
        self.jobs.extend(self.line.into_iter().filter_map(|waiter| waiter.end(reason)));
        self.jobs
    }
}

/// An event taken from the queue.
pub(crate) struct Taken {
    pub(crate) job: Job,
    /// When it was queued.
    pub(crate) since: Instant,
    pub(crate) held: Held,
    /// Whether it may not run, because an earlier one of its key does not return.
    is_stuck: bool,
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

    fn key(&self) -> Option<&Text> {
        self.arrival.as_ref()?.key()
    }
}

impl Held {
    /// Puts the event back where it was; gives it back when nobody would take it.
    pub(crate) fn put_back(mut self, job: Job) -> Option<Job> {
        let Some(arrival) = self.arrival.take() else { return Some(job) };
        let mut state = self.lane.state.lock();
        if state.refusal().is_some() {
            return Some(job);
        }
        state.queue.put_back(job, arrival);
        let more = self.lane.wake(&mut state);
        drop(state);
        self.lane.start(more);
        None
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            let mut state = self.lane.state.lock();
            state.queue.done(arrival);
            // The tasks there are may all be busy for long.
            let more = self.lane.wake(&mut state);
            drop(state);
            self.lane.start(more);
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
