//! An aggregator at work: what comes goes into windows, and what is closed goes out.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Closing, Context, HandlerError};
use nexus_events_model::{Event, EventType, Payload, Text};
use parking_lot::{Mutex, MutexGuard};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::kept::Kept;
use super::options::Late;
use super::output::{Aggregate, Folds, Given, Held};
use super::stats::AggregatorStats;
use crate::limits::AGGREGATES_WAITING_MAX;
use crate::window::{CloseReason, KeyedWindow, KeyedWindows, Moment, Pushed};

/// What keys may be.
pub trait AggregateKey: Hash + Eq + Clone + serde::Serialize + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + serde::Serialize + Send + Sync + 'static> AggregateKey for K {}

/// When an event happened, for its window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// When it came.
    Arrival,
    /// When its timestamp says, others may come so much later; how far ahead of the clock it may be;
    /// and how long nothing may come before all windows are closed.
    Event { grace: Duration, ahead: Duration, idle_close: Option<Duration> },
}

/// Calls a function with what is aggregated of an event.
pub(super) type View<I> = fn(&Event, &mut dyn FnMut(&I)) -> Result<(), HandlerError>;
pub(super) type KeyOf<I, K> = Box<dyn Fn(&I) -> Option<K> + Send + Sync>;
pub(super) type Shape<K, A> = Box<dyn Fn(Aggregate<K, A>) -> Payload + Send + Sync>;

pub(super) struct Core<I, K, A> {
    pub(super) key: KeyOf<I, K>,
    pub(super) view: View<I>,
    pub(super) folds: Folds<I, A>,
    pub(super) shape: Shape<K, A>,
    pub(super) times: Times,
    pub(super) late: Late,
    pub(super) publish_as: EventType,
    pub(super) source: Text,
    /// Where the wall clock was when the other began, which does not jump.
    pub(super) began: (Moment, Instant),
    pub(super) state: Mutex<State<K, A>>,
    /// Told when something may have to be done sooner.
    pub(super) work: Notify,
    /// Told when less waits to be published.
    pub(super) room: Notify,
    /// Held by whoever publishes, so that everything goes out once and in order.
    pub(super) publishing: tokio::sync::Mutex<()>,
    /// How it is kept in the store of the bus, if it is.
    pub(super) kept: Option<Kept<K, A>>,
}

pub(super) struct State<K, A> {
    pub(super) windows: KeyedWindows<K, Held<A>>,
    /// Closed, and not published yet.
    pub(super) out: VecDeque<Out<K, A>>,
    /// What is being published; it stays here until it is.
    pub(super) in_hand: Option<Event>,
    pub(super) newest: Moment,
    last_arrival: Instant,
    /// Whether there is a task, and until when it sleeps.
    pub(super) running: bool,
    sleeps_until: Option<Instant>,
    /// Whether nothing is kept open any more.
    pub(super) ended: bool,
    pub(super) counts: AggregatorStats,
}

/// What goes out.
pub(super) enum Out<K, A> {
    Window(KeyedWindow<K, Held<A>>),
    Late(Event),
}

