//! Handlers that wait for other ones to end, or for a bus to be idle, so that none waits for
//! itself through others.
//!
//! Each bus knows the waits that hold its handlers up, and each wait knows what it is for, on
//! whatever bus; so a circle is found by following them, and nothing is shared by buses that do
//! not know each other. Who waits notes that first and looks then: of two that would close a
//! circle at the same time at least one sees it.

use nexus_events_model::SubscriptionId;

use crate::bus::{Bus, Inner};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::shared::SharedLane;
use crate::sync::{Arc, Mutex, Weak};

/// The waits that hold up handlers of one bus.
#[derive(Default)]
pub(crate) struct Waits(Mutex<Vec<Arc<Wait>>>);

struct Wait {
    held_up: Vec<HeldUp>,
    what: What,
}

/// A handler that goes on, and its event with it, only after somebody has waited.
pub(crate) struct HeldUp {
    pub(crate) bus: Weak<Inner>,
    pub(crate) handler: SubscriptionId,
    pub(crate) delivery: Weak<Delivery>,
}

impl HeldUp {
    fn is_of(&self, bus: &Weak<Inner>) -> bool {
        Weak::ptr_eq(&self.bus, bus)
    }
}

/// What is waited for.
#[derive(Clone)]
enum What {
    /// That all runs of a handler are over.
    End(Weak<Inner>, SubscriptionId),
    /// That no event is on its way.
    Idle(Weak<Inner>),
}

impl What {
    fn bus(&self) -> &Weak<Inner> {
        match self {
            Self::End(bus, _) | Self::Idle(bus) => bus,
        }
    }

    fn needs(&self, held_up: &HeldUp) -> bool {
        match self {
            Self::End(bus, handler) => held_up.is_of(bus) && held_up.handler == *handler,
            Self::Idle(bus) => held_up.is_of(bus),
        }
    }

    /// The waits that have to be over first.
    fn needed(&self) -> Vec<Arc<Wait>> {
        let Some(bus) = self.bus().upgrade() else { return Vec::new() };
        let waits = bus.waits.0.lock();
        let needed = |wait: &&Arc<Wait>| wait.held_up.iter().any(|held_up| self.needs(held_up));
        waits.iter().filter(needed).cloned().collect()
    }

    /// Those, and the ones that these need in turn.
    fn all_needed(&self) -> Vec<Arc<Wait>> {
        let mut all = self.needed();
        let mut at = 0;
        while let Some(wait) = all.get(at).cloned() {
            for needed in wait.what.needed() {
                if !all.iter().any(|known| Arc::ptr_eq(known, &needed)) {
                    all.push(needed);
                }
            }
            at += 1;
        }
        all
    }
}

/// Code of a handler that waits, until dropped.
pub(crate) struct Waiting(Arc<Wait>);

impl Waiting {
    /// Waits for the end of a handler; `None` outside of handlers.
    pub(crate) fn for_end(bus: &Bus, handler: SubscriptionId) -> Option<Self> {
        Self::begin(What::End(Arc::downgrade(&bus.0), handler))
    }

    /// Waits until nothing is on its way; `None` outside of handlers.
    pub(crate) fn for_idle(bus: &Bus) -> Option<Self> {
        Self::begin(What::Idle(Arc::downgrade(&bus.0)))
    }

    fn begin(what: What) -> Option<Self> {
        let held_up = Context::innermost()?.held_up();
        let wait = Arc::new(Wait { held_up, what });
        for bus in wait.buses() {
            bus.0.waits.0.lock().push(wait.clone());
        }
        Some(Self(wait))
    }

    /// Whether it would wait for itself.
    pub(crate) fn is_circle(&self) -> bool {
        self.is_needed_by(&self.0.what)
    }

    fn is_needed_by(&self, what: &What) -> bool {
        what.all_needed().iter().any(|needed| Arc::ptr_eq(needed, &self.0))
    }

    /// Whether this handler goes on only afterwards.
    pub(crate) fn holds_up(&self, bus: &Bus, handler: SubscriptionId) -> bool {
        let own = |it: &HeldUp| it.bus.as_ptr() == Arc::as_ptr(&bus.0) && it.handler == handler;
        self.0.held_up.iter().any(own)
    }

