//! The workers of a bus: how many blocking handlers may run at the same time.

use std::pin::pin;
use std::task::{Context, Wake, Waker};

use crate::sync::thread::{self, Thread, ThreadId};
use crate::sync::{Arc, Handle, Mutex, Notify, OnceLock, OwnedSemaphorePermit, Semaphore};

/// One of the bus's workers, occupied until every clone is dropped.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Occupied>);

struct Occupied {
    workers: Arc<Semaphore>,
    state: Mutex<State>,
    /// Told when somebody took the worker back, or gave that up.
    taken: Notify,
    /// The thread that the handler runs on.
    thread: OnceLock<ThreadId>,
}

struct State {
    permit: Option<OwnedSemaphorePermit>,
    /// How many things are waited for meanwhile.
    lent: usize,
    /// Whether somebody is about to take the worker back.
    taking: bool,
}

impl Worker {
    pub(crate) async fn occupy(workers: Arc<Semaphore>) -> Self {
        // The semaphore is never closed.
        let permit = workers.clone().acquire_owned().await.ok();
        let state = Mutex::new(State { permit, lent: 0, taking: false });
        let (taken, thread) = (Notify::new(), OnceLock::new());
        Self(Arc::new(Occupied { workers, state, taken, thread }))
    }

    /// Says that the handler runs on this very thread, which may block.
    pub(crate) fn runs_here(&self) {
        let _ = self.0.thread.set(thread::current().id());
    }

    /// Lets others work for good: the thread does not come back.
    pub(crate) fn abandon(&self) {
        std::mem::forget(Lent::begin(&self.0));
    }

    /// Lets others work while this is waited for. When it is dropped half way the handler goes
    /// on, but not before it has a worker again. As long as it waits for several things the worker
    /// is lent.
    pub(crate) async fn lend<T>(&self, waited_for: impl Future<Output = T>) -> T {
        let lent = Lent::begin(&self.0);
        let output = waited_for.await;
        lent.end().await;
        output
    }
}

impl Occupied {
    async fn take_back(&self) {
        loop {
            let mut taken = pin!(self.taken.notified());
            taken.as_mut().enable();
            let taking = {
                let mut state = self.state.lock();
                if !state.needs_permit() {
                    return;
                }
                std::mem::replace(&mut state.taking, true)
            };
            if taking {
                // One worker is enough for one handler.
                taken.await;
                continue;
            }
            let _taking = Taking(self);
            let permit = self.workers.clone().acquire_owned().await.ok();
            let mut state = self.state.lock();
            if state.needs_permit() {
                state.permit = permit;
            }
        }
    }
}

impl State {
    fn needs_permit(&self) -> bool {
        self.lent == 0 && self.permit.is_none()
    }
}

/// Somebody takes the worker back, until dropped.
struct Taking<'a>(&'a Occupied);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0.state.lock().taking = false;
        self.0.taken.notify_waiters();
    }
}

/// A worker that is lent, until dropped.
struct Lent<'a> {
    occupied: &'a Arc<Occupied>,
    waiting: bool,
}

impl<'a> Lent<'a> {
    fn begin(occupied: &'a Arc<Occupied>) -> Self {
        let mut state = occupied.state.lock();
        state.lent += 1;
        let permit = state.permit.take();
        drop(state);
        drop(permit);
        Self { occupied, waiting: true }
    }

    async fn end(mut self) {
        self.stop_waiting();
        self.occupied.take_back().await;
    }

    fn stop_waiting(&mut self) {
        if std::mem::replace(&mut self.waiting, false) {
            self.occupied.state.lock().lent -= 1;
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.stop_waiting();
        {
            let state = self.occupied.state.lock();
            // Who is about to take it back can not go on while this thread blocks.
            if !state.needs_permit() || state.taking {
                return;
            }
        }
        if self.occupied.thread.get() == Some(&thread::current().id()) {
            block_on(self.occupied.take_back());
        } else if let Ok(runtime) = Handle::try_current() {
            // The handler left the waiting to a task, which must not block.
            let worker = self.occupied.clone();
            runtime.spawn(async move { worker.take_back().await });
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on a thread that may block, whatever runs on it.
fn block_on(future: impl Future<Output = ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}
