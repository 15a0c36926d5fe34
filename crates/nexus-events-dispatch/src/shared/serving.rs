//! The task of a shared lane.

use std::time::Duration;

use nexus_events_model::Event;
use tokio::task::coop::consume_budget;

use super::done::{let_all_go, let_go};
use super::lane::{Share, SharedLane, Work};
use super::seat::Seat;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::here;
use crate::lane::{Lane, LaneOptions};
use crate::pass::Pass;
use crate::runtime::{Job, Skip, contain, handle, step_back};
use crate::sync::{Arc, Instant, Ordering, StdInstant};

/// How long, and how often, a busy task gives way before it looks for work, while little comes at
/// a time: every look takes the queue from those who publish.
const PAUSE: Duration = Duration::from_micros(2);
const PAUSES: usize = 16;

pub(super) struct Serving(Arc<SharedLane>);

impl Drop for Serving {
    /// Its runtime has ended, or it was closed.
    fn drop(&mut self) {
        let left = self.0.end(Skip::Stopped);
        let bus = self.0.owner.upgrade().map(Bus);
        if let Some(bus) = &bus {
            self.0.lose(bus, &left);
        }
        let_all_go(left);
        // What it had taken is gone with it, which somebody may wait for.
        self.0.state.lock().shares = 0;
        if let Some(bus) = bus {
            bus.gate().left();
        }
    }
}

impl Serving {
    pub(super) fn new(lane: Arc<SharedLane>) -> Self {
        Self(lane)
    }

    pub(super) async fn work(self) {
        let lane = &*self.0;
        let mut seat = Seat::default();
        while let Some(bus) = lane.next(&mut seat).await {
            let runs = lane.stripe.counts.runs.get();
            // What panics outside of a handler, such as the drop of a payload, costs its event.
            while !seat.batch.is_empty() {
                let run = contain(Box::pin(lane.run(&bus, &mut seat)));
                run.await.unwrap_or_else(std::mem::forget);
            }
            seat.clear();
            lane.settle(&mut seat);
            seat.end(lane.stripe.counts.runs.get() - runs);
            drop(bus);
            consume_budget().await;
        }
    }
}

impl SharedLane {
    /// Waits for work; `None` when it is over.
    async fn next(&self, seat: &mut Seat) -> Option<Bus> {
        loop {
            if seat.waits() {
                pause().await;
            }
            if self.take(seat)? {
                seat.begin();
                return seat.bus.clone();
            }
            if seat.looks_again() {
                step_back().await;
            } else {
                self.park(seat).await;
            }
        }
    }

    async fn run(&self, bus: &Bus, seat: &mut Seat) {
        while let Some(first) = seat.batch.pop_front() {
            match first {
                Work::Job { job, since, .. } => self.run_job(bus, job, since).await,
                Work::Share(share) => {
                    // Those that follow are the same pass, as far as others are concerned.
                    let _passing = self.stripe.enter_any(bus.gate());
                    let _here = here::on_lane(&self.stripe);
                    self.run_or_skip(bus, share, seat);
                    while let Some(Work::Share(_)) = seat.batch.front() {
                        if let Some(Work::Share(share)) = seat.batch.pop_front() {
                            self.run_or_skip(bus, share, seat);
                        }
                    }
                }
            }
        }
    }

    /// Not after a shutdown that was past its deadline.
    fn run_or_skip(&self, bus: &Bus, share: Share, seat: &mut Seat) {
        if self.hand.begin() {
            self.run_share(bus, share, seat);
            self.hand.end();
        } else {
            let_go(share);
        }
    }

    fn run_share(&self, bus: &Bus, share: Share, seat: &mut Seat) {
        let Share { event, route, number, bytes } = share;
        let context = seat.context(bus, &self.stripe, event, bytes, route);
        let Some(context) = context else { return };
        let Some(on_stack) = context.stack() else { return };
        let route = &on_stack.route.route;
        let places = &*route.shares()[number].places;
        let counts = &self.stripe.counts;
        let timed = seat.timed();
        let run = |places: &[usize]| {
            for place in Pass::run_share(bus, &context, counts, places, timed) {
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
        seat.keep(context);
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
        if entry.is_slow() && entry.own_lane.get().is_none() && !entry.has_ended() {
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
