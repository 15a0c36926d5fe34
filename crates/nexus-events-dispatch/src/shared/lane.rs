//! The queue of a shared lane.

use std::collections::{HashSet, VecDeque};

use nexus_events_model::{Event, EventId};

use super::done::{Done, Few, let_all_go, let_go};
use super::hand::Hand;
use super::seat::Seat;
use super::server::Server;
use super::serving::forward;
use crate::bus::{Bus, Inner};
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::lane::Lane;
use crate::limits::{SHARED_LANE_BYTES, SHARED_LANE_EVENTS};
use crate::route::Route;
use crate::runtime::{Job, Skip};
use crate::sync::{
    Arc, AtomicBool, Handle, Instant, Mutex, Notify, Ordering, Semaphore, Weak, try_id,
};

/// Events that are taken from the lane at a time.
pub(super) const BATCH: usize = 64;

pub(crate) struct SharedLane {
    /// The bus that it is of.
    pub(super) owner: Weak<Inner>,
    pub(super) runtime: Handle,
    /// Whether that has several.
    has_workers: bool,
    pub(super) workers: Arc<Semaphore>,
    pub(super) state: Mutex<State>,
    /// Whether publishers have to wait: it was full, and is not yet half empty.
    pub(super) blocked: AtomicBool,
    pub(super) work: Notify,
    pub(super) room: Notify,
    /// Who runs it.
    server: Mutex<Arc<Server>>,
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
    /// The route of the share that the task took last.
    taken: Option<Arc<Route>>,
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
    /// Here this handler moved to a lane of its own: its events come to that one now.
    Moved(Arc<Entry>),
}

pub(super) struct Share {
    pub(super) event: Event,
    /// `None` when it is that of the share before.
    pub(super) route: Option<Arc<Route>>,
    /// Which of the route's shares.
    pub(super) number: usize,
    /// The first of its handlers that is left to run.
    pub(super) first: usize,
    /// The places of handlers that have got the event in a lane of their own already.
    pub(super) moved: Box<[usize]>,
    /// Its number for the task that has taken it.
    pub(super) turn: u64,
    pub(super) bytes: usize,
}

impl Work {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Job { bytes, .. } => *bytes,
            Self::Share(share) => share.bytes,
            Self::Moved(_) => 0,
        }
    }

    pub(super) fn job(&self) -> Option<Arc<Delivery>> {
        match self {
            Self::Job { job, .. } => Some(job.delivery.clone()),
            Self::Share(_) | Self::Moved(_) => None,
        }
    }

    pub(super) fn share(&self) -> Option<&Share> {
        match self {
            Self::Share(share) => Some(share),
            Self::Job { .. } | Self::Moved(_) => None,
        }
    }
}

/// What became of a share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    Queued,
    /// It is queued, and the lane's task was woken for it and waits for the calling one.
    Woken,
    /// Nobody runs it any more.
    Over,
}

impl SharedLane {
    pub(super) fn open(bus: &Bus, workers: Arc<Semaphore>, runtime: Handle) -> Arc<Self> {
        let server = Server::new(bus, Hand::default());
        let lane = Arc::new(Self {
            owner: Arc::downgrade(&bus.0),
            has_workers: runtime.metrics().num_workers() > 1,
            runtime,
            workers,
            state: Mutex::default(),
            blocked: AtomicBool::new(false),
            work: Notify::new(),
            room: Notify::new(),
            server: Mutex::new(server.clone()),
        });
        server.start(bus, &lane, Seat::default());
        lane
    }

    pub(super) fn server(&self) -> Arc<Server> {
        self.server.lock().clone()
    }

