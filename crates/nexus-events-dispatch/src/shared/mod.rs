//! Lanes that many handlers share: an event is queued once per lane, and the lane runs all of its
//! handlers, one after the other.
//!
//! Handlers that are queued and ask for nothing else live here. One that takes long, or has to wait
//! for something, is moved to a lane of its own. What is queued here for it by then goes there first,
//! so its events stay in order.

mod done;
mod hand;
mod lane;
mod room;
mod seat;
mod server;
mod serving;
mod share_out;
mod stuck;

use std::collections::HashSet;

use nexus_events_model::EventId;

pub(crate) use self::done::{Few, let_all_go, let_go};
pub(crate) use self::lane::{Given, SharedLane};
pub(crate) use self::share_out::share_out;
use crate::bus::Bus;
use crate::limits::{SHARED_LANE_HANDLERS, SHARED_LANES_MAX};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Handle, Mutex, OnceLock, Ordering, Semaphore};

/// The shared lanes of a bus, opened when the first handler needs one.
#[derive(Default)]
pub(crate) struct SharedLanes {
    lanes: OnceLock<Box<[Arc<SharedLane>]>>,
    given: AtomicUsize,
    /// Whether some handler has moved to a lane of its own.
    moved: AtomicBool,
    /// Events lost with the runtime, which may have had several lanes.
    lost: Mutex<HashSet<EventId>>,
}

impl SharedLanes {
    /// A lane for a handler registered in this runtime; `None` in another one than the first.
    ///
    /// There are as many as the runtime has workers. One lane is filled before the next, because
    /// every lane costs each event one more push.
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
        let given = self.given.fetch_add(1, Ordering::Relaxed) / SHARED_LANE_HANDLERS;
        let lane = &lanes[given % lanes.len()];
        lane.is_of(runtime).then(|| lane.clone())
    }

    fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> &[Arc<SharedLane>] {
        self.lanes.get().map_or(&[], |lanes| lanes)
    }

    /// Shares that wait or run: an event in two lanes counts twice.
    pub(crate) fn in_flight(&self) -> usize {
        self.all().iter().map(|lane| lane.shares()).sum()
    }

    /// By how much that is more than there are events.
    pub(crate) fn surplus(&self) -> usize {
        if self.all().len() < 2 {
            return 0;
        }
        let shares: Vec<EventId> = self.all().iter().flat_map(|lane| lane.events()).collect();
        shares.len() - shares.iter().collect::<HashSet<_>>().len()
    }

    /// Shares were lost with the runtime of their lane; gives back how many events that are which
    /// nobody has counted as lost.
    fn lose(&self, events: Vec<EventId>) -> usize {
        let mut lost = self.lost.lock();
        events.into_iter().filter(|event| lost.insert(event.clone())).count()
    }
}
