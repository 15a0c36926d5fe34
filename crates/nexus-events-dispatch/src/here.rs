//! What the running thread knows of the buses it publishes on.

use std::cell::{Cell, RefCell};

use nexus_events_model::EventType;

use crate::bus::Inner;
use crate::stripe::{Stripe, ThreadRoute};
use crate::sync::{Arc, Weak, thread_local};

/// Buses a thread remembers; publishing on more of them in turn costs a search each time.
const BUSES: usize = 8;

/// Event types found at once; others cost a look into the stripe's table.
const SLOTS: usize = 64;

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here { stripes: Vec::new(), slots: Vec::new() }) };
}

thread_local! {
    /// The stripe of the lane whose handlers this thread runs: an address, only to be compared.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// Says that this thread runs handlers of a lane, until dropped.
pub(crate) struct OnLane(usize);

pub(crate) fn on_lane(stripe: &Arc<Stripe>) -> OnLane {
    OnLane(LANE.with(|lane| lane.replace(Arc::as_ptr(stripe).addr())))
}

impl Drop for OnLane {
    fn drop(&mut self) {
        LANE.with(|lane| lane.set(self.0));
    }
}

struct Here {
    /// By bus, the last one used first.
    stripes: Vec<(u64, Arc<Stripe>)>,
    slots: Vec<Option<Slot>>,
}

struct Slot {
    bus: u64,
    event_type: EventType,
    /// The stripe lets go of it when the registry changes.
    route: Weak<ThreadRoute>,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.stripes.iter().for_each(|(_, stripe)| stripe.release());
    }
}

/// This thread's route for an event type; `None` at the very end of a thread, and where the drop
/// of a handler publishes.
pub(crate) fn route(bus: &Arc<Inner>, event_type: &EventType) -> Option<Arc<ThreadRoute>> {
    let find = |here: &RefCell<Here>| Some(here.try_borrow_mut().ok()?.route(bus, event_type));
    HERE.try_with(find).ok().flatten()
}

/// This thread's stripe; `None` as for [`route`].
pub(crate) fn stripe(bus: &Arc<Inner>) -> Option<Arc<Stripe>> {
    let find = |here: &RefCell<Here>| Some(here.try_borrow_mut().ok()?.stripe(bus));
    HERE.try_with(find).ok().flatten()
}

/// Whether this is the running thread's stripe.
pub(crate) fn is_own(stripe: &Arc<Stripe>) -> bool {
    let own = |here: &RefCell<Here>| {
        let here = here.try_borrow().ok()?;
        Some(here.stripes.iter().any(|(_, known)| Arc::ptr_eq(known, stripe)))
    };
    LANE.with(Cell::get) == Arc::as_ptr(stripe).addr()
        || HERE.try_with(own).ok().flatten().unwrap_or(false)
}

impl Here {
    fn route(&mut self, bus: &Arc<Inner>, event_type: &EventType) -> Arc<ThreadRoute> {
        let at = (event_type.name_hash() ^ bus.id) as usize % SLOTS;
        if let Some(Some(slot)) = self.slots.get(at)
            && slot.bus == bus.id
            && slot.event_type == *event_type
            && let Some(route) = slot.route.upgrade()
            // A pass on this very stack may hold it longer than the stripe does.
            && !route.is_gone()
        {
            return route;
        }
        self.find(bus, event_type, at)
    }

    #[cold]
    fn find(&mut self, bus: &Arc<Inner>, event_type: &EventType, at: usize) -> Arc<ThreadRoute> {
        let route = self.stripe(bus).route(bus, event_type);
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let (bus, event_type) = (bus.id, event_type.clone());
        self.slots[at] = Some(Slot { bus, event_type, route: Arc::downgrade(&route) });
        route
    }

    fn stripe(&mut self, bus: &Arc<Inner>) -> Arc<Stripe> {
        let known = self.stripes.iter().position(|(id, _)| *id == bus.id);
        let stripe = match known {
            Some(at) => self.stripes.remove(at).1,
            None => bus.stripes.take(),
        };
        if self.stripes.len() >= BUSES
            && let Some(idle) = self.stripes.iter().rposition(|(_, stripe)| !stripe.is_passing())
        {
            self.stripes.remove(idle).1.release();
        }
        self.stripes.insert(0, (bus.id, stripe.clone()));
        stripe
    }
}
