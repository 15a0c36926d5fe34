//! The short way of an event whose handlers all run inline: on the publisher's stack from the
//! first to the last, without allocating and without writing what other threads write.
//!
//! As soon as something outlives the stack or changes the course (a cancel, a follow-up, a clone
//! of the context, further attempts) the pass becomes a [`Delivery`], which goes on after the
//! running wave. What a pass means is written there; this is only faster.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nexus_events_model::{Event, OutcomeStatus};

use crate::bus::Bus;
use crate::context::{Context, OnStack};
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::handler::{HandlerError, Rest};
use crate::here;
use crate::limits::{SLOW_HANDLER, SLOW_TURN, TIMED_HANDLERS, TIMED_PASSES};
use crate::mark::Mark;
use crate::publish::Receipt;
use crate::route::{Route, Way};
use crate::runtime::{Job, Skip, Turn, Unfinished};
use crate::shared::{Few, Given, SharedLane, share_out};
use crate::stripe::{PassCounts, ThreadRoute};
use crate::sync::{Arc, Instant, Ordering, StdInstant};
use crate::trace;

/// How far an event came.
pub(crate) enum Passed {
    /// Every handler is done or has it in its queue. Whether a shared lane was woken for it.
    Through(Receipt, bool),
    /// It has to wait for room in this lane; nothing has happened yet.
    Blocked(Event, Arc<SharedLane>),
    /// It has become a delivery, to be driven on.
    Left(Arc<Delivery>),
}

/// Takes an event through its handlers; the bus has stamped it then, in microseconds of Unix time,
/// if it has.
pub(crate) fn pass(bus: &Bus, event: Event, stamped: Option<i64>) -> Result<Passed> {
    let long_way = |event| Ok(Passed::Left(Delivery::first(bus, event, None)?));
    let route = match here::route(&bus.0, event.event_type()) {
        Some(route) if !trace::has_spans() => route,
        _ => return long_way(event),
    };
    match route.route.way() {
        Way::Pass => {}
        Way::Nobody => return pass_by(bus, event, &route),
        Way::Shares => return share_out(bus, event, &route, stamped),
        Way::Long => return long_way(event),
    }
    // A full lane is not to hold back the handlers that need not wait for it.
    if route.route.blocked().is_some() {
        return long_way(event);
    }
    let context = Context::on_stack(event, route);
    let Some(on_stack) = context.stack() else { return long_way(context.into_event()) };
    let Some(_passing) = on_stack.route.stripe.enter(&on_stack.route, bus.gate()) else {
        return long_way(context.into_event());
    };
    if bus.gate().is_closed() {
        return Err(Error::closed());
    }
    bus.record(&on_stack.event, &on_stack.route.stripe);
    let mut pass = Pass {
        bus,
        context: &context,
        on_stack,
        counts: &on_stack.route.stripe.counts,
        mark: &on_stack.route.stripe.mark,
        aside: None,
        woken: false,
        done: Few::default(),
        timed: Timed::None,
    };
    let end = context.within(|| pass.run());
    Ok(pass.finish(bus, end, stamped))
}

/// Which handlers of an event are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    None,
    /// Every [`TIMED_HANDLERS`]th, from this one on.
    From(u64),
    All,
}

impl Timed {
    /// One event in [`TIMED_PASSES`] is timed, and of its handlers some in turn: looking at the
    /// clock takes longer than many a handler.
    pub(crate) fn of(events: u64) -> Self {
        match events.is_multiple_of(TIMED_PASSES) {
            true => Self::From(events / TIMED_PASSES),
            false => Self::None,
        }
    }

    /// Whether it means the handler at this place, of so many.
    fn means(self, place: usize, handlers: usize) -> bool {
        match self {
            Self::None => false,
            Self::From(first) => {
                let turns = TIMED_HANDLERS.min(handlers.max(1)) as u64;
                place as u64 % turns == first % turns
            }
            Self::All => true,
        }
    }
}

/// The way of an event that nobody waits for. There is nothing to run, so nobody has to know of
/// the pass.
fn pass_by(bus: &Bus, event: Event, route: &ThreadRoute) -> Result<Passed> {
    if bus.gate().is_closed() {
        return Err(Error::closed());
    }
    let counts = &route.stripe.counts;
    let begun = counts.published.get().is_multiple_of(TIMED_PASSES).then(StdInstant::now);
    bus.record(&event, &route.stripe);
    counts.published.add(1);
    counts.unmatched.add(1);
    if let Some(begun) = begun {
        bus.counters().timed(begun.elapsed());
    }
    Ok(Passed::Through(Receipt::new(event.id().clone()), false))
}

