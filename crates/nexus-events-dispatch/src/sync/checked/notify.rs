//! As `tokio::sync::Notify`, built of a lock of the model.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Mutex;

#[derive(Default, Debug)]
pub(crate) struct Notify(Mutex<State>);

#[derive(Default)]
struct State {
    /// Left by [`Notify::notify_one`] when nobody waited.
    permit: bool,
    /// How often all were told.
    rounds: u64,
    last_number: u64,
    waiters: Vec<Waiter>,
}

struct Waiter {
    number: u64,
    waker: Option<Waker>,
    told: bool,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        let mut state = self.0.lock();
        let waker = match state.waiters.iter_mut().find(|waiter| !waiter.told) {
            Some(first) => {
                first.told = true;
                first.waker.take()
            }
            None => {
                state.permit = true;
                None
            }
        };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn notify_waiters(&self) {
        let mut state = self.0.lock();
        state.rounds += 1;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().filter_map(|waiter| waiter.waker).for_each(Waker::wake);
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, rounds: self.0.lock().rounds, number: None, over: false }
    }
}

pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    rounds: u64,
    number: Option<u64>,
    over: bool,
}

impl Notified<'_> {
    pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
        self.get_mut().advance(None)
    }

    fn advance(&mut self, waker: Option<&Waker>) -> bool {
        if self.over {
            return true;
        }
        let mut state = self.notify.0.lock();
        let own = state.waiters.iter().position(|waiter| Some(waiter.number) == self.number);
        let told = own.is_some_and(|at| state.waiters[at].told);
        if state.rounds != self.rounds || told || std::mem::take(&mut state.permit) {
            own.map(|at| state.waiters.remove(at));
            self.over = true;
            return true;
        }
        let at = own.unwrap_or_else(|| {
            state.last_number += 1;
            let number = state.last_number;
            self.number = Some(number);
            state.waiters.push(Waiter { number, waker: None, told: false });
            state.waiters.len() - 1
        });
        if waker.is_some() {
            state.waiters[at].waker = waker.cloned();
        }
        false
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if self.get_mut().advance(Some(task.waker())) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Notified<'_> {
    /// Whoever was told and goes without having heard it leaves it to the next.
    fn drop(&mut self) {
        if self.over || self.number.is_none() {
            return;
        }
        let mut state = self.notify.0.lock();
        let own = state.waiters.iter().position(|waiter| Some(waiter.number) == self.number);
        let told = own.is_some_and(|at| state.waiters.remove(at).told);
        drop(state);
        if told {
            self.notify.notify_one();
        }
    }
}
