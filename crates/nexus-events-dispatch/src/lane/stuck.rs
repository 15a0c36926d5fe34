//! Handlers of a lane that do not return.
//!
//! A call that is given up keeps its task, and its thread with it. What may run beside it goes on
//! with another task; what may not is dropped and counted, so that nobody waits for it: the events
//! of its key, or all of a lane whose handlers run one event at a time and are all stuck.

use std::time::Duration;

use nexus_events_model::Text;

use super::{Lane, Left, Member, State};
use crate::bus::Bus;
use crate::desk::{Call, Desk};
use crate::entry::Entry;
use crate::runtime::{Job, STUCK, Skip, contained};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Weak};
use crate::watch::{Sight, Watch, Watched};

/// What a lane knows of those.
#[derive(Default)]
pub(super) struct Stuck {
    /// Whether nobody is left to take an event.
    all: bool,
    keys: Vec<Text>,
}

impl Stuck {
    /// Whether an event of this key may not run.
    pub(super) fn has(&self, key: Option<&Text>) -> bool {
        key.is_some_and(|key| self.keys.contains(key))
    }

    /// Somebody takes events again.
    pub(super) fn ends(&mut self) {
        self.all = false;
    }
}

impl State {
    /// Why no event is let in.
    pub(super) fn refusal(&self) -> Option<Skip> {
        self.over.or(self.stuck.all.then_some(STUCK))
    }

    /// Whether all handlers there are have calls that do not return.
    pub(super) fn is_stuck(&self) -> bool {
        let is_free = |it: &Member| it.entry.concurrency > 1 || it.stuck == 0;
        !self.members.is_empty() && !self.members.iter().any(is_free)
    }
}

impl Lane {
    /// Goes on without a call of this handler that does not return; gives back the events that
    /// nobody takes now.
    pub(crate) fn is_stuck(self: &Arc<Self>, entry: &Entry, key: Option<&Text>) -> Vec<Job> {
        let mut state = self.state.lock();
        state.stuck.keys.extend(key.cloned());
        if let Some(member) = state.members.iter_mut().find(|member| member.entry.id == entry.id) {
            member.stuck += 1;
            if entry.concurrency > 1 {
                // Another task may have its turns.
                member.started -= 1;
            }
        }
        let left = match state.is_stuck() {
            true => self.take_all_from_stuck(&mut state),
            false => Left::default(),
        };
        let more = self.wake(&mut state);
        drop(state);
        self.start(more);
        left.end(STUCK)
    }

    /// Lets no event in any more, and takes out what waits, since nobody is left to take it.
    pub(super) fn take_all_from_stuck(&self, state: &mut State) -> Left {
        state.stuck.all = true;
        self.take_all(state)
    }

    /// The call has returned after all.
    pub(crate) fn returns(self: &Arc<Self>, entry: &Entry, key: Option<&Text>) {
        let mut state = self.state.lock();
        if let Some(at) = state.stuck.keys.iter().position(|stuck| Some(stuck) == key) {
            state.stuck.keys.swap_remove(at);
        }
        if let Some(member) = state.members.iter_mut().find(|member| member.entry.id == entry.id) {
            member.stuck -= 1;
            state.stuck.all = false;
        }
    }
}

/// Where a task of a lane is looked at.
pub(super) struct Post {
    lane: Weak<Lane>,
    entry: Arc<Entry>,
    pub(super) desk: Arc<Desk>,
    is_known: AtomicBool,
    given_up: Mutex<Option<(Arc<Watch>, Option<Text>)>>,
}

impl Post {
    pub(super) fn new(lane: &Arc<Lane>, entry: &Arc<Entry>) -> Arc<Self> {
        Arc::new(Self {
            lane: Arc::downgrade(lane),
            entry: entry.clone(),
            desk: Arc::default(),
            is_known: AtomicBool::new(false),
            given_up: Mutex::default(),
        })
    }

    /// The task is about to be busy.
    pub(super) async fn is_seen(self: &Arc<Self>, bus: &Bus) {
        // Only the task asks.
        if !self.is_known.load(Ordering::Relaxed) {
            self.is_known.store(true, Ordering::Relaxed);
            bus.watch().add(Arc::downgrade(&(self.clone() as Arc<dyn Watched>)));
        }
        bus.watch().look(bus).await;
    }

    /// A call that was given up has returned; whether another task has its turns.
    pub(super) fn returns(&self) -> bool {
        let Some((watch, key)) = self.given_up.lock().take() else { return false };
        // Who sees in the statistics that it has returned finds it at work.
        if let Some(lane) = self.lane.upgrade() {
            lane.returns(&self.entry, key.as_ref());
        }
        watch.returned(&self.entry);
        self.entry.concurrency > 1
    }
}

impl Watched for Post {
    fn is_busy(&self) -> bool {
        !self.desk.is_empty()
    }

    fn sight(&self) -> Option<Sight> {
        let (turn, entry) = self.desk.running()?;
        Some(Sight { entry, turn, place: None })
    }

    fn doubt(&self, _: &Bus) {}

    fn give_up(&self, bus: &Bus, sight: &Sight, ran: Duration) -> bool {
        let mut given_up = self.given_up.lock();
        let Some(mut call) = self.desk.take_from(sight.turn) else { return false };
        let held = call.held.take();
        let key = held.as_ref().and_then(super::Held::key).cloned();
        *given_up = Some((bus.watch().clone(), key.clone()));
        let lane = self.lane.upgrade();
        let left = lane.map(|lane| lane.is_stuck(&sight.entry, key.as_ref()));
        // If it returns now, it does after that.
        drop(given_up);
        drop(held);
        let left = left.into_iter().flatten();
        left.for_each(|job| contained(|| job.give_up(STUCK)));
        call.time_out(ran);
        true
    }
}

impl Call {
    /// Goes on without the handler, whose outcome is that it took too long.
    pub(crate) fn time_out(self, ran: Duration) {
        let Self { entry, job, worker, .. } = self;
        if let Some(worker) = worker {
            worker.abandon();
        }
        if job.delivery.timed_out(job.place, &entry, ran) {
            // Handlers run on the way, which is nothing for the one who watches.
            let bus = job.delivery.bus.clone();
            bus.hand_over(job.delivery);
        }
    }
}