pub(crate) struct Pass<'a> {
    bus: &'a Bus,
    context: &'a Context,
    on_stack: &'a OnStack,
    counts: &'a PassCounts,
    /// Where the task is, on a lane.
    mark: &'a Mark,
    /// `None` as long as every handler runs, once and quickly.
    aside: Option<Box<Aside>>,
    /// Whether a shared lane was woken.
    woken: bool,
    /// What lanes are done with, dropped at the end.
    done: Few,
    timed: Timed,
}

/// What handlers did other than run.
struct Aside {
    /// Places of handlers that are counted apart: they did not run, or try again.
    apart: Vec<usize>,
    /// How many of those were unsubscribed.
    ended: usize,
    /// How many of those have nobody to run them any more.
    stopped: usize,
    /// Places of handlers that took long, where that was looked at.
    slow: Vec<usize>,
    /// How many go on elsewhere, and are counted there.
    left: usize,
}

static NOTHING: Aside =
    Aside { apart: Vec::new(), ended: 0, stopped: 0, slow: Vec::new(), left: 0 };

impl Pass<'_> {
    fn aside(&self) -> &Aside {
        self.aside.as_deref().unwrap_or(&NOTHING)
    }

    #[cold]
    fn note(&mut self) -> &mut Aside {
        let nothing = || Box::new(Aside { apart: Vec::new(), slow: Vec::new(), ..NOTHING });
        self.aside.get_or_insert_with(nothing)
    }

    fn route(&self) -> &Route {
        &self.on_stack.route.route
    }

    /// Runs wave after wave; gives back where it ended.
    fn run(&mut self) -> usize {
        self.timed = Timed::of(self.counts.published.get());
        self.counts.published.add(1);
        if self.timed == Timed::None { self.run_waves::<false>() } else { self.run_timed() }
    }

    /// The same for a pass that is timed.
    #[cold]
    fn run_timed(&mut self) -> usize {
        let begun = StdInstant::now();
        let end = self.run_waves::<true>();
        if self.on_stack.delivery().is_none() {
            self.bus.counters().timed(begun.elapsed());
        }
        end
    }

    #[inline]
    fn run_waves<const TIMED: bool>(&mut self) -> usize {
        let mut at = 0;
        while let Some(end) = self.route().wave_end(at) {
            if end == self.route().len() && !self.route().shares().is_empty() {
                self.hand_out();
            }
            self.run_wave::<TIMED>(at..end);
            at = end;
            if self.on_stack.delivery().is_some() {
                break;
            }
        }
        at
    }

    /// Queues the event for the shared lanes of the last wave. One that has become full meanwhile
    /// takes it too.
    fn hand_out(&mut self) {
        let OnStack { event, route, .. } = self.on_stack;
        let shares = route.route.shares();
        let bytes = event.size();
        for (number, share) in shares.iter().enumerate() {
            let (event, route, done) = (event.clone(), &route.route, &mut self.done);
            match share.lane.push_share(self.bus, event, bytes, route, number, done) {
                Given::Queued => {}
                Given::Woken => self.woken = true,
                Given::Over => share.places.iter().for_each(|place| self.stop(*place)),
            }
        }
    }

    /// Runs the handlers of one shared lane; gives back the slow ones, if it was looked for them,
    /// and whether some have gone on elsewhere.
    pub(crate) fn run_share(
        bus: &Bus,
        context: &Context,
        counts: &PassCounts,
        places: &[usize],
        timed: Timed,
    ) -> (Vec<usize>, bool) {
        let Some(on_stack) = context.stack() else { return (Vec::new(), false) };
        let (mark, woken, done) = (&on_stack.route.stripe.mark, false, Few::default());
        let mut pass =
            Pass { bus, context, on_stack, counts, mark, aside: None, woken, done, timed };
        let begun = context.within(|| pass.run_places(places));
        let goes_on = pass.mark.leave();
        // A call that was given up is counted already.
        pass.finish_share(begun - usize::from(!goes_on));
        pass.aside.map_or_else(Default::default, |aside| (aside.slow, aside.left > 0))
    }

    /// Runs these handlers, unless one takes so long that somebody else does; gives back how many
    /// it has called, or was about to.
    fn run_places(&mut self, places: &[usize]) -> usize {
        let mut at = 0;
        while at < places.len() {
            let run = AssertUnwindSafe(|| {
                while let Some(place) = places.get(at) {
                    at += 1;
                    let goes_on = match self.timed {
                        Timed::None => self.run_handler::<false, true>(*place, false),
                        _ => self.run_handler::<true, true>(*place, false),
                    };
                    if !goes_on {
                        return false;
                    }
                }
                true
            });
            match catch_unwind(run) {
                Ok(true) => {}
                Ok(false) => return at - 1,
                Err(panic) => self.panicked(panic),
            }
        }
        at
    }

    /// The handler that ran last panicked.
    #[cold]
    fn panicked(&self, panic: Box<dyn Any + Send>) {
        if self.is_given_up() {
            return std::mem::forget(panic);
        }
        let entry = &self.route()[self.context.place()];
        trace::panicked(&self.on_stack.event, entry, &*panic);
        // Dropping it might panic again.
        std::mem::forget(panic);
        self.count_failure(entry, OutcomeStatus::Panicked);
    }

    /// Whether the handler that ran last was not waited for.
    fn is_given_up(&self) -> bool {
        self.on_stack.is_on_lane() && self.mark.is_replaced()
    }

    fn finish_share(&self, begun: usize) {
        let Aside { apart, left, .. } = self.aside();
        let ran = begun - apart.len() - left;
        self.counts.runs.add(ran as u64);
        apart.iter().for_each(|place| self.route()[*place].counters.passed_over());
        if let Some(delivery) = self.on_stack.delivery() {
            delivery.take_over(self.route().len(), ran > 0);
            if delivery.leave() {
                delivery.clone().drive_on();
            }
        }
    }

    fn run_wave<const TIMED: bool>(&mut self, mut wave: Range<usize>) {
        while !wave.is_empty() {
            let rest = wave.clone();
            let run = AssertUnwindSafe(|| self.run_handlers::<TIMED>(rest));
            let Err(panic) = catch_unwind(run) else { return };
            self.panicked(panic);
            wave.start = self.context.place() + 1;
        }
    }

    fn run_handlers<const TIMED: bool>(&mut self, places: Range<usize>) {
        let route = &self.on_stack.route.route;
        let (filtered, shared) = (route.is_filtered(), !route.shares().is_empty());
        for place in places {
            if !(shared && route[place].is_queued()) {
                self.run_handler::<TIMED, false>(place, filtered);
            }
        }
    }

    /// `false` when a lane's task is to stop before this handler.
    #[inline]
    fn run_handler<const TIMED: bool, const LANE: bool>(
        &mut self,
        place: usize,
        filtered: bool,
    ) -> bool {
        let event = &self.on_stack.event;
        let route = &self.on_stack.route.route;
        self.context.set_place(place);
        if LANE {
            self.mark.is_at(place);
        }
        if filtered && !route[place].accepts(event) {
            self.miss(place, Skip::Filtered);
            return true;
        }
        // One number for all handlers, so that theirs need not be read. It changes too when a lane
        // gets another task.
        if self.bus.0.registry.ends() != route.ends {
            if LANE && !self.mark.goes_on() {
                return false;
            }
            if route[place].has_ended() {
                self.miss(place, Skip::Unsubscribed);
                return true;
            }
        }
        let timed = TIMED && self.timed.means(place, route.len());
        let started = timed.then(StdInstant::now);
        let error = route.turn(place)(event, self.context);
        let is_over = error.is_none_or(|error| self.fail(place, error));
        if let Some(started) = started.filter(|_| is_over) {
            let (took, entry) = (started.elapsed(), &route[place]);
            entry.counters.timed(took);
            if took > SLOW_TURN {
                self.slow(place, entry, took);
            } else {
                entry.was_quick();
            }
        }
        true
    }

    #[cold]
    fn slow(&mut self, place: usize, entry: &Entry, took: Duration) {
        self.note().slow.push(place);
        entry.was_slow();
        let holds_up = self.on_stack.is_on_lane() && took > SLOW_HANDLER;
        if holds_up && entry.counters.was_slow(Instant::now()) {
            trace::slow(entry, took);
        }
    }

    /// The lane of this handler has ended with its runtime.
    #[cold]
    fn stop(&mut self, place: usize) {
        let aside = self.note();
        aside.apart.push(place);
        aside.stopped += 1;
        self.route()[place].counters.skipped(Skip::Stopped);
        self.bus.counters().skipped(Skip::Stopped);
    }

    #[cold]
    fn miss(&mut self, place: usize, reason: Skip) {
        self.note().apart.push(place);
        self.route()[place].counters.skipped(reason);
        if reason == Skip::Unsubscribed {
            self.note().ended += 1;
            self.counts.unsubscribed.add(1);
        }
    }

    /// Whether the turn is over.
    #[cold]
    fn fail(&mut self, place: usize, mut error: HandlerError) -> bool {
        if self.is_given_up() {
            return true;
        }
        if let Some(rest) = error.take_rest() {
            self.go_on_elsewhere(place, rest);
            return false;
        }
        let retries = error.take_retries();
        let status = error.outcome();
        if let Some(retries) = retries {
            self.note().apart.push(place);
            let (delivery, entry) = (self.context.delivery(), &self.route()[place]);
            let turn = Turn::begin(delivery, entry);
            let ended = turn.end(entry, Ok(Err(error.with_retries(retries))));
            delivery.end(place, entry, ended, None);
        } else {
            trace::failed(&self.on_stack.event, &self.route()[place], status, &error);
            // Its drop may panic, which then counts instead.
            drop(error);
            self.count_failure(&self.route()[place], status);
        }
        true
    }

    /// The handler at this place has to wait, which is not to hold up the others of its lane.
    fn go_on_elsewhere(&mut self, place: usize, rest: Rest) {
        // From here on it cannot be given up any more.
        if !self.mark.leave() {
            return;
        }
        let OnStack { event, route, .. } = self.on_stack;
        let entry = &route.route[place];
        let run = entry.goes_on();
        route.stripe.waits_elsewhere(entry);
        entry.counters.passed_over();
        self.note().left += 1;
        let job = match self.on_stack.delivery() {
            Some(delivery) => {
                delivery.waits_for_another();
                Job { delivery: delivery.clone(), place }
            }
            None => {
                let delivery = Delivery::of_share(self.bus, event.clone(), entry.clone());
                Job { delivery, place: 0 }
            }
        };
        let (call, unfinished) = Unfinished::of_pass(entry, job, run, rest);
        if let Some(lane) = entry.shared.get() {
            lane.goes_on(self.bus, place, call, unfinished);
        }
    }

    fn count_failure(&self, entry: &Entry, status: OutcomeStatus) {
        entry.counters.failed(status);
        self.counts.failed.add(1);
    }

    fn finish(&self, bus: &Bus, end: usize, stamped: Option<i64>) -> Passed {
        let Aside { apart, ended, stopped, .. } = self.aside();
        let handlers = self.route().len();
        let shared = self.route().shared();
        if let Some(delivery) = self.on_stack.delivery() {
            let counts_here = |place: &usize| !apart.contains(place);
            let ran: Vec<usize> = (0..end).filter(counts_here).collect();
            let inline = ran.iter().filter(|place| !self.route()[**place].is_queued()).count();
            let last = stamped.unwrap_or_else(|| bus.0.clock.moment().unix_micros);
            ran.iter().for_each(|place| self.route()[*place].counters.passed(1, last));
            self.counts.runs.add(inline as u64);
            delivery.take_over(end, !ran.is_empty());
            return Passed::Left(delivery.clone());
        }
        let ran = handlers - apart.len();
        let counts = self.counts;
        if ran > 0 {
            // Those of shared lanes are counted where they run.
            counts.runs.add((ran - shared.min(ran)) as u64);
            // First, so that nobody sees a run that was none.
            apart.iter().for_each(|place| self.route()[*place].counters.passed_over());
            self.on_stack.route.passes.add(1);
            let last = stamped.unwrap_or_else(|| bus.0.clock.moment().unix_micros);
            self.on_stack.route.last.store(last, Ordering::Relaxed);
            counts.handled.add(1);
        } else if ended + stopped == 0 {
            counts.filtered.add(1);
        } else {
            counts.skipped.add(1);
        }
        let filtered = apart.len() - ended - stopped;
        let id = self.on_stack.event.id().clone();
        let (matched, rejected) = (handlers - filtered, *stopped);
        let receipt = Receipt { matched, rejected, ..Receipt::new(id) };
        Passed::Through(receipt, self.woken)
    }
}
