//! The task of a shared lane.

use std::time::Duration;

use nexus_events_model::Event;
use tokio::task::coop::consume_budget;

use super::done::let_all_go;
use super::lane::{Share, SharedLane, Work};
use super::seat::Seat;
use super::server::Server;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::desk::Call;
use crate::entry::Entry;
use crate::here;
use crate::lane::{Lane, LaneOptions};
use crate::pass::Pass;
use crate::runtime::{Handled, Job, Skip, Unfinished, begin, contain, handle, step_back};
use crate::sync::{Arc, Instant, Ordering, StdInstant};

/// How long, and how often, a busy task gives way before it looks for work, while little comes at
/// a time: every look takes the queue from those who publish.
const PAUSE: Duration = Duration::from_micros(2);
const PAUSES: usize = 16;

pub(super) struct Serving {
    lane: Arc<SharedLane>,
    server: Arc<Server>,
}

impl Drop for Serving {
    /// Its runtime has ended, or it was closed; or another task has taken its place.
    fn drop(&mut self) {
        if self.server.returns(&self.lane) {
            return;
        }
        let left = self.lane.end(Skip::Stopped);
        let bus = self.lane.owner.upgrade().map(Bus);
        if let Some(bus) = &bus {
            self.lane.lose(bus, &left);
        }
        let_all_go(left);
        // What it had taken is gone with it, which somebody may wait for.
        self.lane.state.lock().shares = 0;
        if let Some(bus) = bus {
            bus.gate().left();
        }
    }
}

impl Serving {
    pub(super) fn new(lane: Arc<SharedLane>, server: Arc<Server>) -> Self {
        Self { lane, server }
    }

    pub(super) async fn work(self, mut seat: Seat) {
        let (lane, server) = (&*self.lane, &*self.server);
        while let Some(bus) = lane.next(server, &mut seat).await {
            let runs = server.stripe.counts.runs.get();
            // What panics outside of a handler, such as the drop of a payload, costs its event.
            while !server.hand.is_empty() && !server.is_replaced() {
                let run = contain(Box::pin(lane.run(&bus, &self.server, &mut seat)));
                run.await.unwrap_or_else(std::mem::forget);
            }
            seat.clear();
            lane.settle(server, &seat);
            seat.end(server.stripe.counts.runs.get() - runs);
            drop(bus);
            if server.is_replaced() {
                return;
            }
            consume_budget().await;
        }
    }
}

impl SharedLane {
    /// Waits for work; `None` when it is over.
    async fn next(&self, server: &Server, seat: &mut Seat) -> Option<Bus> {
        loop {
            if seat.waits() {
                pause().await;
            }
            let count = self.take(server, seat)?;
            if count > 0 {
                seat.begin(count);
                return seat.bus.clone();
            }
            if seat.looks_again() {
                step_back().await;
            } else {
                self.park(server, seat).await;
            }
        }
    }

    async fn run(&self, bus: &Bus, server: &Arc<Server>, seat: &mut Seat) {
        let hand = &server.hand;
        bus.watch().look(bus).await;
        while let Some(first) = hand.next() {
            match first {
                Work::Job { job, since, .. } => {
                    if !self.run_job(bus, server, job, since).await {
                        return;
                    }
                }
                Work::Moved(entry) => {
                    if let Some(lane) = entry.own_lane.get() {
                        lane.has_all();
                    }
                }
                Work::Share(share) => {
                    if self.run_shares(bus, server, share, seat) {
                        // Whom this has woken is not to wait for the next handler.
                        step_back().await;
                    }
                }
            }
        }
    }

    /// Runs this share and those that follow, until one has gone to other lanes too; whether one
    /// has.
    fn run_shares(&self, bus: &Bus, server: &Server, first: Share, seat: &mut Seat) -> bool {
        // They are the same pass, as far as others are concerned.
        let _passing = server.stripe.enter_any(bus.gate());
        let _here = here::on_lane(&server.stripe);
        let mut next = Some(first);
        while let Some(share) = next {
            let turn = share.turn;
            let has_left = self.run_share(bus, server, share, seat);
            server.hand.end(turn);
            if has_left {
                return true;
            }
            next = server.hand.next_share();
        }
        false
    }

