//! Which stored events are on their way through the waves, so that a consumer does not overtake
//! the waves above its handler, and does not handle what these have cancelled.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;

use nexus_events_model::EventId;

use super::{Consumer, Durables};
use crate::limits::RECENT_EVENTS_MAX;
use crate::store::Offset;
use crate::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Live {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<EventId, Waiting>,
    /// Where those are that were stored lately.
    offsets: Recent<Offset>,
    /// Those cancelled lately, with the handler priority of the wave that did.
    cancelled: Recent<i32>,
}

/// An event that has not reached everybody.
struct Waiting {
    /// The consumers whose wave has not come. Only these are told when something changes.
    consumers: Vec<Arc<Consumer>>,
    /// How often it is being stored or dispatched; each but one turns out to be a duplicate.
    claims: usize,
    /// Where it is, once it is stored: for as long as somebody waits, however many come after it.
    offset: Option<Offset>,
}

impl Waiting {
    /// Nobody waits for it any more.
    fn end(self) {
        self.consumers.iter().for_each(|consumer| consumer.wave.notify_waiters());
    }
}

/// What is known of the last so many events.
struct Recent<T> {
    known: HashMap<EventId, T>,
    order: VecDeque<EventId>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Recent<T> {
    fn insert(&mut self, id: EventId, what: T) {
        if self.known.insert(id.clone(), what).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT_EVENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// An event that is about to be stored and dispatched. Dropped before it is, no wave of it comes.
pub(crate) struct Entering {
    durables: Arc<Durables>,
    id: Option<EventId>,
}

impl Live {
    /// The event is going to be stored, and dispatched to these consumers among others.
    pub(crate) fn enter(
        durables: &Arc<Durables>,
        id: &EventId,
        waiting: Vec<Arc<Consumer>>,
    ) -> Entering {
        if !waiting.is_empty() {
            let mut state = durables.live.state.lock();
            let new = Waiting { consumers: waiting, claims: 0, offset: None };
            // Published again on its way, it has the waves of the first.
            state.waiting.entry(id.clone()).or_insert(new).claims += 1;
        }
        Entering { durables: durables.clone(), id: Some(id.clone()) }
    }

    /// The wave of this consumer has come.
    pub(crate) fn reached(&self, id: &EventId, consumer: &Consumer) {
        let mut state = self.state.lock();
        let Some(waiting) = state.waiting.get_mut(id) else { return };
        let is_it = |waiting: &Arc<Consumer>| std::ptr::eq(&**waiting, consumer);
        let Some(at) = waiting.consumers.iter().position(is_it) else { return };
        let reached = waiting.consumers.swap_remove(at);
        if waiting.consumers.is_empty() {
            state.waiting.remove(id);
        }
        drop(state);
        reached.wave.notify_waiters();
    }

    /// A wave of this priority has cancelled it; gives back its offset, if that is known.
    pub(crate) fn cancelled(&self, id: &EventId, priority: i32) -> Option<Offset> {
        let mut state = self.state.lock();
        let waiting = state.waiting.remove(id);
        let offset = waiting.as_ref().and_then(|waiting| waiting.offset);
        let offset = offset.or_else(|| state.offsets.known.get(id).copied());
        state.cancelled.insert(id.clone(), priority);
        drop(state);
        waiting.into_iter().for_each(Waiting::end);
        offset
    }

    /// It is not going to reach anybody any more.
    pub(crate) fn gone(&self, id: &EventId) {
        let waiting = self.state.lock().waiting.remove(id);
        waiting.into_iter().for_each(Waiting::end);
    }

    /// One of those who stored it has not; unless another has or may, it reaches nobody.
    fn given_up(&self, id: &EventId) {
        let mut state = self.state.lock();
        let Some(waiting) = state.waiting.get_mut(id) else { return };
        waiting.claims -= 1;
        let waiting = if waiting.claims == 0 { state.waiting.remove(id) } else { None };
        drop(state);
        waiting.into_iter().for_each(Waiting::end);
    }

    /// A consumer has ended, whose wave need not come.
    pub(crate) fn left(&self, consumer: &Consumer) {
        self.state.lock().waiting.retain(|_, waiting| {
            waiting.consumers.retain(|waiting| !std::ptr::eq(&**waiting, consumer));
            !waiting.consumers.is_empty()
        });
    }

    /// Waits until the wave of this consumer has come or never will; the priority of the wave that
    /// has cancelled the event, if one has.
    pub(crate) async fn passed(&self, id: &EventId, consumer: &Consumer) -> Option<i32> {
        loop {
            let mut wave = pin!(consumer.wave.notified());
            wave.as_mut().enable();
            {
                let state = self.state.lock();
                let waits = |waiting: &Waiting| {
                    waiting.consumers.iter().any(|waiting| std::ptr::eq(&**waiting, consumer))
                };
                if !state.waiting.get(id).is_some_and(waits) {
                    return state.cancelled.known.get(id).copied();
                }
            }
            wave.await;
        }
    }
}

impl Entering {
    /// It is stored, and is dispatched now.
    pub(crate) fn stored(mut self, offset: Offset) {
        if let Some(id) = self.id.take() {
            let mut state = self.durables.live.state.lock();
            if let Some(waiting) = state.waiting.get_mut(&id) {
                waiting.offset = Some(offset);
            }
            state.offsets.insert(id, offset);
        }
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.durables.live.given_up(id);
        }
    }
}
