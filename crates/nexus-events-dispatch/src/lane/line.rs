//! The line in front of a full queue.
//!
//! Publishers wait in it, and so do events that nobody waits for: those of handlers' tasks, which
//! have other events to see to, and those whose publisher has gone. All are let in in the order
//! they came, by whoever makes room, so that a late task costs nobody its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::time::Duration;

use nexus_events_model::Text;

use super::{Lane, Serving, State};
use crate::delivery::Delivery;
use crate::limits::{QUEUE_LINE_EVENTS_MAX, QUEUE_WAIT_MAX};
use crate::queue::{Item, Overload};
use crate::runtime::{Job, Skip};
use crate::sync::{Arc, Handle, Instant, oneshot, timeout_at};
use crate::timer::in_time;

/// About thirty years: a clock can tell a time as far away as that.
const QUEUE_WAIT_LONGEST: Duration = Duration::from_secs(30 * 365 * 86_400);

/// An event that waits for room.
pub(super) struct Waiter {
    number: u64,
    item: Item<Job>,
    /// Later for later ones.
    until: Instant,
    /// To the publisher that waits.
    said: Option<oneshot::Sender<Result<(), Skip>>>,
}

impl Waiter {
    pub(super) fn job(&self) -> (&Job, Option<&Text>) {
        (&self.item.value, self.item.key.as_ref())
    }

    /// Ends the wait; gives the event back when nobody waits for it.
    pub(super) fn end(self, reason: Skip) -> Option<Job> {
        match self.said {
            Some(said) => {
                let _ = said.send(Err(reason));
                None
            }
            None => Some(self.item.value),
        }
    }
}

impl State {
    fn position(&self, number: u64) -> Option<usize> {
        self.line.iter().position(|waiter| waiter.number == number)
    }

    /// Takes one out whose time is up then and that nobody waits for, the first one first.
    fn take_overdue(&mut self, now: Instant) -> Option<Job> {
        let at = self.line.iter().position(|waiter| waiter.said.is_none())?;
        if self.line[at].until > now {
            return None;
        }
        self.apart -= 1;
        Some(self.line.remove(at)?.item.value)
    }
}

impl Lane {
    /// Queues what waits for room as long as there is some. Whether it queued anything.
    pub(super) fn let_in(&self, state: &mut State) -> bool {
        let (before, apart) = (state.line.len(), state.apart);
        while let Some(first) = state.line.front()
            && state.queue.has_room(first.item.bytes)
            && let Some(Waiter { item, said, .. }) = state.line.pop_front()
        {
            // There is room, so nothing gives way.
            let _ = state.queue.push(item, Instant::now());
            match said {
                Some(said) => drop(said.send(Ok(()))),
                None => state.apart -= 1,
            }
        }
        if apart > 0 && state.apart == 0 {
            self.relieved.notify_waiters();
        }
        state.line.len() < before
    }

    /// How long an event waits for room.
    fn patience(&self) -> Duration {
        match self.options.overload {
            Overload::Block { timeout } => timeout.min(QUEUE_WAIT_LONGEST),
            _ => QUEUE_WAIT_MAX,
        }
    }

    /// Until when an event that comes now waits for room.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.patience()
    }

    /// Lets an event wait that nobody waits for.
    pub(super) fn wait_apart(self: &Arc<Self>, item: Item<Job>) -> Result<(), Skip> {
        let mut state = self.state.lock();
        if let Some(reason) = state.refusal() {
            return Err(reason);
        }
        if state.apart >= QUEUE_LINE_EVENTS_MAX {
            return Err(Skip::QueueFull);
        }
        state.apart += 1;
        let (more, _) = self.stand(&mut state, item, None);
        let usher = self.usher(&mut state);
        drop(state);
        self.start(more);
        if let Some(usher) = usher {
            usher.start();
        }
        Ok(())
    }

    /// Lets an event wait whose publisher does; `Err` when nobody will ever take it.
    pub(super) fn wait_with_publisher(self: &Arc<Self>, item: Item<Job>) -> Result<Room, Skip> {
        let (delivery, place) = (item.value.delivery.clone(), item.value.place);
        let (sender, said) = oneshot::channel();
        let mut state = self.state.lock();
        if let Some(reason) = state.refusal() {
            return Err(reason);
        }
        let (more, until) = self.stand(&mut state, item, Some(sender));
        let number = state.last_waiter;
        drop(state);
        self.start(more);
        Ok(Room { lane: self.clone(), number, delivery, place, until, said, settled: false })
    }

    /// At the end of the line, until then; what there is room for by now does not wait.
    fn stand(
        self: &Arc<Self>,
        state: &mut State,
        item: Item<Job>,
        said: Option<oneshot::Sender<Result<(), Skip>>>,
    ) -> (Option<Serving>, Instant) {
        state.last_waiter += 1;
        let (number, until) = (state.last_waiter, self.until());
        state.line.push_back(Waiter { number, item, until, said });
        self.let_in(state);
        (self.wake(state), until)
    }

    /// Gives up what nobody waits for and whose time is up then, one after the other.
    fn give_up_until(self: &Arc<Self>, now: Instant) {
        loop {
            let mut state = self.state.lock();
            let Some(job) = state.take_overdue(now) else { return };
            // Those behind it may be smaller.
            self.let_in(&mut state);
            let more = self.wake(&mut state);
            drop(state);
            self.start(more);
            // What panics outside of a handler costs its event, and not those behind it.
            let give_up = AssertUnwindSafe(|| {
                if job.delivery.not_run(job.place, Skip::QueueFull) {
                    job.delivery.drive_on();
                }
            });
            catch_unwind(give_up).unwrap_or_else(std::mem::forget);
        }
    }

    /// What the future gives, if it does in time.
    pub(super) async fn in_time<T: Send>(
        &self,
        until: Instant,
        future: impl Future<Output = T> + Send,
    ) -> Option<T> {
        in_time(self.homes(), until, future).await
    }

    /// The runtimes of its handlers.
    fn homes(&self) -> Vec<Handle> {
        let state = self.state.lock();
        state.members.iter().filter_map(|member| member.entry.runtime.clone()).collect()
    }

    /// Somebody who gives up in time what nobody waits for, if there is need of one.
    fn usher(self: &Arc<Self>, state: &mut State) -> Option<Usher> {
        if state.apart == 0 || std::mem::replace(&mut state.ushered, true) {
            return None;
        }
        let home = state.members.iter().find_map(|member| member.entry.runtime.clone());
        Some(Usher { lane: self.clone(), home, relieved: false })
    }
}

