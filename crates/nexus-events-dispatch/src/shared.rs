//! Lanes that many handlers share: an event is queued once per lane, and the lane runs all of its
//! handlers, one after the other.
//!
//! Synchronous handlers that are queued and ask for nothing else live here. There are as many
//! lanes as the runtime has workers. A handler that takes long is moved to a lane of its own; its
//! events still come through here, so they stay in order.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;

use nexus_events_model::{Event, EventId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, Wait};
use crate::entry::Entry;
use crate::here;
use crate::lane::{Lane, LaneOptions};
use crate::limits::{
    QUEUE_LINE_EVENTS_MAX, QUEUE_WAIT_MAX, SHARED_LANE_BYTES, SHARED_LANE_EVENTS, SHARED_LANES_MAX,
    SLOW_TURN, TIMED_PASSES,
};
use crate::pass::Pass;
use crate::runtime::{Job, Skip, contain, handle};
use crate::stripe::{Stripe, ThreadRoute};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, OnceLock, Ordering};

/// Events that are taken from the lane at a time.
const BATCH: usize = 64;

pub(crate) struct SharedLane {
    runtime: Handle,
    workers: Arc<Semaphore>,
    state: Mutex<State>,
    /// Whether a pass has to go the long way: no room, or nobody to run.
    blocked: AtomicBool,
    work: Notify,
    room: Notify,
    /// The passes of this lane.
    stripe: Arc<Stripe>,
    task: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    bytes: usize,
    /// Shares that wait or run.
    shares: usize,
    /// Publishers that wait for room.
    waiting: usize,
    parked: bool,
    over: Option<Skip>,
    /// The bus lives as long as something waits here.
    bus: Option<Bus>,
}

enum Work {
    /// One handler's turn in a delivery.
    Job { job: Job, bytes: usize, since: Instant },
    /// The turns of this lane's handlers in the last wave of an event that passed.
    Share(Share),
}

struct Share {
    event: Event,
    route: Arc<ThreadRoute>,
    /// Which of the route's shares.
    number: usize,
    bytes: usize,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Job { bytes, .. } => *bytes,
            Self::Share(share) => share.bytes,
        }
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.queue.len() >= SHARED_LANE_EVENTS || self.bytes >= SHARED_LANE_BYTES
    }

    fn is_blocked(&self) -> bool {
        self.over.is_some() || self.waiting > 0 || self.is_full()
    }
}

impl SharedLane {
    fn open(bus: &Bus, workers: Arc<Semaphore>, runtime: Handle) -> Arc<Self> {
        let lane = Arc::new(Self {
            runtime,
            workers,
            state: Mutex::default(),
            blocked: AtomicBool::new(false),
            work: Notify::new(),
            room: Notify::new(),
            stripe: bus.0.stripes.take(),
            task: OnceLock::new(),
        });
        let serving = Serving(lane.clone());
        let _ = lane.task.set(lane.runtime.spawn(serving.work()).abort_handle());
        lane
    }

