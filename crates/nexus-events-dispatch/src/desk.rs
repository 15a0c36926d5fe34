//! What a task works on right now, laid out so that the event can be taken from there when the
//! handler never returns.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::bus::Bus;
use crate::entry::Entry;
use crate::lane::Held;
use crate::runtime::Job;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::worker::Worker;

#[derive(Default)]
pub(crate) struct Desk {
    call: Mutex<Option<Call>>,
    /// Odd while the handler's code runs, and so holds up its thread. Only whoever runs it writes.
    turns: AtomicU64,
}

/// An event in a handler's hands.
pub(crate) struct Call {
    pub(crate) entry: Arc<Entry>,
    pub(crate) job: Job,
    pub(crate) held: Option<Held>,
    /// What a blocking handler occupies.
    pub(crate) worker: Option<Worker>,
}

/// The call on the desk; its event is lost when this is dropped half way.
pub(crate) struct InHand<'a>(&'a Desk);

impl Desk {
    pub(crate) fn lay(&self, call: Call) -> InHand<'_> {
        self.put(call);
        self.in_hand()
    }

    /// A call that is taken up later, by [`in_hand`](Self::in_hand).
    pub(crate) fn put(&self, call: Call) {
        *self.call.lock() = Some(call);
    }

    /// Takes up the call that lies here.
    pub(crate) fn in_hand(&self) -> InHand<'_> {
        InHand(self)
    }

    /// The bus of the call.
    pub(crate) fn bus(&self) -> Option<Bus> {
        self.call.lock().as_ref().map(|call| call.job.delivery.bus.clone())
    }

    /// Takes the call away, if its event is counted elsewhere.
    pub(crate) fn take_share(&self) -> Option<Call> {
        let is_share = |call: &mut Call| {
            let delivery = &call.job.delivery;
            !delivery.is_counted() && delivery.log_place().is_none()
        };
        self.call.lock().take_if(is_share)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.call.lock().is_none()
    }

    /// The handler's turn that runs now, and whose it is.
    pub(crate) fn running(&self) -> Option<(u64, Arc<Entry>)> {
        let call = self.call.lock();
        let turn = self.turns.load(Ordering::SeqCst);
        Some((turn, call.as_ref()?.entry.clone())).filter(|_| turn % 2 == 1)
    }

    /// Takes the event away from that turn, if it still runs.
    pub(crate) fn take_from(&self, turn: u64) -> Option<Call> {
        let mut call = self.call.lock();
        if self.turns.load(Ordering::SeqCst) == turn { call.take() } else { None }
    }

    /// Runs code of the handler.
    pub(crate) fn busy<T>(&self, code: impl FnOnce() -> T) -> T {
        let _turn = Turn::begin(&self.turns);
        code()
    }

    /// Polls a future of the handler; `None` when the event was taken away meanwhile.
    pub(crate) async fn attend<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|task| match self.busy(|| future.as_mut().poll(task)) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.call.lock().is_none() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl InHand<'_> {
    pub(crate) fn occupy(&self, worker: &Worker) {
        if let Some(call) = &mut *self.0.call.lock() {
            call.worker = Some(worker.clone());
        }
    }

    /// Takes the call up again; `None` when the event was taken away.
    pub(crate) fn take(&self) -> Option<Call> {
        self.0.call.lock().take()
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let left = self.take();
        if let Some(call) = left {
            call.job.lose();
        }
    }
}

/// The handler's code runs, until dropped.
struct Turn<'a>(&'a AtomicU64);

impl<'a> Turn<'a> {
    fn begin(turns: &'a AtomicU64) -> Self {
        turns.fetch_add(1, Ordering::SeqCst);
        Self(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
