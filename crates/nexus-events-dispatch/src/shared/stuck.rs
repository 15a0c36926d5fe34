//! A handler that does not return to its shared lane: another task takes over what is left of the
//! batch, and the handler gets a lane of its own, which drops its events until it returns.

use std::time::Duration;

use super::done::let_go;
use super::hand::{Hand, Held};
use super::lane::{Share, SharedLane, Work};
use super::seat::Seat;
use super::server::Server;
use super::serving::forward;
use crate::bus::Bus;
use crate::desk::Call;
use crate::entry::Entry;
use crate::lane::Lane;
use crate::sync::{Arc, Weak};
use crate::watch::{Sight, Watched};

/// Where the task of a lane is looked at.
pub(super) struct Post {
    server: Weak<Server>,
    lane: Weak<SharedLane>,
}

impl Post {
    pub(super) fn new(server: &Arc<Server>, lane: &Arc<SharedLane>) -> Self {
        Self { server: Arc::downgrade(server), lane: Arc::downgrade(lane) }
    }
}

impl Watched for Post {
    fn is_busy(&self) -> bool {
        self.server.upgrade().is_some_and(|server| !server.desk.is_empty() || server.hand.is_busy())
    }

    fn sight(&self) -> Option<Sight> {
        let server = self.server.upgrade()?;
        if let Some((turn, entry)) = server.desk.running() {
            return Some(Sight { entry, turn, place: None });
        }
        let (turn, route) = server.hand.running()?;
        let place = server.stripe.mark.place()?;
        Some(Sight { entry: route.get(place)?.clone(), turn, place: Some(place) })
    }

    fn doubt(&self, bus: &Bus) {
        if let Some(server) = self.server.upgrade() {
            server.stripe.mark.doubt();
            // Has the task look at it before its next handler.
            bus.0.registry.changes();
            bus.0.stripes.forget();
        }
    }

    fn give_up(&self, bus: &Bus, sight: &Sight, ran: Duration) -> bool {
        let (Some(server), Some(lane)) = (self.server.upgrade(), self.lane.upgrade()) else {
            return false;
        };
        // If the task returns now, it does after all of this.
        let mut stuck = server.stuck.lock();
        let given_up = match sight.place {
            Some(place) => lane.give_up_share(bus, &server, sight, place, ran),
            None => lane.give_up_job(bus, &server, sight),
        };
        let Some(call) = given_up else { return false };
        *stuck = Some(sight.entry.clone());
        drop(stuck);
        if let Some(call) = call {
            call.time_out(ran);
        }
        true
    }
}

impl SharedLane {
    fn give_up_share(
        self: &Arc<Self>,
        bus: &Bus,
        server: &Arc<Server>,
        sight: &Sight,
        place: usize,
        ran: Duration,
    ) -> Option<Option<Call>> {
        let entry = &sight.entry;
        let mark = &server.stripe.mark;
        let mut held = server.hand.take_away(Some((sight.turn, place)), mark)?;
        let rest = held.put_back_rest(bus, place);
        if !rest {
            // As far as anybody waits for it, it is done.
            held.shares -= 1;
            self.state.lock().shares -= 1;
        }
        // Who waits for other handlers of the lane need not wait for this one.
        server.stripe.is_stuck_in(entry);
        entry.counters.gave_up(ran);
        bus.counters().run_failed();
        self.go_on(bus, held, entry);
        Some(None)
    }

    fn give_up_job(
        self: &Arc<Self>,
        bus: &Bus,
        server: &Arc<Server>,
        sight: &Sight,
    ) -> Option<Option<Call>> {
        let call = server.desk.take_from(sight.turn)?;
        let held = server.hand.take_away(None, &server.stripe.mark)?;
        self.go_on(bus, held, &sight.entry);
        Some(Some(call))
    }

    /// Goes on with another task.
    fn go_on(self: &Arc<Self>, bus: &Bus, mut held: Held, entry: &Arc<Entry>) {
        // What waits there is nothing yet.
        self.give_lane(bus, entry, None, |lane| drop(lane.is_stuck(entry, None)));
        if held.batch.is_empty() {
            self.state.lock().shares -= std::mem::take(&mut held.shares);
        }
        let_go(held.event.take());
        let route = held.route.clone();
        let next = Server::new(bus, Hand::of(held));
        self.serve_by(next.clone());
        next.start(bus, self, Seat::after(bus, &next.stripe, route));
        bus.gate().left();
    }
}

impl Held {
    /// The handlers of the share that runs that come after this one are left to be run; whether
    /// there are any. Those before it that have moved get their event now: the task would have
    /// seen to that at the end.
    fn put_back_rest(&mut self, bus: &Bus, place: usize) -> bool {
        let (Some(event), Some(route)) = (self.event.take(), &self.route) else { return false };
        let places = &route.shares()[self.share].places;
        let hung = places.iter().position(|it| *it == place);
        let (before, rest) = places.split_at(hung.unwrap_or(places.len()));
        let first = before.len() + 1;
        let has_moved = |place: usize| route[place].own_lane.get().is_some();
        let moved = before.iter().filter(|place| has_moved(**place));
        // Those that moved with this very event have it.
        let moved = moved.filter(|place| !self.elsewhere.contains(place));
        moved.for_each(|place| forward(bus, &event, &route[*place], Lane::push_early));
        if rest.len() < 2 {
            let_go(event);
            return false;
        }
        let (number, bytes) = (self.share, event.size());
        let moved = self.elsewhere.as_slice().into();
        let share = Share { event, route: None, number, first, moved, turn: 0, bytes };
        self.batch.push_front(Work::Share(share));
        true
    }
}

impl Server {
    /// The task is over; whether another one has taken its place, from a handler that has returned
    /// now.
    pub(super) fn returns(&self, lane: &SharedLane) -> bool {
        let Some(entry) = self.stuck.lock().take() else { return false };
        self.stripe.leave_lane();
        if let Some(bus) = lane.owner.upgrade().map(Bus) {
            bus.watch().returned(&entry);
        }
        if let Some(own) = entry.own_lane.get() {
            own.returns(&entry, None);
        }
        true
    }
}
