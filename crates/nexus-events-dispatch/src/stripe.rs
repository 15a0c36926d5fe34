//! What one thread keeps of a bus, so that publishing writes nothing that other threads write.
//!
//! A *pass* is an event on a publisher's own stack. A thread marks its pass in its stripe; who
//! has to know that a handler runs no more, or that nothing is on its way, reads the stripes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use nexus_events_model::{EventType, SubscriptionId};

use crate::bus::Inner;
use crate::entry::Entry;
use crate::gate::Gate;
use crate::handler::States;
use crate::history::Stage;
use crate::limits::ROUTES_CACHED_MAX;
use crate::mark::Mark;
use crate::route::Route;
use crate::sync::{Arc, AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Mutex, Ordering, Weak};

/// A number that only one thread changes and all may read.
#[derive(Default)]
pub(crate) struct Own(AtomicU64);

impl Own {
    pub(crate) fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of the events that passed on one thread's stack alone.
#[derive(Default)]
pub(crate) struct PassCounts {
    pub(crate) published: Own,
    pub(crate) handled: Own,
    pub(crate) filtered: Own,
    pub(crate) unmatched: Own,
    pub(crate) skipped: Own,
    /// Handler runs, failed ones included.
    pub(crate) runs: Own,
    pub(crate) failed: Own,
    pub(crate) unsubscribed: Own,
}

/// One thread's part of a bus. Aligned so that no two threads share a cache line.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Stripe {
    /// Odd while an event passes.
    passes: AtomicU64,
    /// The route of that event: an address, only to be compared.
    route: AtomicUsize,
    /// The handler on this stack that waits for another one to end; 0 for none.
    waiting: AtomicU64,
    pub(crate) counts: PassCounts,
    /// Where a lane's task is.
    pub(crate) mark: Mark,
    /// What it has published that the history has not filed.
    pub(crate) stage: Stage,
    routes: Mutex<Routes>,
    taken: AtomicBool,
    /// Whether it is a lane's, which counts its events itself.
    of_lane: AtomicBool,
}

#[derive(Default)]
struct Routes {
    by_type: ByType,
    /// The address of a running pass's route that was let go of, and its handlers.
    passing: (usize, Vec<SubscriptionId>),
}

type ByType = HashMap<EventType, Arc<ThreadRoute>, BuildHasherDefault<NameHasher>>;

/// Event types bring their hash along.
#[derive(Default)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A route as one thread uses it, with that thread's own counts. The stripe owns it and lets go
/// of it when the registry changes.
pub(crate) struct ThreadRoute {
    pub(crate) bus: Weak<Inner>,
    pub(crate) states: Arc<States>,
    pub(crate) stripe: Arc<Stripe>,
    pub(crate) route: Arc<Route>,
    /// Events that every handler of the route ran with, but for those counted as missed.
    pub(crate) passes: Own,
    /// When the last of them began, in microseconds of Unix time.
    pub(crate) last: AtomicI64,
    /// Whether its stripe has let go of it; a pass may still hold it.
    gone: AtomicBool,
}

