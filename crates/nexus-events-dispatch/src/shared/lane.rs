//! The queue of a shared lane.

use std::collections::{HashSet, VecDeque};

use nexus_events_model::{Event, EventId};

use super::done::{Done, Few, let_all_go, let_go};
use super::seat::Seat;
use super::serving::Serving;
use crate::bus::{Bus, Inner};
use crate::limits::{SHARED_LANE_BYTES, SHARED_LANE_EVENTS};
use crate::route::Route;
use crate::runtime::{Job, Skip};
use crate::stripe::Stripe;
use crate::sync::{
    AbortHandle, Arc, AtomicBool, Handle, Instant, Mutex, Notify, OnceLock, Ordering, Semaphore,
    Weak,
};

/// Events that are taken from the lane at a time.
pub(super) const BATCH: usize = 64;

pub(crate) struct SharedLane {
    /// The bus that it is of.
    pub(super) owner: Weak<Inner>,
    pub(super) runtime: Handle,
    pub(super) workers: Arc<Semaphore>,
    pub(super) state: Mutex<State>,
    /// Whether publishers have to wait: it was full, and is not yet half empty.
    pub(super) blocked: AtomicBool,
    pub(super) work: Notify,
    pub(super) room: Notify,
    /// The passes of this lane.
    pub(super) stripe: Arc<Stripe>,
    task: OnceLock<AbortHandle>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Work>,
    pub(super) bytes: usize,
    /// Shares that wait or run.
    pub(super) shares: usize,
    /// The route of the share queued last: an address, only to be compared. Whoever queued it or
    /// took it holds that route; 0 when nobody does.
    route: usize,
    /// What was handled and is to be dropped.
    pub(super) done: Done,
    pub(super) parked: bool,
    pub(super) over: Option<Skip>,
    /// The bus lives as long as something waits here.
    bus: Option<Bus>,
}

pub(super) enum Work {
    /// One handler's turn in a delivery.
    Job { job: Job, bytes: usize, since: Instant },
    /// The turns of this lane's handlers in the last wave of an event that passed.
    Share(Share),
}

pub(super) struct Share {
    pub(super) event: Event,
    /// `None` when it is that of the share before.
    pub(super) route: Option<Arc<Route>>,
    /// Which of the route's shares.
    pub(super) number: usize,
    bytes: usize,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Job { bytes, .. } => *bytes,
            Self::Share(share) => share.bytes,
        }
    }

    pub(super) fn is_share(&self) -> bool {
        matches!(self, Self::Share(_))
    }
}

/// What became of a share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    Queued,
    /// It is queued, and the lane's task was woken for it.
    Woken,
    /// Nobody runs it any more.
    Over,
}

impl SharedLane {
    pub(super) fn open(bus: &Bus, workers: Arc<Semaphore>, runtime: Handle) -> Arc<Self> {
        let lane = Arc::new(Self {
            owner: Arc::downgrade(&bus.0),
            runtime,
            workers,
            state: Mutex::default(),
            blocked: AtomicBool::new(false),
            work: Notify::new(),
            room: Notify::new(),
            stripe: bus.0.stripes.take(),
            task: OnceLock::new(),
        });
        let serving = Serving::new(lane.clone());
        let _ = lane.task.set(lane.runtime.spawn(serving.work()).abort_handle());
        lane
    }

    pub(super) fn is_of(&self, runtime: &Handle) -> bool {
        self.runtime.id() == runtime.id()
    }

    /// Whether a share has to wait for room.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    pub(crate) fn shares(&self) -> usize {
        self.state.lock().shares
    }

    /// Queues the event for the handlers of this share, whether there is room or not; gives back
    /// what the caller is to let go of, if it has nothing yet.
    pub(crate) fn push_share(
        &self,
        bus: &Bus,
        event: Event,
        bytes: usize,
        route: &Arc<Route>,
        number: usize,
        done: &mut Few,
    ) -> Given {
        let mut state = self.state.lock();
        if state.over.is_some() {
            return Given::Over;
        }
        let address = Arc::as_ptr(route).addr();
        let before = std::mem::replace(&mut state.route, address);
        let route = (before != address).then(|| route.clone());
        state.shares += 1;
        self.add(bus, &mut state, Work::Share(Share { event, route, number, bytes }));
        let wakes = std::mem::replace(&mut state.parked, false);
        if done[0].is_none() {
            *done = state.done.take_some();
        }
        drop(state);
        if wakes {
            self.work.notify_one();
        }
        if wakes { Given::Woken } else { Given::Queued }
    }

    pub(super) fn push_job(&self, state: &mut State, job: Job, bytes: usize, since: Instant) {
        let bus = job.delivery.bus.clone();
        self.add(&bus, state, Work::Job { job, bytes, since });
        if std::mem::replace(&mut state.parked, false) {
            self.work.notify_one();
        }
    }

    fn add(&self, bus: &Bus, state: &mut State, work: Work) {
        if state.bus.is_none() {
            state.bus = Some(bus.clone());
        }
        state.bytes += work.bytes();
        state.queue.push_back(work);
        if state.queue.len() >= SHARED_LANE_EVENTS || state.bytes >= SHARED_LANE_BYTES {
            self.blocked.store(true, Ordering::Relaxed);
        }
    }

    /// Takes what is next; `false` when there is nothing, `None` when there never will be.
    pub(super) fn take(&self, seat: &mut Seat) -> Option<bool> {
        let mut state = self.state.lock();
        let finished = std::mem::take(&mut seat.shares);
        state.shares -= finished;
        if state.over.is_some() {
            return None;
        }
        let left = state.done.add(&mut seat.done);
        let count = state.queue.len().min(BATCH);
        seat.batch.extend(state.queue.drain(..count));
        seat.shares = seat.batch.iter().filter(|work| work.is_share()).count();
        state.bytes -= seat.batch.iter().map(Work::bytes).sum::<usize>();
        if self.is_blocked() && state.is_half_empty() {
            self.blocked.store(false, Ordering::Relaxed);
            self.room.notify_waiters();
        }
        if seat.bus.is_none() {
            seat.bus.clone_from(&state.bus);
        }
        drop(state);
        let_all_go(left);
        if finished > 0
            && let Some(bus) = &seat.bus
        {
            bus.gate().left();
        }
        Some(count > 0)
    }

    /// Waits for work, holding nothing; not when some has come meanwhile.
    pub(super) async fn park(&self, seat: &mut Seat) {
        let left = {
            let mut state = self.state.lock();
            if !state.queue.is_empty() || state.over.is_some() {
                return;
            }
            state.parked = true;
            state.route = 0;
            (state.bus.take(), state.done.take())
        };
        seat.leave();
        // It may be the last of its bus.
        let_go(left.0);
        let_all_go(left.1);
        self.work.notified().await;
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

    pub(super) fn end(&self, reason: Skip) -> VecDeque<Work> {
        let mut state = self.state.lock();
        state.over.get_or_insert(reason);
        // There is no room to wait for any more.
        self.blocked.store(false, Ordering::Relaxed);
        let left = std::mem::take(&mut state.queue);
        let shares = left.iter().filter(|work| work.is_share()).count();
        state.shares -= shares;
        let (bus, done) = (state.bus.take(), state.done.take());
        drop(state);
        self.work.notify_one();
        self.room.notify_waiters();
        if let Some(bus) = &bus {
            bus.gate().left();
        }
        let_all_go(done);
        left
    }
}

impl State {
    fn is_half_empty(&self) -> bool {
        self.queue.len() <= SHARED_LANE_EVENTS / 2 && self.bytes <= SHARED_LANE_BYTES / 2
    }
}