impl<K: AggregateKey, A> State<K, A> {
    pub(super) fn new(windows: KeyedWindows<K, Held<A>>) -> Self {
        Self {
            windows,
            out: VecDeque::new(),
            in_hand: None,
            newest: Moment::MIN,
            last_arrival: Instant::now(),
            running: false,
            sleeps_until: None,
            ended: false,
            counts: AggregatorStats::default(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.out.len() + usize::from(self.in_hand.is_some())
    }

    pub(super) fn put_out(&mut self, closed: impl IntoIterator<Item = KeyedWindow<K, Held<A>>>) {
        self.out.extend(closed.into_iter().map(Out::Window));
    }
}

impl<I, K, A> Core<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    /// Whether it publishes events of this type itself, so that they do not go round.
    pub(super) fn publishes(&self, event_type: &EventType) -> bool {
        *event_type == self.publish_as
            || matches!(&self.late, Late::SideEvent(late) if late == event_type)
    }

    /// Takes an event in. Whether the handler has to wait until more of what is closed is published.
    pub(super) fn take(self: &Arc<Self>, event: &Event, bus: &Bus) -> Result<bool, HandlerError> {
        let mut is_full = false;
        (self.view)(event, &mut |item| is_full = self.take_item(event, item, bus))?;
        Ok(is_full)
    }

    fn take_item(self: &Arc<Self>, event: &Event, item: &I, bus: &Bus) -> bool {
        let key = (self.key)(item);
        let mut state = self.state.lock();
        match key {
            Some(key) => self.put_in(event, item, key, &mut state, bus),
            None => {
                state.counts.unkeyed += 1;
                return false;
            }
        }
        self.see_to_it(state, bus)
    }

    /// Puts an event into its windows, and closes what is over.
    pub(super) fn put_in(
        &self,
        event: &Event,
        item: &I,
        key: K,
        state: &mut State<K, A>,
        bus: &Bus,
    ) {
        let (at, watermark) = self.times_of(event, state, bus);
        let mut closed = Vec::new();
        state.windows.advance(watermark, &mut closed);
        let (bytes, given) = (event.size() as u64, Given { event, item });
        match state.windows.push(key, at, bytes, &given, &self.folds, &mut closed) {
            Pushed::Added => state.counts.events += 1,
            Pushed::Late => {
                state.counts.late += 1;
                if self.late != Late::Count {
                    state.out.push_back(Out::Late(event.clone()));
                }
            }
        }
        state.put_out(closed);
        if state.ended {
            let last: Vec<_> = state.windows.close_all(CloseReason::Shutdown).collect();
            state.put_out(last);
        }
    }

    /// When the event happened, and up to when everything is over.
    fn times_of(&self, event: &Event, state: &mut State<K, A>, bus: &Bus) -> (Moment, Moment) {
        let now = Instant::now();
        state.last_arrival = now;
        match self.times {
            Times::Arrival => {
                let at = self.moment(now).max(state.newest);
                state.newest = at;
                (at, at)
            }
            Times::Event { grace, ahead, .. } => {
                let at = Moment::from(event.timestamp());
                if at > state.newest {
                    match at > Moment::from(bus.now()).after(ahead) {
                        true => state.counts.ahead += 1,
                        false => state.newest = at,
                    }
                }
                (at, state.newest.before(grace))
            }
        }
    }

    /// Sees to it that there is a task as long as there is something to do.
    pub(super) fn see_to_it(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<K, A>>,
        bus: &Bus,
    ) -> bool {
        let is_full = state.out.len() > AGGREGATES_WAITING_MAX;
        let has_work = !state.out.is_empty();
        let due = self.next_due(&state);
        let starts = !state.running && (has_work || due.is_some());
        state.running |= starts;
        let wakes = has_work || due.is_some_and(|due| Some(due) < state.sleeps_until);
        drop(state);
        if starts {
            tokio::spawn(self.clone().run(bus.clone()));
        } else if wakes {
            self.work.notify_one();
        }
        is_full
    }

    /// The time of day, on a clock that does not jump.
    fn moment(&self, now: Instant) -> Moment {
        self.began.0.after(now.saturating_duration_since(self.began.1))
    }

    /// When the clock closes something next.
    pub(super) fn next_due(&self, state: &State<K, A>) -> Option<Instant> {
        match self.times {
            Times::Arrival => {
                let next = state.windows.next_end()?;
                self.began.1.checked_add(next.since(self.began.0))
            }
            Times::Event { idle_close, .. } if !state.windows.is_empty() => {
                state.last_arrival.checked_add(idle_close?)
            }
            Times::Event { .. } => None,
        }
    }

    /// Closes what the clock closes.
    pub(super) fn close_due(&self, state: &mut State<K, A>) {
        let now = Instant::now();
        if self.next_due(state).is_none_or(|due| due > now) {
            return;
        }
        let mut closed = Vec::new();
        match self.times {
            Times::Arrival => state.windows.advance(self.moment(now), &mut closed),
            Times::Event { .. } => closed.extend(state.windows.close_all(CloseReason::Idle)),
        }
        state.put_out(closed);
    }

    /// Publishes, and waits for what comes next, as long as anything is going to.
    async fn run(self: Arc<Self>, bus: Bus) {
        let running = Running(&self);
        loop {
            let done = match &self.kept {
                None => self.publish_out(&To::Bus(&bus)).await,
                Some(kept) => self.ask_if_due(kept, &bus).await,
            };
            if done.is_err() {
                // The bus is closed; what is left goes out at its end, or stays in its store.
                return;
            }
            let due = {
                let mut state = self.state.lock();
                if self.kept.is_none() {
                    self.close_due(&mut state);
                }
                if !state.out.is_empty() {
                    continue;
                }
                let Some(due) = self.next_due(&state) else {
                    state.running = false;
                    // Another task may begin before this one is gone.
                    std::mem::forget(running);
                    return;
                };
                state.sleeps_until = Some(due);
                due
            };
            // Until it is due, or something else is.
            let _ = tokio::time::timeout_at(due, self.work.notified()).await;
        }
    }

    /// Closes everything and publishes it; what comes afterwards is closed at once.
    pub(super) async fn end(&self, to: &To<'_>) -> Result<(), Ended> {
        self.state.lock().ended = true;
        self.close_and_publish(CloseReason::Shutdown, to).await
    }

    /// Closes everything that is open now, and publishes it.
    pub(super) async fn close_and_publish(
        &self,
        reason: CloseReason,
        to: &To<'_>,
    ) -> Result<(), Ended> {
        {
            let mut state = self.state.lock();
            let closed = state.windows.close_all(reason);
            // They were held before; now they are held here.
            state.put_out(closed);
        }
        self.publish_out(to).await
    }

    pub(super) fn stats(&self) -> AggregatorStats {
        let state = self.state.lock();
        AggregatorStats { keys: state.windows.len(), waiting: state.waiting(), ..state.counts }
    }

    /// Counts what is still there as lost.
    pub(super) fn cut_off(&self) {
        let mut state = self.state.lock();
        let left = state.waiting() as u64;
        (state.in_hand, state.out) = (None, VecDeque::new());
        state.counts.cut_off += left;
    }

    pub(super) fn now(bus: &Bus) -> (Moment, Instant) {
        let now: OffsetDateTime = bus.now();
        (now.into(), Instant::now())
    }
}

/// The bus takes nothing more.
#[derive(Debug)]
pub(super) struct Ended;

/// Where it goes out to.
pub(super) enum To<'a> {
    Bus(&'a Bus),
    Closing(&'a Closing),
    /// Follow-ups, which a bus that is closing takes from its handlers.
    Handler(&'a Context),
}

/// Says that there is no task any more, even where its runtime ends.
struct Running<'a, I, K, A>(&'a Core<I, K, A>);

impl<I, K, A> Drop for Running<'_, I, K, A> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
    }
}
