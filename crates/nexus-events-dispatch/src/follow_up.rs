//! Events published by handlers: queued behind the running wave, never dispatched inside a
//! handler's call, so that a chain of them is a loop and not a recursion.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use tokio::task::coop::consume_budget;

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::{Delivery, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::FOLLOW_UPS_MAX;
use crate::runtime::has_ended;
use crate::sync::{Arc, AtomicUsize, Handle, Id, Mutex, Notify, Ordering};

/// Deliveries that nobody's stack drives: follow-ups of handlers on tasks, and what a publisher
/// left half way. They are driven one after the other in the order they came, and wait for no
/// queue.
///
/// Whoever leaves one here starts a task on his own runtime, which runs, unless it has one. Each
/// of these tasks drives whatever is first, so none of them is needed: a runtime that stands
/// still holds up nobody.
#[derive(Default)]
pub(crate) struct FollowUps {
    left: Mutex<Left>,
    /// Told when somebody is done with one of them.
    driven: Notify,
    /// Published by handlers and not yet concluded.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Left {
    deliveries: VecDeque<Arc<Delivery>>,
    /// Whether one of them is on somebody's stack.
    driving: bool,
    /// The runtimes that have a task.
    tasks: Vec<Id>,
}

/// What there was to do.
enum Turn {
    Drove,
    /// Somebody else drives.
    Busy,
    Nothing,
}

impl FollowUps {
    /// Room for one more.
    pub(crate) fn reserve(&self) -> Result<()> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < FOLLOW_UPS_MAX {
            return Ok(());
        }
        self.release();
        let message = format!(
            "{FOLLOW_UPS_MAX} events published by handlers wait already; publish fewer or speed up the handlers they wait for"
        );
        Err(Error::new(ErrorKind::Overloaded, message))
    }

    pub(crate) fn release(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Drives the first one; on whose behalf does not matter.
    fn turn(&self, task: Option<Id>) -> Turn {
        let first = {
            let mut left = self.left.lock();
            if left.deliveries.is_empty() {
                left.tasks.retain(|id| Some(*id) != task);
                return Turn::Nothing;
            }
            if std::mem::replace(&mut left.driving, true) {
                return Turn::Busy;
            }
            left.deliveries.pop_front()
        };
        // The same as for lanes: what panics outside of a handler costs its event only.
        let drive = || first.map_or((), |first| Delivery::drive_now(first, Wait::Apart));
        catch_unwind(AssertUnwindSafe(drive)).unwrap_or_else(std::mem::forget);
        self.left.lock().driving = false;
        self.driven.notify_waiters();
        Turn::Drove
    }

    /// A task has ended with its runtime. Where nobody else is left to drive, what is left goes to
    /// the runtime of the bus, and is lost with it.
    fn abandoned_by(self: &Arc<Self>, task: Id) {
        let home = {
            let mut left = self.left.lock();
            left.tasks.retain(|id| *id != task);
            if left.driving || !left.tasks.is_empty() {
                return;
            }
            left.deliveries.front().and_then(|first| first.bus.home())
        };
        match home.filter(|home| !has_ended(home)) {
            Some(home) => self.start(&home),
            None => {
                let mut left = self.left.lock();
                if left.tasks.is_empty() && !left.driving {
                    let lost = std::mem::take(&mut left.deliveries);
                    drop(left);
                    drop(lost);
                }
            }
        }
    }

    /// Starts a task on this runtime, unless it has one.
    fn start(self: &Arc<Self>, runtime: &Handle) {
        let id = runtime.id();
        {
            let mut left = self.left.lock();
            if left.tasks.contains(&id) {
                return;
            }
            left.tasks.push(id);
        }
        runtime.spawn(Task { follow_ups: self.clone(), id, finished: false }.work());
    }
}

/// Drives what is left, on one runtime.
struct Task {
    follow_ups: Arc<FollowUps>,
    id: Id,
    /// Whether there was nothing left.
    finished: bool,
}

impl Task {
    async fn work(mut self) {
        let follow_ups = self.follow_ups.clone();
        loop {
            let mut driven = pin!(follow_ups.driven.notified());
            driven.as_mut().enable();
            match follow_ups.turn(Some(self.id)) {
                Turn::Drove => consume_budget().await,
                Turn::Busy => driven.await,
                Turn::Nothing => {
                    self.finished = true;
                    return;
                }
            }
        }
    }
}

impl Drop for Task {
    /// Unless there is nothing left its runtime has ended, and others have to go on.
    fn drop(&mut self) {
        if !self.finished {
            self.follow_ups.abandoned_by(self.id);
        }
    }
}

impl Bus {
    /// Leaves a delivery to be driven by somebody who runs.
    pub(crate) fn hand_over(&self, delivery: Arc<Delivery>) {
        self.follow_ups().left.lock().deliveries.push_back(delivery);
        self.drive_follow_ups();
    }

    /// Sees to it that somebody drives what is left, if anything is: a task where the caller
    /// runs, or the caller itself, where there is no runtime and it is inside of no handler.
    pub(crate) fn drive_follow_ups(&self) {
        let follow_ups = self.follow_ups();
        if follow_ups.left.lock().deliveries.is_empty() {
            return;
        }
        let away = || Context::is_inside().then(|| self.home()).flatten();
        match Handle::try_current().ok().or_else(away) {
            Some(runtime) => follow_ups.start(&runtime),
            None => while matches!(follow_ups.turn(None), Turn::Drove) {},
        }
    }
}
