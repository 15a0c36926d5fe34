//! One event on its way through its handlers: wave after wave, highest priority first.
//!
//! Exactly one caller drives a delivery at a time: the publisher, until a wave has handlers that
//! run elsewhere; then whichever of them finishes last. Because that one goes on before it takes
//! its next event, two events that meet the same handlers stay in order. How it is driven stands
//! in `driving.rs`; here is what it is and what becomes of it.

use std::time::Duration;

use nexus_events_model::{Event, HandlerOutcome, Metadata, OutcomeStatus, PublishReport, Text};

use crate::bus::Bus;
use crate::context::Context;
use crate::durable::FromLog;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Admission;
use crate::lane::Held;
use crate::limits::NESTED_WAIT_MAX;
use crate::lineage::{Asking, Lineage};
use crate::progress::Wave;
pub(crate) use crate::progress::{End, Wait};
use crate::publish::Receipt;
use crate::route::Route;
use crate::runtime::{Ended, Skip};
use crate::stripe::ThreadRoute;
use crate::subscription::HandlerPriority;
use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Instant, Mutex, OnceLock, Ordering, oneshot, timeout,
};
use crate::trace::{self, PublishSpan};
use crate::witness::Witness;

pub(crate) struct Delivery {
    pub(crate) bus: Bus,
    pub(crate) event: Event,
    pub(crate) lineage: Lineage,
    /// The handler of another bus that published this on its own stack.
    pub(crate) outer: Option<Context>,
    /// Its span, for those of its handlers.
    pub(crate) span: PublishSpan,
    /// When it was published, if it is timed.
    begun: Option<Instant>,
    route: Arc<Route>,
    /// Places in the route whose filter refuses the event, in order.
    refused: Vec<usize>,
    pub(crate) wave: Wave,
    cancelled: OnceLock<Cancel>,
    /// Published by the running wave.
    follow_ups: Mutex<Vec<Arc<Delivery>>>,
    rejected: AtomicUsize,
    ran: AtomicBool,
    /// All waves are over.
    concluded: AtomicBool,
    /// What is left: the waves, and each handler that tries again.
    open: AtomicUsize,
    finished: AtomicBool,
    /// Whether it is the whole event, and not what a shared lane made of its share.
    counted: bool,
    report: Option<Report>,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    /// Where it is from, when a consumer has taken it from the log.
    from_log: Option<FromLog>,
    /// Whether it was published before.
    is_replay: bool,
    /// Keeps the event counted as in flight.
    admission: Mutex<Option<Admission>>,
    is_follow_up: bool,
}

/// Who has cancelled an event, and why.
struct Cancel {
    by: Text,
    priority: HandlerPriority,
    reason: Text,
}

/// Somebody waits for the outcomes.
struct Report {
    outcomes: Mutex<Vec<Option<HandlerOutcome>>>,
    sender: Mutex<Option<oneshot::Sender<PublishReport>>>,
}

impl Report {
    fn new(handlers: usize, sender: oneshot::Sender<PublishReport>) -> Self {
        Self { outcomes: Mutex::new(vec![None; handlers]), sender: Mutex::new(Some(sender)) }
    }
}