    /// Somebody else runs it now.
    pub(super) fn serve_by(&self, server: Arc<Server>) {
        *self.server.lock() = server;
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

    /// What stands behind the handler that the task is in: turns of single handlers, and how many
    /// shares.
    pub(crate) fn behind(&self) -> (Vec<Arc<Delivery>>, usize) {
        let server = self.server();
        let state = self.state.lock();
        let mut jobs = server.hand.jobs();
        jobs.extend(state.queue.iter().filter_map(Work::job));
        (jobs, state.shares - usize::from(server.hand.running().is_some()))
    }

    /// The events of those.
    pub(super) fn events(&self) -> Vec<EventId> {
        let state = self.state.lock();
        let waiting = state.queue.iter().filter_map(Work::share).map(|it| it.event.id().clone());
        self.server().hand.left().into_iter().chain(waiting).collect()
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
        let moved = match bus.0.registry.ends() == route.ends {
            true => Box::default(),
            false => moved(route, number),
        };
        let direct = (!moved.is_empty()).then(|| (event.clone(), moved.clone()));
        let address = Arc::as_ptr(route).addr();
        let last = std::mem::replace(&mut state.route, address);
        let taken = (last != address).then(|| route.clone());
        state.shares += 1;
        self.add(
            bus,
            &mut state,
            Work::Share(Share { event, route: taken, number, first: 0, moved, turn: 0, bytes }),
        );
        let wakes = std::mem::replace(&mut state.parked, false);
        if done[0].is_none() {
            *done = state.done.take_some();
        }
        drop(state);
        if let Some((event, places)) = direct {
            places.iter().for_each(|place| forward(bus, &event, &route[*place], Lane::push_apart));
        }
        if wakes {
            self.work.notify_one();
        }
        if wakes && self.is_behind() { Given::Woken } else { Given::Queued }
    }

    /// Whether its task, woken from here, has to wait for the calling one: tokio keeps it for the
    /// same worker, where no other may take it. With one worker it makes no difference.
    fn is_behind(&self) -> bool {
        self.has_workers
            && try_id().is_some()
            && Handle::try_current().is_ok_and(|here| here.id() == self.runtime.id())
    }

    pub(super) fn push_job(&self, state: &mut State, job: Job, bytes: usize, since: Instant) {
        let bus = job.delivery.bus.clone();
        self.add(&bus, state, Work::Job { job, bytes, since });
        if std::mem::replace(&mut state.parked, false) {
            self.work.notify_one();
        }
    }

    /// The handler moves to this lane; `false` when it has one. From here on nothing is queued here
    /// for it any more.
    pub(super) fn moves(&self, bus: &Bus, entry: &Arc<Entry>, lane: &Arc<Lane>) -> bool {
        let mut state = self.state.lock();
        if entry.own_lane.set(lane.clone()).is_err() {
            return false;
        }
        // Whoever queues a share of an older route sees that.
        bus.0.registry.changes();
        if state.over.is_none() {
            self.add(bus, &mut state, Work::Moved(entry.clone()));
            if std::mem::replace(&mut state.parked, false) {
                self.work.notify_one();
            }
        } else {
            drop(state);
            lane.has_all();
        }
        true
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

    /// What was taken is done. Said at once, because the task may give way now, and its runtime
    /// stand still.
    pub(super) fn settle(&self, server: &Server, seat: &Seat) {
        let shares = server.hand.settle();
        if shares > 0 {
            self.state.lock().shares -= shares;
            if let Some(bus) = &seat.bus {
                bus.gate().left();
            }
        }
    }

    /// Takes what is next; gives back how much that is, `None` when there never will be anything.
    pub(super) fn take(&self, server: &Server, seat: &mut Seat) -> Option<usize> {
        let mut state = self.state.lock();
        if state.over.is_some() {
            return None;
        }
        let left = state.done.add(&mut seat.done);
        let mut held = server.hand.lock();
        let fills = held.is_free();
        if fills {
            state.take(&mut held.batch);
        }
        if seat.bus.is_none() {
            seat.bus.clone_from(&state.bus);
        }
        if self.is_blocked() && state.is_half_empty() {
            self.blocked.store(false, Ordering::Relaxed);
            self.room.notify_waiters();
        }
        // Whoever looks for these finds them here or there, but does not hold up publishers.
        drop(state);
        let (count, route) = (held.batch.len(), if fills { held.is_filled() } else { None });
        drop(held);
        let before = route.and_then(|route| self.state.lock().taken.replace(route));
        let_all_go(left);
        let_go(before);
        Some(count)
    }

    /// Waits for work, holding nothing; not when some has come meanwhile.
    pub(super) async fn park(&self, server: &Server, seat: &mut Seat) {
        let left = {
            let mut state = self.state.lock();
            if !state.queue.is_empty() || state.over.is_some() {
                return;
            }
            state.parked = true;
            state.route = 0;
            (state.bus.take(), state.done.take(), state.taken.take())
        };
        seat.leave();
        server.hand.leave();
        // It may be the last of its bus.
        let_go((left.0, left.2));
        let_all_go(left.1);
        self.work.notified().await;
    }

    /// Ends the lane; gives back the events whose shares are lost.
    pub(crate) fn close(&self) -> HashSet<EventId> {
        let left = self.end(Skip::Stopped);
        let lost = left.iter().filter_map(Work::share).map(|share| share.event.id().clone());
        let lost = lost.collect();
        let_all_go(left);
        lost
    }

    /// As [`close`](Self::close), and drops what the task has in hand, but for what runs.
    pub(crate) fn abort(&self) -> HashSet<EventId> {
        let mut lost = self.close();
        let server = self.server();
        let (left, dropped) = server.hand.stop();
        lost.extend(left);
        let_all_go(dropped);
        server.abort();
        lost
    }

    /// The runtime has ended: nobody runs these any more.
    pub(super) fn lose(&self, bus: &Bus, left: &VecDeque<Work>) {
        let mut route = self.state.lock().taken.take();
        for share in left.iter().filter_map(Work::share) {
            if share.route.is_some() {
                route.clone_from(&share.route);
            }
            if let Some(route) = &route {
                stop(bus, route, &route.shares()[share.number].places);
            }
        }
        let events = left.iter().filter_map(Work::share).map(|share| share.event.id().clone());
        bus.counters().handled_but_lost(bus.0.shared.lose(events.collect()) as u64);
        let_go(route);
    }

    pub(super) fn end(&self, reason: Skip) -> VecDeque<Work> {
        let mut state = self.state.lock();
        state.over.get_or_insert(reason);
        // There is no room to wait for any more.
        self.blocked.store(false, Ordering::Relaxed);
        let left = std::mem::take(&mut state.queue);
        let shares = left.iter().filter_map(Work::share).count();
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
    /// Moves what is next into an empty batch.
    fn take(&mut self, batch: &mut VecDeque<Work>) {
        if self.queue.len() <= BATCH {
            std::mem::swap(&mut self.queue, batch);
            self.bytes = 0;
        } else {
            batch.extend(self.queue.drain(..BATCH));
            self.bytes -= batch.iter().map(Work::bytes).sum::<usize>();
        }
    }

    fn is_half_empty(&self) -> bool {
        self.queue.len() <= SHARED_LANE_EVENTS / 2 && self.bytes <= SHARED_LANE_BYTES / 2
    }
}

/// The places of the handlers of this share that have moved since its route was found.
#[cold]
fn moved(route: &Route, number: usize) -> Box<[usize]> {
    let places = route.shares()[number].places.iter().copied();
    places.filter(|place| route[*place].own_lane.get().is_some()).collect()
}

/// The lane of the handlers at these places has ended with its runtime.
#[cold]
pub(super) fn stop(bus: &Bus, route: &Route, places: &[usize]) {
    for place in places {
        route[*place].counters.skipped(Skip::Stopped);
        // It is counted for all handlers of the route.
        route[*place].counters.passed_over();
        bus.counters().skipped(Skip::Stopped);
    }
}
