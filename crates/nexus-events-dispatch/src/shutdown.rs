//! The end of a bus: close the intake, drain, then stop.

use std::collections::HashSet;
use std::pin::pin;
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
    /// Events whose handlers wait for the others to end, in a shutdown.
    leaving: AtomicUsize,
    /// Events whose handlers wait for the others to end, in [`Bus::idle`].
    idling: AtomicUsize,
    /// Callers that wait for `changed`.
    waiters: AtomicUsize,
    changed: Notify,
}

/// An event counted as in flight, until dropped.
pub(crate) struct Admission {
    bus: Bus,
    is_follow_up: bool,
}

impl Admission {
    /// For an event of the program.
    pub(crate) fn first(bus: &Bus) -> Result<Self> {
        bus.gate().enter(CLOSED)?;
        Ok(Self { bus: bus.clone(), is_follow_up: false })
    }

    /// For an event of a handler; those are admitted while the bus drains.
    pub(crate) fn follow_up(bus: &Bus) -> Result<Self> {
        bus.follow_ups().reserve()?;
        bus.gate().enter(STOPPED).inspect_err(|_| bus.follow_ups().release())?;
        Ok(Self { bus: bus.clone(), is_follow_up: true })
    }

    /// For an event of a handler that waits for its report.
    pub(crate) fn nested(bus: &Bus) -> Result<Self> {
        bus.gate().enter(STOPPED)?;
        Ok(Self { bus: bus.clone(), is_follow_up: false })
    }

    /// For an event that has been counted in a stripe so far.
    pub(crate) fn taken_over(bus: &Bus) -> Self {
        bus.gate().state.fetch_add(1, Ordering::AcqRel);
        Self { bus: bus.clone(), is_follow_up: false }
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn is_follow_up(&self) -> bool {
        self.is_follow_up
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_follow_up {
            self.bus.follow_ups().release();
        }
        self.bus.gate().leave();
    }
}

impl Gate {
    /// Counts one more event, unless one of these flags is set.
    fn enter(&self, refuse: usize) -> Result<()> {
        let entered = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state & refuse == 0).then_some(state + 1)
        });
        entered.map(|_| ()).map_err(|_| Error::closed())
    }

    fn leave(&self) {
        self.state.fetch_sub(1, Ordering::SeqCst);
        self.left();
    }

    /// Tells those who wait that an event less is on its way.
    pub(crate) fn left(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Whether a shutdown is past its deadline, or done.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & STOPPED != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Events on their way, those on stacks left out.
    fn admitted(&self) -> usize {
        self.state.load(Ordering::SeqCst) & !FLAGS
    }

    fn set(&self, flags: usize) {
        self.state.fetch_or(flags, Ordering::SeqCst);
    }

    /// Waits for something that comes true when an event is no more on its way.
    pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
        let _waiter = Raised::by(&self.waiters, 1);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if done() {
                return;
            }
            changed.await;
        }
    }
}

/// A number raised until this is dropped.
struct Raised<'a>(&'a AtomicUsize, usize);

impl<'a> Raised<'a> {
    fn by(number: &'a AtomicUsize, by: usize) -> Self {
        number.fetch_add(by, Ordering::SeqCst);
        Self(number, by)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
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
        let before = self.in_flight();
        let leaving = Raised::by(&gate.leaving, own);
        gate.changed.notify_waiters();
        self.drive_follow_ups();
        // Only events are left whose handlers wait for this too.
        let drained = || self.in_flight() <= gate.leaving.load(Ordering::SeqCst);
        let drained =
            before <= own || tokio::time::timeout(deadline, gate.wait_until(drained)).await.is_ok();
        gate.set(STOPPED);
        let lost = if drained { 0 } else { self.in_flight().saturating_sub(own) };
        drop(leaving);
        self.close_shared_lanes(drained);
        for entry in self.close_registry() {
            if !drained && !Context::is_within(self, entry.id) {
                entry.cut_off();
            }
            self.0.registry.end(&entry);
        }
        ShutdownReport { drained: before.saturating_sub(own + lost), lost }
    }

    /// Waits until no event is on its way, follow-ups included. Called from inside a handler it
    /// does not wait for that handler's own event, nor for those of others that wait for this too.
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
        let (gate, own) = (self.gate(), self.own_events());
        let _idling = Raised::by(&gate.idling, own);
        gate.changed.notify_waiters();
        self.drive_follow_ups();
        // Handlers that wait for each other would wait for ever.
        let others = || gate.idling.load(Ordering::SeqCst) + gate.leaving.load(Ordering::SeqCst);
        let rest = || if own == 0 { 0 } else { others() };
        gate.wait_until(|| self.in_flight() <= rest()).await;
    }

    fn close_shared_lanes(&self, drained: bool) {
        let mut lost = HashSet::new();
        for lane in self.0.shared.all() {
            lost.extend(if drained { lane.close() } else { lane.abort() });
        }
        self.counters().handled_but_lost(lost.len() as u64);
    }

    /// How many events are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        // What leaves a stack is queued or admitted first, and what leaves a lane is admitted.
        let passing = self.0.stripes.passing();
        let shared = self.0.shared.in_flight();
        passing + shared + self.gate().admitted()
    }

    /// How many events the calling code is inside of.
    fn own_events(&self) -> usize {
        Context::current(self).map_or(0, |context| 1 + context.delivery().lineage.waits())
    }
}
