//! The end of a bus: close the intake, drain, then stop.

use std::time::Duration;

use tokio::sync::Notify;

use crate::bus::Bus;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::sync::{AtomicUsize, Ordering};

/// Set in [`Gate::state`] when no new event is admitted.
const CLOSED: usize = 1 << (usize::BITS - 1);
/// Set when not even follow-ups are.
const STOPPED: usize = 1 << (usize::BITS - 2);
const FLAGS: usize = CLOSED | STOPPED;

/// Counts the events in flight and says whether more are admitted, in one word, so that no event
/// slips in after the last one was counted.
#[derive(Default)]
pub(crate) struct Gate {
    state: AtomicUsize,
    changed: Notify,
}

impl Gate {
    /// Counts one more event, unless one of these flags is set.
    fn enter(&self, refuse: usize) -> Result<()> {
        let entered = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state & refuse == 0).then_some(state + 1)
        });
        entered.map(|_| ()).map_err(|_| Error::closed())
    }

    pub(crate) fn admit(&self) -> Result<()> {
        self.enter(CLOSED)
    }

    pub(crate) fn admit_follow_up(&self) -> Result<()> {
        self.enter(STOPPED)
    }

    pub(crate) fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        // A waiting handler's own events may be all that is left, so small numbers matter too.
        if before & !FLAGS <= 1 + crate::limits::PUBLISH_DEPTH_MAX as usize {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state.load(Ordering::Acquire) & !FLAGS
    }

    fn set(&self, flags: usize) {
        self.state.fetch_or(flags, Ordering::AcqRel);
    }

    /// Waits until at most this many events are in flight.
    async fn down_to(&self, number: usize) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.in_flight() <= number {
                return;
            }
            changed.await;
        }
    }
}

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
    /// Events that were still on their way at the deadline, and were cut off.
    pub lost: usize,
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
    /// follow-ups of what drains too; at the deadline handlers that still run on tasks are
    /// stopped. A thread that blocks cannot be stopped, its event counts as lost.
    ///
    /// Called from inside a handler it does not wait for that handler's own event.
    ///
    /// It needs tokio's timer when something is in flight.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let gate = self.gate();
        gate.set(CLOSED);
        let own = self.own_events();
        let before = gate.in_flight();
        let drained =
            before <= own || tokio::time::timeout(deadline, gate.down_to(own)).await.is_ok();
        gate.set(STOPPED);
        let lost = if drained { 0 } else { gate.in_flight().saturating_sub(own) };
        for entry in self.close_registry() {
            entry.end();
            if let Some(lane) = entry.lane.get()
                && !drained
            {
                lane.abort();
            }
        }
        ShutdownReport { drained: before.saturating_sub(own + lost), lost }
    }

    /// Waits until no event is on its way, follow-ups included. Called from inside a handler it
    /// does not wait for that handler's own event.
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
        self.gate().down_to(self.own_events()).await;
    }

    /// How many events the calling code is inside of.
    fn own_events(&self) -> usize {
        Context::current(self).map_or(0, |context| 1 + context.delivery.lineage.waits())
    }
}