    /// The events of this bus that are held up by it.
    pub(crate) fn own_events(&self, bus: &Bus) -> Vec<Arc<Delivery>> {
        events(std::slice::from_ref(&self.0), bus)
    }

    /// The events of this bus that are held up by it, or by others that wait for it.
    pub(crate) fn events(&self, bus: &Bus) -> Vec<Arc<Delivery>> {
        events(&self.holding_up(bus), bus)
    }

    /// It, and the waits on this bus that need it to be over.
    fn holding_up(&self, bus: &Bus) -> Vec<Arc<Wait>> {
        let mut waits = bus.0.waits.0.lock().clone();
        waits.retain(|wait| Arc::ptr_eq(wait, &self.0) || self.is_needed_by(&wait.what));
        waits
    }

    /// How many events are on their way because of those, or stand behind their handlers.
    pub(crate) fn in_flight(&self, bus: &Bus) -> usize {
        let waits = self.holding_up(bus);
        let mut all = events(&waits, bus);
        let shares = add_behind(&waits, bus, &mut all);
        each_once(&mut all);
        all.iter().map(|event| event.in_flight()).sum::<usize>() + shares
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for bus in self.0.buses() {
            bus.0.waits.0.lock().retain(|wait| !Arc::ptr_eq(wait, &self.0));
        }
    }
}

impl Wait {
    /// The buses whose handlers it holds up, each once.
    fn buses(&self) -> Vec<Bus> {
        let mut buses: Vec<Bus> = Vec::new();
        for bus in self.held_up.iter().filter_map(|held_up| held_up.bus.upgrade().map(Bus)) {
            if !buses.iter().any(|known| Bus::ptr_eq(known, &bus)) {
                buses.push(bus);
            }
        }
        buses
    }
}

/// The events of this bus that these hold up, each once.
fn events(waits: &[Arc<Wait>], bus: &Bus) -> Vec<Arc<Delivery>> {
    let held_up = waits.iter().flat_map(|wait| &wait.held_up);
    let here = held_up.filter(|it| it.bus.as_ptr() == Arc::as_ptr(&bus.0));
    let mut events: Vec<Arc<Delivery>> = here.filter_map(|it| it.delivery.upgrade()).collect();
    each_once(&mut events);
    events
}

fn each_once(events: &mut Vec<Arc<Delivery>>) {
    events.sort_by_key(|event| Arc::as_ptr(event).addr());
    events.dedup_by(|a, b| Arc::ptr_eq(a, b));
}

/// Adds the events that stand behind handlers which these hold up; gives back how many more shares
/// of events do.
fn add_behind(waits: &[Arc<Wait>], bus: &Bus, events: &mut Vec<Arc<Delivery>>) -> usize {
    let held_up = waits.iter().flat_map(|wait| &wait.held_up);
    let here = held_up.filter(|it| it.bus.as_ptr() == Arc::as_ptr(&bus.0));
    let runs: Vec<(SubscriptionId, Arc<Delivery>)> =
        here.filter_map(|it| Some((it.handler, it.delivery.upgrade()?))).collect();
    let of = |entry: &Entry| {
        let mut own: Vec<_> = runs.iter().filter(|(id, _)| *id == entry.id).cloned().collect();
        own.dedup_by(|a, b| Arc::ptr_eq(&a.1, &b.1));
        own.into_iter().map(|(_, delivery)| delivery).collect()
    };
    let mut handlers: Vec<SubscriptionId> = runs.iter().map(|(id, _)| *id).collect();
    handlers.sort_unstable();
    handlers.dedup();
    let mut shares = 0;
    let mut seen: Vec<Arc<SharedLane>> = Vec::new();
    for entry in handlers.into_iter().filter_map(|id| bus.0.registry.entry(id)) {
        entry.lanes().for_each(|lane| events.extend(lane.behind(of)));
        // One that may wait holds up nobody there.
        let is_held_up = entry.own_lane.get().is_none() && !entry.may_wait();
        let Some(lane) = entry.shared.get().filter(|_| is_held_up) else { continue };
        if !seen.iter().any(|known| Arc::ptr_eq(known, lane)) {
            let (jobs, more) = lane.behind();
            events.extend(jobs);
            shares += more;
            seen.push(lane.clone());
        }
    }
    shares
}
