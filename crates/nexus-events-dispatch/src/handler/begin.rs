//! Asynchronous handlers on a shared lane: most futures are done when they are first polled, so
//! that is done on the spot. What is left of one that has to wait goes on elsewhere.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, Waker};

use tokio::task::coop::unconstrained;

use super::{BoxFuture, HandlerResult, HandlerReturn};
use crate::context::Context;
use crate::runtime::contained;
use crate::sync::Mutex;

/// What became of a handler's turn that was begun.
#[doc(hidden)]
#[derive(Debug)]
pub enum Begun<T> {
    /// It is done.
    Done(T),
    /// It has to wait.
    Waits(Rest),
}

/// What is left of a turn that has to wait.
#[doc(hidden)]
pub struct Rest(Box<dyn FnOnce(Context) -> BoxFuture<'static, HandlerResult> + Send>);

impl Rest {
    /// Goes on with it. Nobody is told by what it waits for before this is polled.
    pub(crate) fn go_on(self, context: Context) -> BoxFuture<'static, HandlerResult> {
        (self.0)(context)
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}

/// Where the futures of one handler are polled, one after the other, without an allocation for
/// each.
pub(super) struct Place<F>(Mutex<Option<Pin<Box<Option<F>>>>>);

impl<F> Default for Place<F> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<F: Future<Output: HandlerReturn> + Send + 'static> Place<F> {
    /// Polls the future once.
    pub(super) fn begin(&self, future: F) -> Begun<F::Output> {
        match self.0.try_lock() {
            Some(mut place) => begin_in(&mut place, future),
            // A call that does not return has it.
            None => begin_in(&mut None, future),
        }
    }
}

#[inline]
fn begin_in<F>(place: &mut Option<Pin<Box<Option<F>>>>, future: F) -> Begun<F::Output>
where
    F: Future<Output: HandlerReturn> + Send + 'static,
{
    let mut held = place.get_or_insert_with(|| Box::pin(None)).as_mut();
    held.set(Some(future));
    let polled = catch_unwind(AssertUnwindSafe(|| poll_once(held.as_mut())));
    match polled {
        Ok(Poll::Ready(returned)) => {
            held.set(None);
            Begun::Done(returned)
        }
        Ok(Poll::Pending) => match place.take() {
            Some(future) => Begun::Waits(rest(future)),
            None => unreachable!("it was there just now"),
        },
        Err(panic) => {
            // It is no use any more, and might panic again when it is dropped.
            contained(|| held.set(None));
            resume_unwind(panic);
        }
    }
}

/// Tokio's budget is the lane's, for very many handlers; one that has used it up would wait for
/// nothing.
fn poll_once<F: Future>(held: Pin<&mut Option<F>>) -> Poll<F::Output> {
    match held.as_pin_mut() {
        Some(future) => pin!(unconstrained(future)).poll(&mut Task::from_waker(Waker::noop())),
        None => Poll::Pending,
    }
}

#[cold]
fn rest<F>(mut future: Pin<Box<Option<F>>>) -> Rest
where
    F: Future<Output: HandlerReturn> + Send + 'static,
{
    Rest(Box::new(move |context| {
        Box::pin(async move {
            let returned = poll_fn(|task| match future.as_mut().as_pin_mut() {
                Some(running) => running.poll(task),
                None => Poll::Pending,
            });
            let returned = returned.await;
            future.set(None);
            returned.into_result(&context)
        })
    }))
}
