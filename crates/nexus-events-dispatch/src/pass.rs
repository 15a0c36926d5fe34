//! The short way of an event whose handlers all run inline: on the publisher's stack from the
//! first to the last, without allocating and without writing what other threads write.
//!
//! As soon as something outlives the stack or changes the course (a cancel, a follow-up, a clone
//! of the context, further attempts) the pass becomes a [`Delivery`], which goes on after the
//! running wave. What a pass means is written there; this is only faster.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use nexus_events_model::{Event, OutcomeStatus};
use time::OffsetDateTime;

use crate::bus::Bus;
use crate::context::{Context, OnStack};
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::handler::HandlerError;
use crate::here;
use crate::limits::TIMED_PASSES;
use crate::publish::Receipt;
use crate::registry::Registry;
use crate::route::Route;
use crate::runtime::{Skip, Turn};
use crate::stripe::PassCounts;
use crate::sync::{Arc, Ordering};

/// How far an event came.
pub(crate) enum Passed {
    /// Every handler is done.
    Through(Receipt),
    /// It has become a delivery, to be driven on.
    Left(Arc<Delivery>),
}

/// Takes an event through its handlers, `stamped` then if the bus did that.
pub(crate) fn pass(bus: &Bus, event: Event, stamped: Option<OffsetDateTime>) -> Result<Passed> {
    let long_way = |event| Ok(Passed::Left(Delivery::first(bus, event, None)?));
    let route = match here::route(&bus.0, event.event_type()) {
        Some(route) if route.route.is_inline() => route,
        _ => return long_way(event),
    };
    let context = Context::on_stack(event, route);
    let Some(on_stack) = context.stack() else { return long_way(context.into_event()) };
    let Some(_passing) = on_stack.route.stripe.enter(&on_stack.route, bus.gate()) else {
        return long_way(context.into_event());
    };
    if bus.gate().is_closed() {
        return Err(Error::closed());
    }
    bus.history_ring().push(&on_stack.event);
    let mut pass = Pass {
        registry: &bus.0.registry,
        context: &context,
        on_stack,
        apart: Vec::new(),
        ended: 0,
    };
    let end = context.within(|| pass.run());
    Ok(pass.finish(bus, end, stamped))
}

struct Pass<'a> {
    registry: &'a Registry,
    context: &'a Context,
    on_stack: &'a OnStack,
    /// Places of handlers that are counted apart: they did not run, or try again.
    apart: Vec<usize>,
    /// How many of those were unsubscribed.
    ended: usize,
}

impl Pass<'_> {
    fn counts(&self) -> &PassCounts {
        &self.on_stack.route.stripe.counts
    }

    fn route(&self) -> &Route {
        &self.on_stack.route.route
    }

    /// Runs wave after wave; gives back where it ended.
    fn run(&mut self) -> usize {
        let timed = self.counts().published.get().is_multiple_of(TIMED_PASSES);
        self.counts().published.add(1);
        let mut at = 0;
        while let Some(end) = self.route().wave_end(at) {
            self.run_wave(at..end, timed);
            at = end;
            if self.on_stack.delivery().is_some() {
                break;
            }
        }
        at
    }

    fn run_wave(&mut self, mut wave: Range<usize>, timed: bool) {
        while !wave.is_empty() {
            let rest = wave.clone();
            let run = AssertUnwindSafe(|| match timed {
                true => self.run_handlers::<true>(rest),
                false => self.run_handlers::<false>(rest),
            });
            let Err(panic) = catch_unwind(run) else { return };
            // Dropping it might panic again.
            std::mem::forget(panic);
            let place = self.context.place();
            self.count_failure(&self.route()[place], OutcomeStatus::Panicked);
            wave.start = place + 1;
        }
    }

    fn run_handlers<const TIMED: bool>(&mut self, places: Range<usize>) {
        let OnStack { event, route, .. } = self.on_stack;
        let filtered = route.route.is_filtered();
        for (entry, place) in route.route[places.clone()].iter().zip(places) {
            self.context.set_place(place);
            // One number for all handlers, so that theirs need not be read.
            let ended = self.registry.ends() != route.ends && entry.has_ended();
            if ended || (filtered && !entry.accepts(event)) {
                self.miss(place);
                continue;
            }
            let started = TIMED.then(Instant::now);
            if let Some(error) = (entry.turn)(event, self.context) {
                self.fail(place, error);
            }
            if let Some(started) = started {
                entry.counters.timed(started.elapsed());
            }
        }
    }

    #[cold]
    fn miss(&mut self, place: usize) {
        self.apart.push(place);
        let entry = &self.route()[place];
        if entry.has_ended() {
            self.ended += 1;
            self.counts().unsubscribed.add(1);
        } else {
            entry.counters.skipped(Skip::Filtered);
        }
    }

    #[cold]
    fn fail(&mut self, place: usize, mut error: HandlerError) {
        let retries = error.take_retries();
        let status = error.outcome();
        if let Some(retries) = retries {
            self.apart.push(place);
            let (delivery, entry) = (self.context.delivery(), &self.route()[place]);
            let turn = Turn::begin(delivery, entry);
            let ended = turn.end(Ok(Err(error.with_retries(retries))));
            delivery.end(place, entry, ended, None);
        } else {
            // Its drop may panic, which then counts instead.
            drop(error);
            self.count_failure(&self.route()[place], status);
        }
    }

    fn count_failure(&self, entry: &Entry, status: OutcomeStatus) {
        entry.counters.failed(status);
        self.counts().failed.add(1);
    }

    fn finish(self, bus: &Bus, end: usize, stamped: Option<OffsetDateTime>) -> Passed {
        let handlers = self.route().len();
        if let Some(delivery) = self.on_stack.delivery() {
            let alone = (0..end).filter(|place| !self.apart.contains(place));
            let ran: Vec<usize> = alone.collect();
            let last = unix_micros(stamped.unwrap_or_else(|| bus.now()));
            ran.iter().for_each(|place| self.route()[*place].counters.passed(1, last));
            self.counts().runs.add(ran.len() as u64);
            delivery.take_over(end, !ran.is_empty());
            return Passed::Left(delivery.clone());
        }
        let ran = handlers - self.apart.len();
        let counts = self.counts();
        if ran > 0 {
            self.on_stack.route.passes.add(1);
            let last = unix_micros(stamped.unwrap_or_else(|| bus.now()));
            self.on_stack.route.last.store(last, Ordering::Relaxed);
            self.apart.iter().for_each(|place| self.route()[*place].counters.passed_over());
            counts.runs.add(ran as u64);
            counts.handled.add(1);
        } else if handlers == 0 {
            counts.unmatched.add(1);
        } else if self.ended == 0 {
            counts.filtered.add(1);
        } else {
            counts.skipped.add(1);
        }
        let filtered = self.apart.len() - self.ended;
        let id = self.on_stack.event.id().clone();
        Passed::Through(Receipt { matched: handlers - filtered, ..Receipt::new(id) })
    }
}

fn unix_micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}
