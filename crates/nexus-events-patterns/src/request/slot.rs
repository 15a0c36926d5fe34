//! The place where answers to one request arrive. The event's delivery carries it to responders,
//! so no table of requests is needed to find it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use nexus_events_dispatch::Witness;
use nexus_events_model::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::exchange::{Answer, Exchange, Found, Taken, Wanted};
use super::late::LateReply;
use super::of_bus::BusRequests;

pub(crate) struct Slot {
    state: Mutex<State>,
    closed: AtomicBool,
    gone: Notify,
    pub(crate) event: Event,
    pub(crate) begun: Instant,
    pub(crate) deadline: Instant,
    requests: Arc<BusRequests>,
}

struct State {
    exchange: Exchange,
    waker: Option<Waker>,
}

impl Slot {
    /// Changes what is known, and wakes the requester where it may see a difference.
    fn change<T>(&self, change: impl FnOnce(&mut Exchange) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state.exchange);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    pub(crate) fn put(&self, answer: Answer) -> Taken {
        let mut state = self.state.lock();
        let (taken, left) = state.exchange.put(answer);
        let waker = if taken == Taken::In { state.waker.take() } else { None };
        drop(state);
        self.requests.counters.taken(taken);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(reply) = left.filter(|_| taken == Taken::Late) {
            let after = self.begun.elapsed();
            self.requests.late(&LateReply { request: self.event.clone(), reply, after });
        }
        taken
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.state.lock().exchange.hold();
        Hold(self.clone())
    }

    /// What there is for the requester, which is woken when there is something.
    pub(crate) fn poll(&self, task: &std::task::Context<'_>) -> Poll<Found> {
        let mut state = self.state.lock();
        match state.exchange.next() {
            Found::Nothing => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(task.waker()),
                    waker => *waker = Some(task.waker().clone()),
                }
                Poll::Pending
            }
            found => Poll::Ready(found),
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.state.lock().exchange.has_begun()
    }

    /// Whether the event is in, and nobody is there to answer it.
    pub(crate) fn has_no_responders(&self) -> bool {
        self.state.lock().exchange.has_no_responders()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until the requester has gone.
    pub(crate) async fn closed(&self) {
        let gone = self.gone.notified();
        let mut gone = std::pin::pin!(gone);
        gone.as_mut().enable();
        if !self.is_closed() {
            gone.await;
        }
    }
}

impl Witness for Slot {
    fn begins(&self, responders: usize) {
        self.change(|exchange| exchange.begin(responders));
    }

    fn responder_ended(&self) {
        self.change(Exchange::place_ended);
    }

    fn over(&self) {
        self.change(Exchange::over);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("request", self.event.id()).finish_non_exhaustive()
    }
}

/// Somebody who may answer, until dropped.
#[derive(Debug)]
pub(crate) struct Hold(pub(crate) Arc<Slot>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.change(Exchange::let_go);
    }
}

/// A request that is waited for; the slot is given up when this is dropped, on whatever way.
pub(crate) struct Pending {
    pub(crate) slot: Arc<Slot>,
    /// Whether it came to an end that was counted.
    pub(crate) ended: bool,
}

impl Pending {
    pub(crate) fn begin(
        requests: &Arc<BusRequests>,
        event: Event,
        wanted: Wanted,
        (begun, deadline): (Instant, Instant),
    ) -> crate::Result<Self> {
        requests.counters.begin()?;
        let slot = Slot {
            state: Mutex::new(State { exchange: Exchange::new(wanted), waker: None }),
            closed: AtomicBool::new(false),
            gone: Notify::new(),
            event,
            begun,
            deadline,
            requests: requests.clone(),
        };
        Ok(Self { slot: Arc::new(slot), ended: false })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let slot = &self.slot;
        let (left, waker) = {
            let mut state = slot.state.lock();
            (state.exchange.close(), state.waker.take())
        };
        slot.closed.store(true, Ordering::Release);
        slot.gone.notify_waiters();
        let counters = &slot.requests.counters;
        counters.untaken(left.len());
        counters.end(self.ended);
        // Somebody else's code, and not under the lock.
        drop((left, waker));
    }
}
