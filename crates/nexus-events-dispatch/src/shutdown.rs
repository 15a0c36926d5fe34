//! The end of a bus: close the intake, drain, then stop.

use std::collections::HashSet;
use std::time::Duration;

use crate::bus::Bus;
use crate::context::Context;
use crate::durable::Consumer;
use crate::sync::{Arc, timeout};
use crate::waits::Waiting;

/// What a shutdown came to.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::Bus;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let report = Bus::new().shutdown(Duration::from_secs(5)).await;
/// assert!(report.is_clean());
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events that were on their way when it began, and got through.
    pub drained: usize,
    /// Events that were still on their way at the deadline, and were cut off: as many as the
    /// statistics call lost because of it.
    pub lost: usize,
    /// Events of the log that durable handlers have not handled, each once per handler: they get
    /// them when the bus is opened again. What a handler has not read yet counts whole, so where it
    /// does not want every event of the log it is less.
    pub redelivered: u64,
}

impl ShutdownReport {
    /// Whether nothing was cut off.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0
    }
}

impl Bus {
    /// Closes the bus: from now on it accepts no event and no subscription. Queues drain, the
    /// follow-ups of what drains too; then what is to be done [last](Self::at_shutdown) is; at the
    /// deadline handlers that still run on tasks are
    /// stopped. A thread that blocks cannot be stopped, its event counts as lost. An event on its
    /// publisher's own stack is not stopped either; it goes on there, and counts when it ends.
    ///
    /// Called from inside a handler it does not wait for that handler's own event, nor for what
    /// waits for it in turn: events that the handler published before or that stand behind it in
    /// its queue, handlers that wait for this one to end. Its own event counts as handled when it
    /// is; what it published, and what stands behind it, is lost.
    ///
    /// It needs tokio's timer when something is in flight.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let gate = self.gate();
        gate.close();
        self.0.plan.stop();
        let before = self.on_their_way();
        let waiting = Waiting::for_idle(self);
        self.drive_follow_ups();
        let done = || self.has_only(waiting.as_ref());
        let consumers = self.stop_reading();
        let drained = self.drain(deadline, done).await;
        let spared = waiting.as_ref().map(|it| match drained {
            true => it.events(self),
            false => it.own_events(self),
        });
        spared.into_iter().flatten().for_each(|event| event.spare());
        let lost = gate.stop();
        self.watch().end();
        let late = gate.late();
        let left = self.in_flight().saturating_sub(self.0.shared.surplus() + late);
        let lost = lost + self.cut_off(drained, waiting.as_ref());
        // What moves from one lane to another meanwhile may be in neither count.
        let left = left.max(lost.saturating_sub(late));
        let redelivered = self.read_so_far(&consumers).await;
        ShutdownReport { drained: before.saturating_sub(left), lost, redelivered }
    }

    /// Lets what is on its way end, then [what is done last](Self::at_shutdown), then what comes of
    /// that; whether nothing is left.
    async fn drain(&self, deadline: Duration, done: impl Fn() -> bool + Copy) -> bool {
        let gate = self.gate();
        if done() && !self.has_last() {
            return true;
        }
        let drain = async {
            if self.has_last() {
                // What holds on is not to keep the others from letting go.
                let _ = timeout(deadline / 2, gate.wait_until(done)).await;
                self.do_last().await;
            }
            gate.wait_until(done).await;
        };
        timeout(deadline, drain).await.is_ok()
    }

    /// Lets durable handlers take nothing more from the log. Those that are registered with it stay
    /// until their cursors are written.
    fn stop_reading(&self) -> Vec<Arc<Consumer>> {
        let Some(durables) = self.durables() else { return Vec::new() };
        let consumers = durables.readers();
        consumers.iter().for_each(|consumer| consumer.stop());
        consumers
    }

    /// Waits until all cursors are written; gives back what is left to read.
    async fn read_so_far(&self, consumers: &[Arc<Consumer>]) -> u64 {
        let Some(store) = self.store() else { return 0 };
        let mut left = 0;
        for consumer in consumers {
            consumer.cut_off();
            consumer.closed().await;
            left += consumer.left(store.bounds().last);
        }
        left
    }

    /// Ends all handlers, at the deadline where they are; gives back how many events are lost
    /// that were counted as handled.
    fn cut_off(&self, drained: bool, waiting: Option<&Waiting>) -> usize {
        let mut lost = HashSet::new();
        for lane in self.0.shared.all() {
            lost.extend(if drained { lane.close() } else { lane.abort() });
        }
        for entry in self.close_registry() {
            if !drained && !waiting.is_some_and(|it| it.holds_up(self, entry.id)) {
                lost.extend(entry.cut_off());
            } else {
                lost.extend(entry.waiting_shares());
            }
            self.0.registry.end(&entry);
        }
        self.counters().handled_but_lost(lost.len() as u64);
        lost.len()
    }

    /// Waits until no event is on its way, follow-ups included. Called from inside a handler it
    /// does not wait for that handler's own event, nor for what waits for it in turn: events that
    /// the handler published before or that stand behind it in its queue, and handlers, of
    /// whatever bus, that wait for this too.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("slow", async |_: Event| tokio::task::yield_now().await)?;
    /// bus.publish(Event::builder("slow")).await?;
    /// bus.idle().await;
    /// assert_eq!(bus.stats().events.handled_events, 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub async fn idle(&self) {
        let waiting = Waiting::for_idle(self);
        self.drive_follow_ups();
        let done = || self.has_only(waiting.as_ref());
        let idle = async {
            loop {
                self.gate().wait_until(done).await;
                if waiting.is_some() || !self.waits_for_log().await {
                    return;
                }
            }
        };
        match Context::innermost().and_then(|context| context.worker) {
            // What it waits for may need a worker too.
            Some(worker) => worker.lend(idle).await,
            None => idle.await,
        }
    }

    /// Waits until durable handlers have handled what is in the log now; `false` when they had.
    async fn waits_for_log(&self) -> bool {
        let Some(durables) = self.durables() else { return false };
        let last = durables.store().bounds().last;
        let consumers = durables.readers();
        let behind: Vec<_> = consumers.iter().filter(|it| !it.has_passed(last)).collect();
        for consumer in &behind {
            consumer.caught_up(last).await;
        }
        !behind.is_empty()
    }

    /// How many events are on their way, each once. What leaves a stack or a lane counts in both
    /// places for a moment, and what is about to be refused counts too; the books have each event
    /// once, but call one handled that waits in a shared lane.
    fn on_their_way(&self) -> usize {
        if self.in_flight() == 0 {
            return 0;
        }
        let ended = self.event_stats().ended();
        let counted = self.in_flight().saturating_sub(self.0.shared.surplus());
        let published = self.published();
        let in_lanes = self.0.shared.in_flight() + self.gate().shares();
        let open = usize::try_from(published.saturating_sub(ended)).unwrap_or(usize::MAX);
        let published = usize::try_from(published).unwrap_or(usize::MAX);
        counted.min(open.saturating_add(in_lanes)).min(published)
    }

    /// Whether only events are on their way whose handlers wait for this, or that stand behind
    /// those.
    fn has_only(&self, waiting: Option<&Waiting>) -> bool {
        // First, so that what comes meanwhile is too many and not too few.
        let waiting = waiting.map_or(0, |it| it.in_flight(self));
        self.in_flight() <= waiting
    }

    /// How many events are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        // What leaves a stack is queued or admitted first, and what leaves a lane is admitted.
        let passing = self.0.stripes.passing();
        let shared = self.0.shared.in_flight();
        passing + shared + self.gate().admitted()
    }
}