/// The task that gives up what nobody waits for when its time is up.
struct Usher {
    lane: Arc<Lane>,
    /// Where another one goes on when its runtime ends.
    home: Option<Handle>,
    /// Whether there was nothing left to do.
    relieved: bool,
}

impl Usher {
    /// Begins on the runtime of the caller, who runs. Not under the lock.
    fn start(mut self) {
        if let Some(here) = Handle::try_current().ok().or_else(|| self.home.take()) {
            here.spawn(self.work());
        }
    }

    async fn work(mut self) {
        let lane = self.lane.clone();
        loop {
            let mut relieved = pin!(lane.relieved.notified());
            relieved.as_mut().enable();
            let Some(until) = self.next() else { return };
            if timeout_at(until, relieved).await.is_err() {
                lane.give_up_until(until);
            }
        }
    }

    /// When somebody's time is up; `None` at the end.
    fn next(&mut self) -> Option<Instant> {
        let mut state = self.lane.state.lock();
        let next = state.line.iter().find(|waiter| waiter.said.is_none());
        let until = next.map(|waiter| waiter.until);
        self.relieved = until.is_none();
        state.ushered = !self.relieved;
        until
    }
}

impl Drop for Usher {
    /// Its runtime has ended, unless it is relieved.
    fn drop(&mut self) {
        if self.relieved {
            return;
        }
        let mut state = self.lane.state.lock();
        state.ushered = false;
        let next = self.home.take().and_then(|home| Some((home, self.lane.usher(&mut state)?)));
        drop(state);
        if let Some((home, mut usher)) = next {
            usher.home = None;
            home.spawn(usher.work());
        }
    }
}

/// A publisher that waits for room.
pub(crate) struct Room {
    lane: Arc<Lane>,
    number: u64,
    delivery: Arc<Delivery>,
    place: usize,
    until: Instant,
    said: oneshot::Receiver<Result<(), Skip>>,
    settled: bool,
}

impl Room {
    /// Waits for it; `true` when the caller must go on with the delivery.
    pub(crate) async fn wait(mut self) -> bool {
        let lane = self.lane.clone();
        let said = lane.in_time(self.until, Pin::new(&mut self.said)).await;
        let said = match said {
            Some(said) => said.unwrap_or(Err(Skip::Stopped)),
            None => {
                lane.give_up_until(self.until);
                self.leave()
            }
        };
        self.settled = true;
        self.pass_on(said)
    }

    fn pass_on(&self, said: Result<(), Skip>) -> bool {
        said.is_err_and(|reason| self.delivery.not_run(self.place, reason))
    }

    /// Leaves the line, unless something was said before.
    fn leave(&mut self) -> Result<(), Skip> {
        let mut state = self.lane.state.lock();
        let Some(at) = state.position(self.number) else {
            drop(state);
            return self.said.try_recv().unwrap_or(Ok(()));
        };
        let left = state.line.remove(at);
        // Those behind it may be smaller.
        let let_in = self.lane.let_in(&mut state);
        let more = if let_in { self.lane.wake(&mut state) } else { None };
        drop(state);
        self.lane.start(more);
        drop(left);
        Err(Skip::QueueFull)
    }

    /// Keeps its place without anybody who waits; `false` when it has none any more, or there are
    /// too many of those.
    fn stay(&mut self) -> bool {
        let mut state = self.lane.state.lock();
        let Some(at) = state.position(self.number) else { return false };
        if state.apart >= QUEUE_LINE_EVENTS_MAX {
            return false;
        }
        state.line[at].said = None;
        state.apart += 1;
        let usher = self.lane.usher(&mut state);
        drop(state);
        if let Some(usher) = usher {
            usher.start();
        }
        true
    }
}

impl Drop for Room {
    /// The publisher has gone, and its event goes on.
    fn drop(&mut self) {
        if self.settled || self.stay() {
            return;
        }
        let said = self.leave();
        if self.pass_on(said) {
            self.delivery.bus.hand_over(self.delivery.clone());
        }
    }
}
