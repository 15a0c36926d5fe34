//! One event on its way through its handlers: wave after wave, highest priority first.
//!
//! Exactly one caller drives a delivery at a time: the publisher, until a wave has handlers that
//! run elsewhere; then whichever of them finishes last. Because that one goes on before it takes
//! its next event, two events that meet the same handlers stay in order.

use std::collections::VecDeque;

use nexus_events_model::{Event, HandlerOutcome, OutcomeStatus, PublishReport, Text};
use tokio::sync::oneshot;

use crate::bus::Bus;
use crate::context::Context;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::follow_up::Lineage;
use crate::limits::NESTED_WAIT_MAX;
use crate::publish::Receipt;
use crate::registry::Route;
use crate::runtime::{Job, Skip, run_inline};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, OnceLock, Ordering};

pub(crate) struct Delivery {
    pub(crate) bus: Bus,
    pub(crate) event: Event,
    pub(crate) lineage: Lineage,
    route: Route,
    /// Places in the route whose filter refuses the event.
    refused: Vec<usize>,
    wave: Wave,
    cancelled: OnceLock<(Text, Text)>,
    /// Published by the running wave.
    follow_ups: Mutex<Vec<Arc<Delivery>>>,
    rejected: AtomicUsize,
    concluded: AtomicBool,
    report: Option<Report>,
    is_follow_up: bool,
}

/// Where the delivery stands. Only the driver writes; who drives next is handed over through
/// `left`.
#[derive(Default)]
struct Wave {
    start: AtomicUsize,
    end: AtomicUsize,
    /// The next place to hand the event to.
    at: AtomicUsize,
    /// Handlers of this wave that are not done, and the driver.
    left: AtomicUsize,
}

/// Somebody waits for the outcomes.
struct Report {
    outcomes: Mutex<Vec<Option<HandlerOutcome>>>,
    sender: Mutex<Option<oneshot::Sender<PublishReport>>>,
}

impl Delivery {
    /// A delivery to everybody who is subscribed now. The bus counts it until it is concluded.
    fn new(
        bus: &Bus,
        event: Event,
        lineage: Lineage,
        is_follow_up: bool,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Arc<Self> {
        bus.record(&event);
        let route = bus.route(event.event_type());
        let refused = route
            .iter()
            .enumerate()
            .filter(|(_, entry)| !entry.accepts(&event))
            .map(|(place, _)| place)
            .collect();
        let report = sender.map(|sender| Report {
            outcomes: Mutex::new(vec![None; route.len()]),
            sender: Mutex::new(Some(sender)),
        });
        Arc::new(Self {
            bus: bus.clone(),
            event,
            lineage,
            route,
            refused,
            wave: Wave::default(),
            cancelled: OnceLock::new(),
            follow_ups: Mutex::default(),
            rejected: AtomicUsize::new(0),
            concluded: AtomicBool::new(false),
            report,
            is_follow_up,
        })
    }

    /// A delivery of an event published by the program.
    pub(crate) fn first(
        bus: &Bus,
        event: Event,
        sender: Option<oneshot::Sender<PublishReport>>,
    ) -> Result<Arc<Self>> {
        bus.admit()?;
        Ok(Self::new(bus, event, Lineage::default(), false, sender))
    }

    /// Queues an event published by a handler of this one.
    pub(crate) fn follow_up(self: &Arc<Self>, event: Event) -> Result<Receipt> {
        let event = self.adopt(event)?;
        let lineage = self.lineage.descend(&self.event, None)?;
        self.bus.follow_ups().reserve()?;
        if let Err(error) = self.bus.admit_follow_up() {
            self.bus.follow_ups().release();
            return Err(error);
        }
        let next = Self::new(&self.bus, event, lineage, true, None);
        let receipt = next.receipt();
        let mut follow_ups = self.follow_ups.lock();
        if self.is_concluded() {
            drop(follow_ups);
            self.bus.hand_over(next).map_err(|_| Error::no_runtime())?;
        } else {
            follow_ups.push(next);
        }
        Ok(receipt)
    }

    /// Publishes an event that the handler of `context` waits for.
    pub(crate) async fn publish_and_wait_within(
        &self,
        context: &Context,
        event: Event,
    ) -> Result<PublishReport> {
        let event = self.adopt(event)?;
        let lineage = self.lineage.descend(&self.event, Some(context.entry.id))?;
        self.bus.admit_follow_up()?;
        let (sender, receiver) = oneshot::channel();
        let delivery = Self::new(&self.bus, event, lineage, false, Some(sender));
        delivery.go_on().await;
        match tokio::time::timeout(NESTED_WAIT_MAX, receiver).await {
            Ok(report) => report.map_err(|_| Error::closed()),
            Err(_) => {
                let message = format!(
                    "no report after {} s; handlers that wait for each other's reports never get one, publish without waiting",
                    NESTED_WAIT_MAX.as_secs(),
                );
                Err(Error::new(ErrorKind::TimedOut, message))
            }
        }
    }

    /// The event with the conversation and the cause filled in.
    fn adopt(&self, event: Event) -> Result<Event> {
        if event.causation_id().is_some()
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
        }
    }