    /// Whether it has gone to other lanes too.
    fn run_share(&self, bus: &Bus, server: &Server, share: Share, seat: &mut Seat) -> bool {
        let Share { event, route, number, first, moved: elsewhere, bytes, .. } = share;
        let context = seat.context(bus, &server.stripe, event, bytes, route);
        let Some(context) = context else { return false };
        let Some(on_stack) = context.stack() else { return false };
        let route = &on_stack.route.route;
        let places = &route.shares()[number].places[first..];
        let counts = &server.stripe.counts;
        let timed = seat.timed();
        let run = |places: &[usize]| {
            let (slow, has_left) = Pass::run_share(bus, &context, counts, places, timed);
            slow.into_iter().for_each(|place| self.move_out(bus, &route[place]));
            has_left
        };
        let mut has_left;
        if bus.0.shared.has_moved() {
            let moved = |place: &usize| route[*place].own_lane.get().is_some();
            let (mut moved, here): (Vec<usize>, Vec<usize>) =
                places.iter().partition(|it| moved(it));
            moved.retain(|place| !elsewhere.contains(place));
            has_left = run(&here);
            if server.is_replaced() {
                // The one that took over sees to those.
                return false;
            }
            // Last, because a task that is woken here may wait for the handlers of this one.
            moved
                .iter()
                .for_each(|at| forward(bus, &on_stack.event, &route[*at], Lane::push_early));
            has_left |= !moved.is_empty();
        } else {
            has_left = run(places);
        }
        seat.keep(context);
        has_left
    }

    /// `false` when another task has taken the place of this one.
    async fn run_job(&self, bus: &Bus, server: &Server, job: Job, since: Instant) -> bool {
        let entry = job.delivery.entry(job.place).clone();
        match entry.own_lane.get() {
            None if entry.may_wait() => match begin(&server.desk, &entry, job, since).await {
                Handled::InTime => true,
                Handled::TooLate => false,
                Handled::Waits(call) => {
                    self.give_lane(bus, &entry, Some(*call), |_| {});
                    step_back().await;
                    true
                }
            },
            None => handle(&server.desk, &entry, job, None, since, &self.workers).await,
            Some(lane) => {
                let (delivery, place) = (job.delivery.clone(), job.place);
                if let Err(reason) = lane.push_early(job)
                    && delivery.not_run(place, reason)
                {
                    bus.hand_over(delivery);
                }
                step_back().await;
                true
            }
        }
    }

    /// Gives a slow handler a lane of its own.
    fn move_out(&self, bus: &Bus, entry: &Arc<Entry>) {
        if entry.is_slow() {
            self.give_lane(bus, entry, None, |_| {});
        }
    }

    /// The handler at this place of the share that runs has to wait: it goes on in a lane of its
    /// own.
    pub(crate) fn goes_on(&self, bus: &Bus, place: usize, call: Call, unfinished: Unfinished) {
        self.server().hand.lock().elsewhere.push(place);
        let entry = call.entry.clone();
        self.give_lane(bus, &entry, Some((call, unfinished)), |_| {});
    }

    /// Gives a handler a lane of its own, of which this is said first; with the call that it is in,
    /// where it is in one.
    pub(super) fn give_lane(
        &self,
        bus: &Bus,
        entry: &Arc<Entry>,
        call: Option<(Call, Unfinished)>,
        say: impl FnOnce(&Arc<Lane>),
    ) {
        let goes_on = call.is_some();
        if !goes_on && (entry.own_lane.get().is_some() || entry.has_ended()) {
            return;
        }
        let lane = Lane::new(LaneOptions::default(), self.workers.clone());
        lane.join_from_shared(entry, call);
        say(&lane);
        bus.0.shared.moved.store(true, Ordering::Relaxed);
        let is_its_own = self.moves(bus, entry, &lane);
        // It may have ended meanwhile.
        if !is_its_own || entry.has_ended() {
            lane.leave(entry);
        }
        if entry.was_cut_off() {
            lane.abort(entry);
        }
        if goes_on {
            // Takes the place next to this task, where no other worker may take a task from.
            self.runtime.spawn(async {});
        }
        bus.0.stripes.forget();
    }
}

/// Lets some work gather. Where other tasks take their time, once is long enough.
async fn pause() {
    let begun = StdInstant::now();
    for _ in 0..PAUSES {
        step_back().await;
        if begun.elapsed() > PAUSE {
            return;
        }
    }
}

/// Leaves a share's event to a handler that has moved to a lane of its own, put there like this.
pub(super) fn forward(
    bus: &Bus,
    event: &Event,
    entry: &Arc<Entry>,
    push: impl FnOnce(&Arc<Lane>, Job) -> Result<(), Skip>,
) {
    let Some(lane) = entry.own_lane.get() else { return };
    // It is counted when it runs.
    entry.counters.passed_over();
    let delivery = Delivery::of_share(bus, event.clone(), entry.clone());
    if let Err(reason) = push(lane, Job { delivery: delivery.clone(), place: 0 })
        && delivery.not_run(0, reason)
    {
        bus.hand_over(delivery);
    }
}