impl Delivery {
    /// A delivery to everybody who is subscribed now.
    pub(crate) fn new(
        event: Event,
        lineage: Lineage,
        outer: Option<Context>,
        admission: Admission,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Arc<Self> {
        let bus = admission.bus().clone();
        bus.record_here(&event);
        let route = bus.route(event.event_type());
        Arc::new(Self::along(route, event, lineage, outer, admission, sender))
    }

    /// A delivery to the handlers of this route.
    pub(crate) fn along(
        route: Arc<Route>,
        event: Event,
        lineage: Lineage,
        outer: Option<Context>,
        admission: Admission,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Self {
        let begun = admission.bus().counters().published();
        let report = sender.map(|sender| Report::new(route.len(), sender));
        let mut delivery =
            Self::blank(admission.bus().clone(), event, route, Some(admission), report);
        (delivery.lineage, delivery.outer, delivery.begun) = (lineage, outer, begun);
        delivery
    }

    /// What an event that passed on a stack goes on as. It is counted there for the time being.
    pub(crate) fn of_pass(
        event: Event,
        pass: &ThreadRoute,
        outer: Option<Context>,
        counted: bool,
    ) -> Arc<Self> {
        // The publisher holds the bus as long as the event is on its stack.
        let bus = Bus(pass.bus.upgrade().unwrap_or_else(|| unreachable!("its bus is in use")));
        let mut delivery = Self::blank(bus, event, pass.route.clone(), None, None);
        (delivery.outer, delivery.counted) = (outer, counted);
        // The pass itself.
        delivery.wave.left = AtomicUsize::new(1);
        Arc::new(delivery)
    }

    /// What one handler of a shared lane gets as a delivery of its own; the rest of the event is
    /// counted elsewhere. It is in nobody's hands but the handler's.
    pub(crate) fn of_share(bus: &Bus, event: Event, entry: Arc<Entry>) -> Arc<Self> {
        let route = Arc::new(Route::new(vec![entry]));
        let admission = Admission::share(bus);
        let mut delivery = Self::blank(bus.clone(), event, route, Some(admission), None);
        delivery.counted = false;
        delivery.wave =
            Wave { end: AtomicUsize::new(1), left: AtomicUsize::new(1), ..Wave::default() };
        Arc::new(delivery)
    }

    /// What a durable handler gets: one event of the log, which is counted where it was published.
    pub(crate) fn of_log(bus: &Bus, event: Event, entry: Arc<Entry>, from: FromLog) -> Arc<Self> {
        let route = Arc::new(Route::new(vec![entry]));
        let admission = Admission::share(bus);
        let mut delivery = Self::blank(bus.clone(), event, route, Some(admission), None);
        delivery.counted = false;
        delivery.from_log = Some(from);
        delivery.wave =
            Wave { end: AtomicUsize::new(1), left: AtomicUsize::new(1), ..Wave::default() };
        Arc::new(delivery)
    }

    fn blank(
        bus: Bus,
        event: Event,
        route: Arc<Route>,
        admission: Option<Admission>,
        report: Option<Report>,
    ) -> Self {
        let refuses =
            |(place, entry): (usize, &Arc<Entry>)| (!entry.accepts(&event)).then_some(place);
        let refused = route.iter().enumerate().filter_map(refuses).collect();
        Self {
            bus,
            span: PublishSpan::of(&event),
            begun: None,
            event,
            lineage: Lineage::default(),
            outer: None,
            refused,
            wave: Wave::default(),
            cancelled: OnceLock::new(),
            follow_ups: Mutex::default(),
            rejected: AtomicUsize::new(0),
            ran: AtomicBool::new(false),
            concluded: AtomicBool::new(false),
            open: AtomicUsize::new(1),
            finished: AtomicBool::new(false),
            counted: true,
            report,
            witness: None,
            from_log: None,
            is_replay: false,
            is_follow_up: admission.as_ref().is_some_and(Admission::is_follow_up),
            admission: Mutex::new(admission),
            route,
        }
    }

    /// Goes on from here, after a pass that ended its wave at this place.
    pub(crate) fn take_over(&self, end: usize, ran: bool) {
        self.admit();
        self.wave.end.store(end, Ordering::Relaxed);
        self.ran.fetch_or(ran, Ordering::Relaxed);
    }

    fn admit(&self) {
        let admission = if self.counted { Admission::taken_over } else { Admission::share };
        self.admission.lock().get_or_insert_with(|| admission(&self.bus));
    }

    /// A handler of a pass that is this delivery goes on elsewhere, and counts as one of the wave.
    pub(crate) fn waits_for_another(&self) {
        self.admit();
        self.wave.left.fetch_add(1, Ordering::Relaxed);
    }

    /// A delivery of an event published by the program.
    pub(crate) fn first(
        bus: &Bus,
        event: Event,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Result<Arc<Self>> {
        let admission = Admission::first(bus)?;
        Ok(Self::new(event, Lineage::default(), Context::innermost(), admission, sender))
    }

    /// A delivery of an event that was published before, to these handlers alone.
    pub(crate) fn again(
        bus: &Bus,
        event: Event,
        route: Route,
        sender: oneshot::Sender<PublishReport>,
    ) -> Result<Arc<Self>> {
        let (admission, lineage, route) =
            (Admission::first(bus)?, Lineage::default(), route.into());
        let mut again = Self::along(route, event, lineage, None, admission, Some(sender));
        again.is_replay = true;
        Ok(Arc::new(again))
    }

    /// Queues an event published by a handler of this one, which may have been admitted before.
    pub(crate) fn follow_up(
        self: &Arc<Self>,
        event: Event,
        admitted: impl FnOnce() -> Option<Admission>,
    ) -> Result<Receipt> {
        let event = self.adopt(event)?;
        let lineage = self.lineage.descend(&self.event, None)?;
        let admission = admitted().map_or_else(|| Admission::follow_up(&self.bus), Ok)?;
        let next = Self::new(event, lineage, None, admission, None);
        let receipt = next.receipt();
        let mut follow_ups = self.follow_ups.lock();
        if self.is_concluded() {
            drop(follow_ups);
            self.bus.hand_over(next);
        } else {
            follow_ups.push(next);
        }
        Ok(receipt)
    }

    /// An event that the handler of `context` publishes and waits for.
    pub(crate) fn nested(&self, context: &Context, event: Event) -> Result<Nested> {
        let event = self.adopt(event)?;
        let lineage = self.lineage.descend(&self.event, Some(Asking::of(context)))?;
        let admission = Admission::nested(&self.bus)?;
        let (sender, receiver) = oneshot::channel();
        let delivery = Self::new(event, lineage, self.outer.clone(), admission, Some(sender));
        Ok(Nested { delivery, receiver })
    }

    /// As [`again`](Self::again), for a handler that waits for it.
    pub(crate) fn nested_again(
        &self,
        context: &Context,
        event: Event,
        route: Route,
    ) -> Result<Nested> {
        let lineage = self.lineage.descend(&self.event, Some(Asking::of(context)))?;
        let admission = Admission::nested(&self.bus)?;
        let (sender, receiver) = oneshot::channel();
        let (route, outer) = (route.into(), self.outer.clone());
        let mut again = Self::along(route, event, lineage, outer, admission, Some(sender));
        again.is_replay = true;
        Ok(Nested { delivery: Arc::new(again), receiver })
    }

    /// The event with the conversation, the cause and the trace filled in.
    pub(crate) fn adopt(&self, event: Event) -> Result<Event> {
        if event.causation_id().is_some()
            && (event.metadata().get(Metadata::TRACEPARENT).is_some()
                || self.event.metadata().get(Metadata::TRACEPARENT).is_none())
            && (event.correlation_id().is_some() || self.event.correlation_id().is_none())
        {
            return Ok(event);
        }
        Ok(event.to_builder().caused_by(&self.event).build()?)
    }

    pub(crate) fn receipt(&self) -> Receipt {
        Receipt {
            event_id: self.event.id().clone(),
            matched: self.route.len() - self.refused.len(),
            rejected: self.rejected.load(Ordering::Relaxed),
            follow_up: self.is_follow_up,
            duplicate: false,
            offset: None,
        }
    }

    pub(crate) fn cancel(&self, by: &Entry, reason: Text) {
        if !self.is_concluded() {
            let (by, priority) = (by.name.clone(), by.priority);
            let _ = self.cancelled.set(Cancel { by, priority, reason });
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.get().is_some()
    }

    /// Whether it is what a publish has led to, and nothing that is given again.
    fn is_first(&self) -> bool {
        self.from_log.is_none() && !self.is_replay
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.is_replay
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// Whether no filter of the handler at this place refuses the event.
    pub(crate) fn is_open(&self, place: usize) -> bool {
        self.refused.binary_search(&place).is_err()
    }

    /// What the running wave has published.
    pub(crate) fn take_follow_ups(&self) -> Vec<Arc<Self>> {
        std::mem::take(&mut *self.follow_ups.lock())
    }

    fn is_concluded(&self) -> bool {
        self.concluded.load(Ordering::Acquire)
    }

    /// A handler that ran elsewhere is done. `true` when the caller must go on with the delivery.
    pub(crate) fn done(
        self: &Arc<Self>,
        place: usize,
        entry: &Arc<Entry>,
        ended: Ended,
        held: Option<Held>,
    ) -> bool {
        self.end(place, entry, ended, held);
        self.leave()
    }

    /// A handler elsewhere has run for so long and is not waited for. `true` as for
    /// [`done`](Self::done).
    pub(crate) fn timed_out(&self, place: usize, entry: &Entry, ran: Duration) -> bool {
        let outcome = HandlerOutcome::new(
            entry.name.clone(),
            entry.id,
            OutcomeStatus::TimedOut,
            self.bus.now() - ran,
        );
        let why = format!("it has not returned for {ran:?} and is not waited for");
        let outcome = outcome.error(why).duration(ran);
        self.count(entry, &outcome);
        entry.counters.was_stuck();
        trace::done(&self.event, entry, &outcome);
        self.keep(place, || outcome);
        self.leave()
    }

    /// The handler at this place is done, or tries again beside lower waves.
    pub(crate) fn end(
        self: &Arc<Self>,
        place: usize,
        entry: &Arc<Entry>,
        ended: Ended,
        held: Option<Held>,
    ) {
        if let Some(outcome) = ended.go_on(self, place, entry, held) {
            self.count(entry, &outcome);
            trace::done(&self.event, entry, &outcome);
            self.keep(place, || outcome);
        }
    }

    /// A handler is going to try again.
    pub(crate) fn retrying(&self, first: &HandlerOutcome, entry: &Entry) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.count(entry, first);
        trace::retrying(&self.event, entry, first);
    }

    /// The handler at this place has tried for the last time.
    pub(crate) fn retried(&self, place: usize, entry: &Entry, last: HandlerOutcome) {
        entry.counters.ended(&last);
        self.bus.counters().ran(&last);
        trace::done(&self.event, entry, &last);
        self.keep(place, || last);
        self.close();
    }

    pub(crate) fn entry(&self, place: usize) -> &Arc<Entry> {
        &self.route[place]
    }

    /// A handler elsewhere did not get to run. `true` as for [`done`](Self::done).
    pub(crate) fn not_run(&self, place: usize, reason: Skip) -> bool {
        let ended = reason == Skip::Stopped && self.route[place].has_ended();
        self.skip(place, if ended { Skip::Unsubscribed } else { reason });
        self.leave()
    }

    fn count(&self, entry: &Entry, outcome: &HandlerOutcome) {
        self.ran.store(true, Ordering::Relaxed);
        entry.counters.ran(outcome);
        self.bus.counters().ran(outcome);
    }

    pub(crate) fn skip(&self, place: usize, reason: Skip) {
        let entry = &self.route[place];
        if reason.is_rejection() {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            trace::dropped(&self.event, entry, reason);
        }
        self.bus.counters().skipped(reason);
        entry.counters.skipped(reason);
        self.keep(place, || self.outcome(entry, OutcomeStatus::Skipped).error(reason.text()));
    }

    fn outcome(&self, entry: &Entry, status: OutcomeStatus) -> HandlerOutcome {
        HandlerOutcome::new(entry.name.clone(), entry.id, status, self.bus.now())
    }

    fn keep(&self, place: usize, outcome: impl FnOnce() -> HandlerOutcome) {
        if let Some(report) = &self.report {
            report.outcomes.lock()[place] = Some(outcome());
        } else if let Some(from_log) = &self.from_log {
            from_log.keep(outcome());
        }
        self.tell_witness(place);
    }

    /// Ends the waves; gives back follow-ups that came in at the last moment.
    pub(crate) fn conclude(&self) -> Vec<Arc<Self>> {
        if let Some(Cancel { by, priority, reason }) = self.cancelled.get() {
            let why = Text::from(format!("cancelled by {by}: {reason}"));
            if self.is_first() {
                self.bus.stored_cancelled(&self.event, by, *priority, reason);
            }
            for place in self.wave.end.load(Ordering::Relaxed)..self.route.len() {
                let entry = &self.route[place];
                if !self.is_open(place) {
                    self.skip(place, Skip::Filtered);
                    continue;
                }
                entry.counters.cancelled();
                self.keep(place, || {
                    self.outcome(entry, OutcomeStatus::Cancelled).error(why.clone())
                });
            }
        }
        let late = {
            let mut follow_ups = self.follow_ups.lock();
            self.concluded.store(true, Ordering::Release);
            std::mem::take(&mut *follow_ups)
        };
        self.close();
        late
    }

    /// One of the things that were open is over; the last one ends the delivery.
    fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let mut admission = self.admission.lock().take();
        let lost = admission.as_mut().is_some_and(Admission::is_lost);
        self.finished.store(true, Ordering::Relaxed);
        if let Some(begun) = self.begun {
            self.bus.counters().timed(begun.elapsed());
        }
        if self.counted {
            self.bus.counters().concluded(if lost { End::Lost } else { self.fate() });
        }
        drop(admission);
        if let Some(from_log) = &self.from_log {
            from_log.end(&self.event);
        }
        self.tell_witness_over();
        if let Some(report) = &self.report {
            let outcomes =
                std::mem::take(&mut *report.outcomes.lock()).into_iter().flatten().collect();
            if let Some(sender) = report.sender.lock().take() {
                // The one who asked may have stopped waiting.
                let _ = sender.send(PublishReport::new(self.event.id().clone(), outcomes));
            }
        }
    }

    /// Keeps it from being lost when the bus is stopped: it goes on.
    pub(crate) fn spare(&self) {
        if let Some(admission) = &mut *self.admission.lock() {
            let _ = admission.is_lost();
        }
    }

    /// Whether somebody waits for its report.
    pub(crate) fn is_awaited(&self) -> bool {
        self.report.is_some()
    }

    pub(crate) fn log_place(&self) -> Option<&FromLog> {
        self.from_log.as_ref()
    }

    /// Whether it is the whole event, and not a share of one that is counted elsewhere.
    pub(crate) fn is_counted(&self) -> bool {
        self.counted
    }

    /// How many events are on their way as long as it is: it, and what waits for its wave.
    pub(crate) fn in_flight(&self) -> usize {
        if self.finished.load(Ordering::Relaxed) { 0 } else { 1 + self.follow_ups.lock().len() }
    }

    fn fate(&self) -> End {
        if self.is_cancelled() && self.wave.end.load(Ordering::Relaxed) < self.route.len() {
            End::Cancelled
        } else if self.ran.load(Ordering::Relaxed) {
            End::Handled
        } else if self.route.is_empty() {
            End::Unmatched
        } else if self.refused.len() == self.route.len() {
            End::Filtered
        } else {
            End::Skipped
        }
    }
}

/// An event on its way whose report a handler waits for.
pub(crate) struct Nested {
    pub(crate) delivery: Arc<Delivery>,
    receiver: oneshot::Receiver<PublishReport>,
}

impl Nested {
    /// Its report, for the handler of `context`.
    pub(crate) async fn report(self, context: &Context) -> Result<PublishReport> {
        let report = self.in_time();
        match &context.worker {
            // The handlers it waits for may need a worker too.
            Some(worker) => worker.lend(report).await,
            None => report.await,
        }
    }

    async fn in_time(self) -> Result<PublishReport> {
        self.delivery.drive_alone(Wait::Here).await;
        match timeout(NESTED_WAIT_MAX, self.receiver).await {
            Ok(report) => report.map_err(|_| Error::cut_off()),
            Err(_) => {
                let message = format!(
                    "no report after {} s; handlers that wait for each other's reports never get one, publish without waiting",
                    NESTED_WAIT_MAX.as_secs(),
                );
                Err(Error::new(ErrorKind::TimedOut, message))
            }
        }
    }
}

impl Drop for Delivery {
    /// A delivery that nobody can drive any more, at the end of a runtime, is lost but counted.
    fn drop(&mut self) {
        if self.finished.load(Ordering::Relaxed) {
            return;
        }
        self.tell_witness_over();
        if self.counted {
            self.bus.counters().concluded(End::Lost);
            if self.is_first() {
                self.bus.stored_lost(&self.event);
            }
        }
        if let Some(from_log) = &self.from_log {
            from_log.end(&self.event);
        }
    }
}
