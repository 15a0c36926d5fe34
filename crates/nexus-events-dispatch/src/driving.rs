//! A delivery on its way: who drives it, wave after wave.
//!
//! Nobody waits while a delivery is in his hands. What has no room in a queue stands in line
//! there and counts as one of the wave's handlers that are not done, so whoever settles it goes
//! on where it was the last.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use crate::delivery::{Delivery, Wait};
use crate::entrance::now;
use crate::entry::Entry;
use crate::handler::BoxFuture;
use crate::lane::{Handed, Room};
use crate::runtime::{Job, Skip, run_inline};
use crate::sync::{Arc, Ordering};

/// Follow-ups of what somebody drives. When that one's future is dropped half way, or leaves
/// them, others take over.
#[derive(Default)]
struct Driving(VecDeque<Arc<Delivery>>);

impl Drop for Driving {
    fn drop(&mut self) {
        for delivery in self.0.drain(..) {
            let bus = delivery.bus.clone();
            bus.hand_over(delivery);
        }
    }
}

/// Something a publisher waits for; `true` when it must go on with the delivery then.
type Waiting = BoxFuture<'static, bool>;

/// Waits for all of them, or until one of them was the last of the wave.
async fn settle(mut waiting: Vec<Waiting>) -> bool {
    poll_fn(|task| {
        let mut at = 0;
        while let Some(one) = waiting.get_mut(at) {
            match one.as_mut().poll(task) {
                Poll::Pending => at += 1,
                Poll::Ready(true) => return Poll::Ready(true),
                Poll::Ready(false) => drop(waiting.swap_remove(at)),
            }
        }
        if waiting.is_empty() { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

impl Delivery {
    /// Drives a delivery and all its follow-ups as far as this caller can, then leaves them to
    /// the handlers that run elsewhere.
    pub(crate) async fn drive(first: Arc<Self>, wait: Wait) {
        let mut driving = Driving(VecDeque::from([first]));
        while let Some(delivery) = driving.0.pop_front() {
            while settle(delivery.advance(wait, &mut driving.0)).await {}
        }
    }

    /// The same for those who never wait.
    pub(crate) fn drive_now(first: Arc<Self>, wait: Wait) {
        let _ = now(Self::drive(first, wait));
    }

    /// Drives this delivery alone, for a handler that waits for it. Its follow-ups are left to
    /// others.
    pub(crate) async fn drive_alone(self: Arc<Self>, wait: Wait) {
        loop {
            let mut driving = Driving::default();
            let waiting = self.advance(wait, &mut driving.0);
            drop(driving);
            if !settle(waiting).await {
                return;
            }
        }
    }

    /// Drives this delivery alone, for those who have other events to see to: they wait for
    /// nothing, and follow-ups are left to others.
    pub(crate) fn drive_on(self: Arc<Self>) {
        let _ = now(self.drive_alone(Wait::Apart));
    }

    /// Opens wave after wave until one has handlers that run elsewhere; gives back what the
    /// caller has to wait for.
    fn advance(self: &Arc<Self>, wait: Wait, then: &mut VecDeque<Arc<Self>>) -> Vec<Waiting> {
        loop {
            then.extend(self.take_follow_ups());
            if self.is_cancelled() || !self.open_wave() {
                then.extend(self.conclude());
                return Vec::new();
            }
            let waiting = self.hand_out(wait);
            self.run_inline_handlers();
            if !self.leave() {
                return waiting;
            }
        }
    }

    /// Makes the next handlers of equal priority the wave; `false` when there are none left.
    fn open_wave(&self) -> bool {
        let start = self.wave.end.load(Ordering::Relaxed);
        let Some(end) = self.route().wave_end(start) else { return false };
        let has_lane = |place: &usize| self.is_open(*place) && self.entry(*place).is_queued();
        let lanes = (start..end).filter(has_lane).count();
        self.wave.start.store(start, Ordering::Relaxed);
        self.wave.end.store(end, Ordering::Relaxed);
        self.wave.left.store(lanes + 1, Ordering::Relaxed);
        true
    }

    /// Puts the event into the queues of this wave, or the line before them.
    fn hand_out(self: &Arc<Self>, wait: Wait) -> Vec<Waiting> {
        let (start, end) = (&self.wave.start, &self.wave.end);
        let places = start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed);
        let waiting = places.filter_map(|place| self.hand_to(place, wait)).collect();
        // It may stand behind a handler that waits for all other events.
        self.bus.gate().left();
        waiting
    }

    fn hand_to(self: &Arc<Self>, place: usize, wait: Wait) -> Option<Waiting> {
        let entry = self.entry(place);
        if !self.is_open(place) {
            self.skip(place, Skip::Filtered);
        } else if let Some(lane) = entry.lane.get() {
            if lane.waits_itself(entry, &self.lineage) {
                self.passed(place, Err(Skip::WaitsItself));
                return None;
            }
            match lane.push(Job { delivery: self.clone(), place }, wait) {
                Handed::Settled(pushed) => self.passed(place, pushed),
                Handed::Waits(room) => return Some(Box::pin(room.wait())),
            }
        } else if entry.shared.get().is_some() {
            if self.lineage.waiting(entry.id) > 0 {
                self.passed(place, Err(Skip::WaitsItself));
                return None;
            }
            let first_try = if wait == Wait::Here { Wait::Never } else { wait };
            let pushed = now(push_shared(self.clone(), place, first_try));
            let pushed = match pushed.unwrap_or(Err(Skip::QueueFull)) {
                Ok(Some(room)) => return Some(Box::pin(room.wait())),
                Ok(None) => Ok(()),
                Err(reason) => Err(reason),
            };
            if wait == Wait::Here && pushed == Err(Skip::QueueFull) {
                let waiting = SharedRoom { delivery: self.clone(), place, settled: false };
                return Some(Box::pin(waiting.wait()));
            }
            self.passed(place, pushed);
        }
        None
    }

    /// The queue at this place has the event, or will not get it; for the driver.
    fn passed(&self, place: usize, pushed: Result<(), Skip>) {
        if let Err(reason) = pushed {
            self.not_run(place, reason);
        }
    }

    fn run_inline_handlers(self: &Arc<Self>) {
        let (start, end) = (&self.wave.start, &self.wave.end);
        for place in start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed) {
            let entry = self.entry(place);
            if !entry.is_queued() && self.is_open(place) {
                self.run_inline_handler(place, entry);
            }
        }
    }

    fn run_inline_handler(self: &Arc<Self>, place: usize, entry: &Arc<Entry>) {
        match entry.begin() {
            Some(run) => {
                let ended = run_inline(self, place);
                drop(run);
                self.end(place, entry, ended, None);
            }
            None => self.skip(place, Skip::Unsubscribed),
        }
    }

    /// Says that one handler of this wave, or the driver, is done. `true` for the last one, who
    /// must go on.
    pub(crate) fn leave(&self) -> bool {
        self.wave.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Queues the event in the lane that the handler at this place shares with others, or in its own
/// where it has moved; there its publisher may have to wait.
async fn push_shared(
    delivery: Arc<Delivery>,
    place: usize,
    wait: Wait,
) -> Result<Option<Room>, Skip> {
    let entry = delivery.entry(place).clone();
    let job = Job { delivery, place };
    let left = match (entry.own_lane.get(), entry.shared.get()) {
        (None, Some(shared)) => shared.push(job, wait).await?,
        _ => Some(job),
    };
    match (left, entry.own_lane.get()) {
        (Some(job), Some(own)) => match own.push(job, wait) {
            Handed::Settled(result) => result.map(|()| None),
            Handed::Waits(room) => Ok(Some(room)),
        },
        _ => Ok(None),
    }
}

/// A publisher that waits for room in a shared lane.
struct SharedRoom {
    delivery: Arc<Delivery>,
    place: usize,
    settled: bool,
}

impl SharedRoom {
    async fn wait(mut self) -> bool {
        let pushed = push_shared(self.delivery.clone(), self.place, Wait::Here).await;
        self.settled = true;
        match pushed {
            Ok(Some(room)) => room.wait().await,
            pushed => self.pass_on(pushed),
        }
    }

    fn pass_on(&self, pushed: Result<Option<Room>, Skip>) -> bool {
        pushed.is_err_and(|reason| self.delivery.not_run(self.place, reason))
    }
}

impl Drop for SharedRoom {
    /// The publisher has gone, and its event goes on before those that come later.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let pushed = now(push_shared(self.delivery.clone(), self.place, Wait::Apart));
        if self.pass_on(pushed.unwrap_or(Err(Skip::QueueFull))) {
            self.delivery.bus.hand_over(self.delivery.clone());
        }
    }
}