impl ThreadRoute {
    /// As a thread or a lane uses a route; nobody else writes what it holds.
    pub(crate) fn new(bus: &Arc<Inner>, stripe: &Arc<Stripe>, route: Arc<Route>) -> Arc<Self> {
        Arc::new(Self {
            bus: Arc::downgrade(bus),
            states: bus.states.clone(),
            stripe: stripe.clone(),
            route,
            passes: Own::default(),
            last: AtomicI64::new(0),
            gone: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Drop for ThreadRoute {
    /// What it counted goes to the handlers.
    fn drop(&mut self) {
        let (passes, last) = (self.passes.get(), self.last.load(Ordering::Relaxed));
        if passes > 0 {
            self.route.iter().for_each(|entry| entry.counters.passed(passes, last));
        }
    }
}

impl Stripe {
    /// Begins a pass; `None` when this thread is inside of one already.
    pub(crate) fn enter<'a>(
        &'a self,
        route: &Arc<ThreadRoute>,
        gate: &'a Gate,
    ) -> Option<Passing<'a>> {
        let passes = self.passes.load(Ordering::Relaxed);
        if passes % 2 == 1 {
            return None;
        }
        self.route.store(Arc::as_ptr(route).addr(), Ordering::Relaxed);
        // Before anything that might close the bus or end a handler is looked at.
        self.passes.swap(passes + 1, Ordering::SeqCst);
        Some(Passing { stripe: self, gate })
    }

    /// Begins a pass of events of any route.
    pub(crate) fn enter_any<'a>(&'a self, gate: &'a Gate) -> Passing<'a> {
        self.route.store(0, Ordering::Relaxed);
        self.passes.fetch_add(1, Ordering::SeqCst);
        Passing { stripe: self, gate }
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.passes.load(Ordering::SeqCst) % 2 == 1
    }

    /// The pass this handler may be running in, by its number.
    pub(crate) fn pass_of(&self, entry: &Arc<Entry>) -> Option<u64> {
        let pass = self.passes.load(Ordering::SeqCst);
        if pass.is_multiple_of(2) {
            return None;
        }
        let address = self.route.load(Ordering::Relaxed);
        let routes = self.routes.lock();
        let route = routes.by_type.values().find(|route| Arc::as_ptr(route).addr() == address);
        let may_run = match (route, &routes.passing) {
            (Some(route), _) => route.route.iter().any(|on| Arc::ptr_eq(on, entry)),
            // A pass of any route has no address.
            (None, (passing, handlers)) if address != 0 && *passing == address => {
                handlers.contains(&entry.id)
            }
            // It is between two passes, most likely.
            (None, _) => true,
        };
        may_run.then_some(pass)
    }

    /// Whether that pass is over, or its thread waits in another handler and will look again
    /// before it calls this one.
    pub(crate) fn is_past(&self, pass: u64, entry: &Entry) -> bool {
        let waiting = self.waiting.load(Ordering::SeqCst);
        self.passes.load(Ordering::SeqCst) != pass || (waiting != 0 && waiting != entry.id.number())
    }

    /// Says that this handler, on this thread's stack, waits until the result is dropped.
    pub(crate) fn wait_in(&self, entry: &Entry) -> Waiting<'_> {
        let own = entry.id.number();
        Waiting { stripe: self, own, before: self.waiting.swap(own, Ordering::SeqCst) }
    }

    /// Says that this handler on this thread's stack does not return: nobody waits for the pass but
    /// who ends that one.
    pub(crate) fn is_stuck_in(&self, entry: &Entry) {
        self.waiting.store(entry.id.number(), Ordering::SeqCst);
    }

    /// This handler waits elsewhere now, and the thread goes on.
    pub(crate) fn waits_elsewhere(&self, entry: &Entry) {
        self.ends_wait(entry.id.number(), 0);
    }

    fn ends_wait(&self, own: u64, before: u64) {
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        let _ = self.waiting.compare_exchange(own, before, set, fetch);
    }

    /// The route of this type, found once.
    pub(crate) fn route(
        self: &Arc<Self>,
        bus: &Arc<Inner>,
        event_type: &EventType,
    ) -> Arc<ThreadRoute> {
        let mut routes = self.routes.lock();
        if let Some(route) = routes.by_type.get(event_type) {
            return route.clone();
        }
        let too_many = if routes.by_type.len() < ROUTES_CACHED_MAX {
            ByType::default()
        } else {
            self.let_go(&mut routes)
        };
        // Read under the lock, so that a change of the registry after this finds the route here.
        let ends = bus.registry.ends();
        let snapshot = bus.registry.snapshot();
        let found = Arc::new(snapshot.find(event_type, ends));
        let route = ThreadRoute::new(bus, self, found);
        routes.by_type.insert(event_type.clone(), route.clone());
        drop(routes);
        // Handlers may go with these.
        drop((snapshot, too_many));
        route
    }

    /// Adds up what handlers did in passes on this thread that are not told to them yet.
    pub(crate) fn for_each_route(&self, mut see: impl FnMut(&ThreadRoute)) {
        self.routes.lock().by_type.values().for_each(|route| see(route));
    }

    /// Forgets all routes. They are dropped by the caller, because handlers may go with them.
    fn forget(&self) -> ByType {
        self.let_go(&mut self.routes.lock())
    }

    /// What a pass or another thread still holds of these shows that they are gone.
    fn let_go(&self, routes: &mut Routes) -> ByType {
        let gone = std::mem::take(&mut routes.by_type);
        let address = self.route.load(Ordering::Relaxed);
        for route in gone.values() {
            route.gone.store(true, Ordering::Release);
            if self.is_passing() && Arc::as_ptr(route).addr() == address {
                routes.passing = (address, route.route.iter().map(|entry| entry.id).collect());
            }
        }
        gone
    }

    /// Lets a thread have it that a lane's task has left for good.
    pub(crate) fn leave_lane(&self) {
        self.waiting.store(0, Ordering::SeqCst);
        self.of_lane.store(false, Ordering::Relaxed);
        self.release();
    }

    /// Lets another thread have it, at the end of this one.
    pub(crate) fn release(&self) {
        drop(self.forget());
        self.taken.store(false, Ordering::Release);
    }
}

/// An event on a thread's stack, until dropped.
pub(crate) struct Passing<'a> {
    stripe: &'a Stripe,
    gate: &'a Gate,
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        let passes = self.stripe.passes.load(Ordering::Relaxed);
        self.stripe.passes.swap(passes + 1, Ordering::SeqCst);
        self.gate.left();
    }
}