    /// Whether a share would have to wait.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    pub(crate) fn shares(&self) -> usize {
        self.state.lock().shares
    }

    /// Queues the event for the handlers of this share; `false` when nobody runs them any more.
    pub(crate) fn push_share(
        &self,
        bus: &Bus,
        event: Event,
        route: &Arc<ThreadRoute>,
        number: usize,
    ) -> bool {
        let bytes = event.size();
        let share = Share { event, route: route.clone(), number, bytes };
        let mut state = self.state.lock();
        if state.over.is_some() {
            return false;
        }
        state.shares += 1;
        self.add(bus, &mut state, Work::Share(share));
        true
    }

    fn add(&self, bus: &Bus, state: &mut State, work: Work) {
        if state.bus.is_none() {
            state.bus = Some(bus.clone());
        }
        state.bytes += work.bytes();
        state.queue.push_back(work);
        if state.is_full() {
            self.blocked.store(true, Ordering::Relaxed);
        }
        if std::mem::replace(&mut state.parked, false) {
            self.work.notify_one();
        }
    }

    /// Queues one handler's turn. Those that can not wait may go beyond the bound, up to a bound
    /// of their own.
    pub(crate) async fn push(&self, job: Job, wait: Wait) -> Result<(), Skip> {
        let since = Instant::now();
        let until = since + QUEUE_WAIT_MAX;
        let bytes = job.delivery.event.size();
        let mut job = Some(job);
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            {
                let mut state = self.state.lock();
                if let Some(reason) = state.over {
                    return Err(reason);
                }
                let beyond = wait == Wait::Apart
                    && state.queue.len() < SHARED_LANE_EVENTS + QUEUE_LINE_EVENTS_MAX;
                if !state.is_full() || beyond {
                    if let Some(job) = job.take() {
                        let bus = job.delivery.bus.clone();
                        self.add(&bus, &mut state, Work::Job { job, bytes, since });
                    }
                    return Ok(());
                }
            }
            if wait != Wait::Here {
                return Err(Skip::QueueFull);
            }
            let _waiting = Waiting::begin(self);
            let told = {
                let _runtime = self.runtime.enter();
                timeout_at(until, room)
            };
            if told.await.is_err() {
                return Err(Skip::QueueFull);
            }
        }
    }

    /// Takes what is next, or parks; `None` when it is over.
    async fn next(&self, batch: &mut VecDeque<Work>) -> Option<Bus> {
        loop {
            let left = {
                let mut state = self.state.lock();
                if state.over.is_some() {
                    return None;
                }
                let count = state.queue.len().min(BATCH);
                if count > 0 {
                    batch.extend(state.queue.drain(..count));
                    state.bytes -= batch.iter().map(Work::bytes).sum::<usize>();
                    self.blocked.store(state.is_blocked(), Ordering::Relaxed);
                    if state.waiting > 0 && !state.is_full() {
                        self.room.notify_waiters();
                    }
                    return state.bus.clone();
                }
                state.parked = true;
                state.bus.take()
            };
            // It may be the last of its bus.
            drop(left);
            self.work.notified().await;
        }
    }

    /// Ends the lane; gives back the events whose shares are lost.
    pub(crate) fn close(&self) -> HashSet<EventId> {
        let left = self.end(Skip::Stopped);
        let lost = left.iter().filter_map(|work| match work {
            Work::Share(share) => Some(share.event.id().clone()),
            Work::Job { .. } => None,
        });
        let lost = lost.collect();
        drop(left);
        lost
    }

    /// As [`close`](Self::close), and drops what runs.
    pub(crate) fn abort(&self) -> HashSet<EventId> {
        let lost = self.close();
        if let Some(task) = self.task.get() {
            task.abort();
        }
        lost
    }

    fn end(&self, reason: Skip) -> VecDeque<Work> {
        let mut state = self.state.lock();
        state.over.get_or_insert(reason);
        self.blocked.store(true, Ordering::Relaxed);
        let left = std::mem::take(&mut state.queue);
        let shares = left.iter().filter(|work| matches!(work, Work::Share(_))).count();
        state.shares -= shares;
        let bus = state.bus.take();
        drop(state);
        self.work.notify_one();
        self.room.notify_waiters();
        if let Some(bus) = &bus {
            bus.gate().left();
        }
        left
    }
}

/// A publisher that waits for room, until dropped.
struct Waiting<'a>(&'a SharedLane);

impl<'a> Waiting<'a> {
    fn begin(lane: &'a SharedLane) -> Self {
        lane.state.lock().waiting += 1;
        lane.blocked.store(true, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.waiting -= 1;
        self.0.blocked.store(state.is_blocked(), Ordering::Relaxed);
    }
}

/// The task of a lane.
struct Serving(Arc<SharedLane>);

impl Drop for Serving {
    /// Its runtime has ended, or it was closed.
    fn drop(&mut self) {
        drop(self.0.end(Skip::Stopped));
        // What it had taken is gone with it.
        self.0.state.lock().shares = 0;
    }
}

impl Serving {
    async fn work(self) {
        let lane = &*self.0;
        let mut batch = VecDeque::with_capacity(BATCH);
        let mut timed = false;
        while let Some(bus) = lane.next(&mut batch).await {
            let shares = batch.iter().filter(|work| matches!(work, Work::Share(_))).count();
            let started = Instant::now();
            // What panics outside of a handler, such as the drop of a payload, costs its event.
            while !batch.is_empty() {
                let run = contain(Box::pin(lane.run(&bus, &mut batch, timed)));
                run.await.unwrap_or_else(std::mem::forget);
            }
            // A slow batch is a reason to look closer at the next one.
            timed = started.elapsed() > SLOW_TURN;
            lane.state.lock().shares -= shares;
            bus.gate().left();
            consume_budget().await;
        }
    }
}

impl SharedLane {
    async fn run(&self, bus: &Bus, batch: &mut VecDeque<Work>, timed: bool) {
        while let Some(first) = batch.pop_front() {
            match first {
                Work::Job { job, since, .. } => self.run_job(bus, job, since).await,
                Work::Share(share) => {
                    // Those that follow are the same pass, as far as others are concerned.
                    let _passing = self.stripe.enter_any(bus.gate());
                    let _here = here::on_lane(&self.stripe);
                    self.run_share(bus, share, timed);
                    while let Some(Work::Share(_)) = batch.front() {
                        if let Some(Work::Share(share)) = batch.pop_front() {
                            self.run_share(bus, share, timed);
                        }
                    }
                }
            }
        }
    }