    pub(crate) fn cancel(&self, by: Text, reason: Text) {
        let _ = self.cancelled.set((by, reason));
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.get().is_some()
    }

    fn is_concluded(&self) -> bool {
        self.concluded.load(Ordering::Acquire)
    }

    /// Drives a delivery and all its follow-ups as far as this caller can, then leaves them to
    /// the handlers that run elsewhere. With `wait` it waits for room in full queues.
    pub(crate) async fn drive(first: Arc<Self>, wait: bool) {
        let mut driving = Driving(VecDeque::from([first]));
        while let Some(delivery) = driving.0.front().cloned() {
            delivery.advance(wait, &mut driving.0).await;
            driving.0.pop_front();
        }
    }

    /// Drives this delivery alone, on a handler's own task, which must not be held up by
    /// follow-ups: they are left to the bus's task.
    pub(crate) async fn go_on(self: &Arc<Self>) {
        let mut follow_ups = VecDeque::new();
        self.advance(true, &mut follow_ups).await;
        for delivery in follow_ups {
            if let Err(delivery) = self.bus.hand_over(delivery) {
                // Without a runtime there are no tasks to hold up.
                Self::drive(delivery, true).await;
            }
        }
    }

    async fn advance(self: &Arc<Self>, wait: bool, then: &mut VecDeque<Arc<Self>>) {
        loop {
            if self.wave.at.load(Ordering::Relaxed) == self.wave.end.load(Ordering::Relaxed) {
                then.extend(std::mem::take(&mut *self.follow_ups.lock()));
                if self.is_cancelled() || !self.open_wave() {
                    then.extend(self.conclude());
                    return;
                }
            }
            self.hand_out(wait).await;
            self.run_inline_handlers();
            if !self.leave() {
                return;
            }
        }
    }

    /// Makes the next handlers of equal priority the wave; `false` when there are none left.
    fn open_wave(&self) -> bool {
        let start = self.wave.end.load(Ordering::Relaxed);
        let Some(first) = self.route.get(start) else { return false };
        let length =
            self.route[start..].iter().take_while(|entry| entry.priority == first.priority).count();
        let lanes = (start..start + length)
            .filter(|&place| self.is_open(place) && self.route[place].lane.get().is_some())
            .count();
        self.wave.start.store(start, Ordering::Relaxed);
        self.wave.end.store(start + length, Ordering::Relaxed);
        self.wave.left.store(lanes + 1, Ordering::Relaxed);
        true
    }

    fn is_open(&self, place: usize) -> bool {
        !self.refused.contains(&place)
    }

    /// Puts the event into the queues of this wave.
    async fn hand_out(self: &Arc<Self>, wait: bool) {
        let end = self.wave.end.load(Ordering::Relaxed);
        for place in self.wave.at.load(Ordering::Relaxed)..end {
            let entry = &self.route[place];
            if !self.is_open(place) {
                self.skip(place, Skip::Filtered);
            } else if let Some(lane) = entry.lane.get() {
                let waits_itself = self.lineage.waiting(entry.id) > 0;
                let job = Job { delivery: self.clone(), place };
                let pushed =
                    if waits_itself { Err(Skip::WaitsItself) } else { lane.push(job, wait).await };
                if let Err(reason) = pushed {
                    self.skip(place, reason);
                    self.wave.left.fetch_sub(1, Ordering::Relaxed);
                }
            }
            self.wave.at.store(place + 1, Ordering::Relaxed);
        }
    }