/// See [`Stripe::wait_in`].
pub(crate) struct Waiting<'a> {
    stripe: &'a Stripe,
    own: u64,
    before: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.stripe.ends_wait(self.own, self.before);
    }
}

/// The stripes of all threads that have published on a bus.
#[derive(Default)]
pub(crate) struct Stripes {
    all: Mutex<Vec<Arc<Stripe>>>,
    /// Whether more than one thread may have published.
    several: AtomicBool,
}

impl Stripes {
    /// A stripe for a new thread, left by one that has ended where there is one.
    pub(crate) fn take(&self) -> Arc<Stripe> {
        let mut stripes = self.all.lock();
        let left = stripes.iter().find(|stripe| !stripe.taken.swap(true, Ordering::Acquire));
        if let Some(stripe) = left {
            return stripe.clone();
        }
        let stage = Stage::new(stripes.len() + 1);
        let stripe = Arc::new(Stripe { stage, ..Stripe::default() });
        stripe.taken.store(true, Ordering::Relaxed);
        if !stripes.is_empty() {
            self.have_others();
        }
        stripes.push(stripe.clone());
        stripe
    }

    /// A stripe for a shared lane.
    pub(crate) fn take_for_lane(&self) -> Arc<Stripe> {
        let stripe = Arc::<Stripe>::default();
        stripe.taken.store(true, Ordering::Relaxed);
        stripe.of_lane.store(true, Ordering::Relaxed);
        self.all.lock().push(stripe.clone());
        stripe
    }

    pub(crate) fn all(&self) -> Vec<Arc<Stripe>> {
        self.all.lock().clone()
    }

    /// Whether more than one thread may have published.
    #[inline]
    pub(crate) fn are_several(&self) -> bool {
        self.several.load(Ordering::Relaxed)
    }

    /// Before another thread than that of the first stripe publishes.
    pub(crate) fn have_others(&self) {
        self.several.store(true, Ordering::Relaxed);
    }

    /// Shows all of them, while there will be no new one.
    pub(crate) fn with_all<T>(&self, see: impl FnOnce(&[Arc<Stripe>]) -> T) -> T {
        see(&self.all.lock())
    }

    /// How many events pass on publishers' stacks right now.
    pub(crate) fn passing(&self) -> usize {
        let passes =
            |stripe: &&Arc<Stripe>| !stripe.of_lane.load(Ordering::Relaxed) && stripe.is_passing();
        self.all.lock().iter().filter(passes).count()
    }

    /// Forgets all routes, after the registry has changed.
    pub(crate) fn forget(&self) {
        let forgotten: Vec<ByType> = self.all().iter().map(|stripe| stripe.forget()).collect();
        drop(forgotten);
    }

    /// The sum of one count over all threads.
    pub(crate) fn sum(&self, count: impl Fn(&PassCounts) -> &Own) -> u64 {
        self.all.lock().iter().map(|stripe| count(&stripe.counts).get()).sum()
    }
}