    fn run_share(&self, bus: &Bus, share: Share, timed: bool) {
        let context = Context::on_lane(share.event, share.route);
        let Some(on_stack) = context.stack() else { return };
        let route = &on_stack.route.route;
        let places = &*route.shares()[share.number].places;
        let timed = timed || self.stripe.counts.runs.get().is_multiple_of(TIMED_PASSES);
        let run = |places: &[usize]| {
            for place in Pass::run_share(bus, &context, &self.stripe.counts, places, timed) {
                self.move_out(bus, &route[place]);
            }
        };
        if bus.0.shared.has_moved() {
            let moved = |place: &usize| route[*place].own_lane.get().is_some();
            let (moved, here): (Vec<usize>, Vec<usize>) = places.iter().partition(|it| moved(it));
            moved.iter().for_each(|place| forward(bus, &on_stack.event, &route[*place]));
            run(&here);
        } else {
            run(places);
        }
    }

    async fn run_job(&self, bus: &Bus, job: Job, since: Instant) {
        let entry = job.delivery.entry(job.place).clone();
        match entry.own_lane.get() {
            None => handle(&entry, job, None, since, &self.workers).await,
            Some(lane) => {
                let (delivery, place) = (job.delivery.clone(), job.place);
                if let Err(reason) = lane.push_now(job)
                    && delivery.not_run(place, reason)
                {
                    bus.hand_over(delivery);
                }
            }
        }
    }

    /// Gives a slow handler a lane of its own.
    fn move_out(&self, bus: &Bus, entry: &Arc<Entry>) {
        if entry.own_lane.get().is_none() && !entry.has_ended() {
            let lane = Lane::new(LaneOptions::default(), self.workers.clone());
            lane.join(entry);
            let _ = entry.own_lane.set(lane.clone());
            bus.0.shared.moved.store(true, Ordering::Relaxed);
            // It may have ended meanwhile.
            if entry.has_ended() {
                lane.leave(entry);
            }
            bus.0.stripes.forget();
        }
    }
}

/// Leaves a share's event to a handler that has moved to a lane of its own.
fn forward(bus: &Bus, event: &Event, entry: &Arc<Entry>) {
    let Some(lane) = entry.own_lane.get() else { return };
    // It is counted when it runs.
    entry.counters.passed_over();
    let delivery = Delivery::of_share(bus, event.clone(), entry.clone());
    if let Err(reason) = lane.push_now(Job { delivery: delivery.clone(), place: 0 })
        && delivery.not_run(0, reason)
    {
        bus.hand_over(delivery);
    }
}

/// The shared lanes of a bus, opened when the first handler needs one.
#[derive(Default)]
pub(crate) struct SharedLanes {
    lanes: OnceLock<Box<[Arc<SharedLane>]>>,
    given: AtomicUsize,
    /// Whether some handler has moved to a lane of its own.
    moved: AtomicBool,
}

impl SharedLanes {
    /// A lane for a handler registered in this runtime; `None` in another one than the first.
    pub(crate) fn give(
        &self,
        bus: &Bus,
        workers: &Arc<Semaphore>,
        runtime: &Handle,
    ) -> Option<Arc<SharedLane>> {
        let lanes = self.lanes.get_or_init(|| {
            let count = runtime.metrics().num_workers().clamp(1, SHARED_LANES_MAX);
            (0..count).map(|_| SharedLane::open(bus, workers.clone(), runtime.clone())).collect()
        });
        let lane = &lanes[self.given.fetch_add(1, Ordering::Relaxed) % lanes.len()];
        (lane.runtime.id() == runtime.id()).then(|| lane.clone())
    }

    fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> &[Arc<SharedLane>] {
        self.lanes.get().map_or(&[], |lanes| lanes)
    }

    /// Events with shares that wait or run; the same event in two lanes may count once or twice.
    pub(crate) fn in_flight(&self) -> usize {
        self.all().iter().map(|lane| lane.shares()).max().unwrap_or(0)
    }
}