    fn run_inline_handlers(self: &Arc<Self>) {
        for place in self.wave.start.load(Ordering::Relaxed)..self.wave.end.load(Ordering::Relaxed)
        {
            let entry = &self.route[place];
            if entry.lane.get().is_none() && self.is_open(place) {
                match entry.begin() {
                    Some(run) => {
                        let outcome = run_inline(self, entry);
                        drop(run);
                        self.note(place, outcome);
                    }
                    None => self.skip(place, Skip::Unsubscribed),
                }
            }
        }
    }

    /// Says that one handler of this wave, or the driver, is done. `true` for the last one, who
    /// must go on.
    fn leave(&self) -> bool {
        self.wave.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// A handler that ran elsewhere is done. `true` when the caller must go on with the delivery.
    pub(crate) fn done(&self, place: usize, outcome: HandlerOutcome) -> bool {
        self.note(place, outcome);
        self.leave()
    }

    /// A handler elsewhere did not get to run. `true` as for [`done`](Self::done).
    pub(crate) fn not_run(&self, place: usize, reason: Skip) -> bool {
        self.skip(place, reason);
        self.leave()
    }

    fn note(&self, place: usize, outcome: HandlerOutcome) {
        self.route[place].counters.ran(&outcome);
        self.bus.counters().ran(&outcome);
        self.keep(place, || outcome);
    }

    fn skip(&self, place: usize, reason: Skip) {
        let entry = &self.route[place];
        if reason.is_rejection() {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            self.bus.counters().rejected();
        }
        entry.counters.skipped(reason);
        self.keep(place, || self.outcome(entry, OutcomeStatus::Skipped).error(reason.text()));
    }

    fn outcome(&self, entry: &Entry, status: OutcomeStatus) -> HandlerOutcome {
        HandlerOutcome::new(entry.name.clone(), entry.id, status, self.bus.now())
    }

    fn keep(&self, place: usize, outcome: impl FnOnce() -> HandlerOutcome) {
        if let Some(report) = &self.report {
            report.outcomes.lock()[place] = Some(outcome());
        }
    }

    /// Ends the delivery; gives back follow-ups that came in at the last moment.
    fn conclude(&self) -> Vec<Arc<Self>> {
        if let Some((by, reason)) = self.cancelled.get() {
            let why = Text::from(format!("cancelled by {by}: {reason}"));
            for place in self.wave.end.load(Ordering::Relaxed)..self.route.len() {
                let entry = &self.route[place];
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
        self.bus.counters().concluded(self.is_cancelled(), self.route.len(), self.refused.len());
        self.release();
        if let Some(report) = &self.report {
            let outcomes =
                std::mem::take(&mut *report.outcomes.lock()).into_iter().flatten().collect();
            if let Some(sender) = report.sender.lock().take() {
                // The one who asked may have stopped waiting.
                let _ = sender.send(PublishReport::new(self.event.id().clone(), outcomes));
            }
        }
        late
    }

    fn release(&self) {
        if self.is_follow_up {
            self.bus.follow_ups().release();
        }
        self.bus.dismiss();
    }
}

impl Drop for Delivery {
    /// A delivery that nobody can drive any more, at the end of a runtime, is lost but counted.
    fn drop(&mut self) {
        if !self.is_concluded() {
            self.bus.counters().lost();
            self.release();
        }
    }
}

/// Deliveries somebody is driving. When that one's future is dropped half way, a task takes over.
struct Driving(VecDeque<Arc<Delivery>>);

impl Drop for Driving {
    fn drop(&mut self) {
        for delivery in self.0.drain(..) {
            let bus = delivery.bus.clone();
            // It waited for a queue, so there is a runtime.
            let _ = bus.hand_over(delivery);
        }
    }
}
