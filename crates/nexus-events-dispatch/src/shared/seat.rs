//! What the task of a shared lane has in hand.

use std::time::Duration;

use nexus_events_model::Event;

use super::done::{RETURNED_BYTES_MAX, let_all_go, let_go};
use super::lane::BATCH;
use crate::bus::Bus;
use crate::context::Context;
use crate::limits::SLOW_TURN;
use crate::pass::Timed;
use crate::route::Route;
use crate::stripe::{Stripe, ThreadRoute};
use crate::sync::{Arc, Instant};

/// Routes it remembers while it has work, for events of several types in turn. Beyond them it forgets
/// all: 17 to 200 types cost 5 % more instructions per event than 16, and a table of 64 costs as
/// much at 17 and more elsewhere.
const ROUTES: usize = 16;

/// How often a task that was busy looks again before it parks. Waking it costs more than that,
/// and a task woken by one that does not wait is stuck behind it.
const LOOKS: usize = 16;

/// A task that slept no longer than this is busy; one that slept longer parks again at once when
/// its work is done.
const NAP: Duration = Duration::from_micros(10);

/// A busy task that gets fewer events than this at a time looks less often.
const FEW: usize = 16;

/// What no turn of a slow batch takes. Looking at the clock for each turn is quicker than that.
const QUICK_TURN: Duration = Duration::from_micros(1);

/// A batch that takes longer than this is looked at closer at once.
const LATE: Duration = Duration::from_millis(10);

/// After so many shares it looks how late it is.
const LATE_EVERY: u64 = 8;

#[derive(Default)]
pub(super) struct Seat {
    /// There while there is work, so that the bus lives on.
    pub(super) bus: Option<Bus>,
    /// What was handled.
    pub(super) done: Vec<Event>,
    /// Whether the batch before took long.
    pub(super) slow: bool,
    /// The route of the share before.
    route: Option<Arc<ThreadRoute>>,
    /// The context of the share before, if its event needs it no more, and that event's size.
    context: Option<Context>,
    bytes: usize,
    routes: Vec<Arc<ThreadRoute>>,
    /// Shares so far.
    count: u64,
    looks: usize,
    last: usize,
    busy: bool,
    parked: Option<Instant>,
    /// When the batch in hand was.
    begun: Option<Instant>,
    /// How many handlers of the bus had ended when the routes were looked through.
    ends: u64,
}

impl Seat {
    /// That of a task which takes the place of another, for shares of the same route as before.
    pub(super) fn after(bus: &Bus, stripe: &Arc<Stripe>, route: Option<Arc<Route>>) -> Self {
        let route = route.map(|route| ThreadRoute::new(&bus.0, stripe, route));
        Self { route, ..Self::default() }
    }

    /// Whether to look for work again at once.
    pub(super) fn looks_again(&mut self) -> bool {
        self.looks += 1;
        self.busy && self.looks <= LOOKS
    }

    /// Whether to let some work gather before it looks.
    pub(super) fn waits(&self) -> bool {
        self.busy && self.last < FEW
    }

    /// Which handlers of the next share are timed.
    pub(super) fn timed(&mut self) -> Timed {
        self.count += 1;
        if !self.slow && self.count.is_multiple_of(LATE_EVERY) {
            self.slow = self.begun.is_some_and(|begun| begun.elapsed() > LATE);
        }
        if self.slow { Timed::All } else { Timed::of(self.count) }
    }

    /// A batch of so many turns is over. A slow one is a reason to look closer at the next.
    pub(super) fn end(&mut self, turns: u64) {
        let quick = QUICK_TURN * u32::try_from(turns).unwrap_or(u32::MAX);
        self.slow = self.begun.is_some_and(|begun| begun.elapsed() > SLOW_TURN + quick);
    }

    /// There is so much work.
    pub(super) fn begin(&mut self, count: usize) {
        self.begun = Some(Instant::now());
        self.forget_routes();
        self.last = count;
        if let Some(parked) = self.parked.take() {
            self.busy = parked.elapsed() < NAP;
        }
        self.looks = 0;
        self.done.reserve(BATCH);
    }

    /// Holds nothing any more.
    pub(super) fn leave(&mut self) {
        self.clear();
        self.parked = Some(Instant::now());
        // Handlers may go with these, and the bus.
        let_go(self.route.take());
        let_all_go(self.routes.drain(..));
        let_go(self.bus.take());
    }

    /// The context of a share.
    pub(super) fn context(
        &mut self,
        bus: &Bus,
        stripe: &Arc<Stripe>,
        event: Event,
        bytes: usize,
        route: Option<Arc<Route>>,
    ) -> Option<Context> {
        if let Some(route) = route {
            self.clear();
            let known = self.remember(bus, stripe, route);
            let_go(self.route.replace(known));
        }
        let context = match self.context.take() {
            Some(mut context) => {
                let before = context.replace_event(event)?;
                self.is_done_with(before);
                context
            }
            None => Context::on_lane(event, self.route.clone()?),
        };
        self.bytes = bytes;
        Some(context)
    }

    /// The share is done. A context that became a delivery is of no further use.
    pub(super) fn keep(&mut self, context: Context) {
        if context.stack().is_some_and(|on_stack| on_stack.delivery().is_none()) {
            self.context = Some(context);
        }
    }

    /// The event of the share before is done too.
    pub(super) fn clear(&mut self) {
        if let Some(context) = self.context.take() {
            self.is_done_with(context.into_event());
        }
    }

    /// Lets go of routes that may have handlers that have ended, but for the one in use.
    fn forget_routes(&mut self) {
        let ends = self.bus.as_ref().map_or(0, |bus| bus.0.registry.ends());
        if std::mem::replace(&mut self.ends, ends) != ends {
            let_all_go(self.routes.drain(..));
        }
    }

    fn is_done_with(&mut self, event: Event) {
        // It may have been converted, and so have grown, since it was published.
        let bytes = self.bytes.max(event.payload().size());
        if event.payload().may_run_code_when_dropped() || bytes > RETURNED_BYTES_MAX {
            let_go(event);
        } else {
            self.done.push(event);
        }
    }

    fn remember(&mut self, bus: &Bus, stripe: &Arc<Stripe>, route: Arc<Route>) -> Arc<ThreadRoute> {
        let known = self.routes.iter().find(|known| Arc::ptr_eq(&known.route, &route));
        if let Some(known) = known {
            return known.clone();
        }
        if self.routes.len() >= ROUTES {
            let_all_go(self.routes.drain(..));
        }
        let new = ThreadRoute::new(&bus.0, stripe, route);
        self.routes.push(new.clone());
        new
    }
}
