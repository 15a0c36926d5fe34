//! What is on its way, and whether more is admitted.

use std::pin::pin;

use crate::bus::Bus;
use crate::error::{Error, Result};
use crate::sync::{AtomicU64, AtomicUsize, Notify, Ordering};

/// Set in [`Gate::state`] when no new event is admitted.
const CLOSED: u64 = 1 << 63;
/// Set when not even follow-ups are.
const STOPPED: u64 = 1 << 62;
/// One event whose fate is decided; below are those that are open.
const DECIDED: u64 = 1 << 31;
const OPEN: u64 = DECIDED - 1;

/// Counts the events in flight and says whether more are admitted, in one word, so that no event
/// slips in after the last one was counted, and that a shutdown and its events agree on which of
/// them are lost: those that are open when it stops the bus.
#[derive(Default)]
pub(crate) struct Gate {
    state: AtomicU64,
    /// What handlers of shared lanes made of their share of events that are counted elsewhere.
    shares: AtomicUsize,
    /// Events that were admitted after the bus was closed.
    late: AtomicUsize,
    /// Callers that wait for `changed`.
    waiters: AtomicUsize,
    changed: Notify,
    stopped: Notify,
}

/// An event counted as in flight, until dropped.
pub(crate) struct Admission {
    bus: Bus,
    kind: Kind,
    late: bool,
    /// Whether it is lost, once that is decided.
    lost: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    FollowUp,
    Share,
}

impl Admission {
    /// For an event of the program.
    pub(crate) fn first(bus: &Bus) -> Result<Self> {
        let late = bus.gate().enter(CLOSED)?;
        Ok(Self::open(bus, Kind::Event, late))
    }

    /// For an event of a handler; those are admitted while the bus drains.
    pub(crate) fn follow_up(bus: &Bus) -> Result<Self> {
        bus.follow_ups().reserve()?;
        let late = bus.gate().enter(STOPPED).inspect_err(|_| bus.follow_ups().release())?;
        Ok(Self::open(bus, Kind::FollowUp, late))
    }

    /// For an event of a handler that waits for its report.
    pub(crate) fn nested(bus: &Bus) -> Result<Self> {
        let late = bus.gate().enter(STOPPED)?;
        Ok(Self::open(bus, Kind::Event, late))
    }

    /// For an event that has been counted in a stripe so far. When the bus was stopped meanwhile
    /// it was not among the lost.
    pub(crate) fn taken_over(bus: &Bus) -> Self {
        if let Ok(late) = bus.gate().enter(STOPPED) {
            return Self::open(bus, Kind::Event, late);
        }
        bus.gate().state.fetch_add(DECIDED, Ordering::AcqRel);
        Self { bus: bus.clone(), kind: Kind::Event, late: false, lost: Some(false) }
    }

    /// For a share of an event that is counted as a whole elsewhere.
    pub(crate) fn share(bus: &Bus) -> Self {
        bus.gate().shares.fetch_add(1, Ordering::SeqCst);
        Self::open(bus, Kind::Share, false)
    }

    fn open(bus: &Bus, kind: Kind, late: bool) -> Self {
        Self { bus: bus.clone(), kind, late, lost: None }
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn is_follow_up(&self) -> bool {
        self.kind == Kind::FollowUp
    }

    /// Decides its fate, once: it is lost when the bus was stopped while it was open. It stays in
    /// flight.
    pub(crate) fn is_lost(&mut self) -> bool {
        if self.kind == Kind::Share {
            return false;
        }
        let gate = self.bus.gate();
        *self.lost.get_or_insert_with(|| {
            gate.state.fetch_add(DECIDED - 1, Ordering::SeqCst) & STOPPED != 0
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_follow_up() {
            self.bus.follow_ups().release();
        }
        let gate = self.bus.gate();
        if self.late {
            gate.late.fetch_sub(1, Ordering::SeqCst);
        }
        if self.kind == Kind::Share {
            gate.shares.fetch_sub(1, Ordering::SeqCst);
        } else {
            let one = if self.lost.is_some() { DECIDED } else { 1 };
            gate.state.fetch_sub(one, Ordering::SeqCst);
        }
        gate.left();
    }
}

impl Gate {
    /// Counts one more event, unless one of these flags is set; whether the bus was closed.
    fn enter(&self, refuse: u64) -> Result<bool> {
        let entered = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state & refuse == 0).then_some(state + 1)
        });
        let late = entered.map_err(|_| Error::closed())? & CLOSED != 0;
        if late {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
        Ok(late)
    }

    /// Tells those who wait that an event less is on its way.
    pub(crate) fn left(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Whether nothing at all is admitted any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::SeqCst) & STOPPED != 0
    }

    /// Events on their way, those on stacks left out.
    pub(crate) fn admitted(&self) -> usize {
        let state = self.state.load(Ordering::SeqCst) & !(CLOSED | STOPPED);
        let admitted = (state & OPEN) + state / DECIDED;
        usize::try_from(admitted).unwrap_or(usize::MAX) + self.shares()
    }

    /// Those of them that are shares of events which are counted elsewhere.
    pub(crate) fn shares(&self) -> usize {
        self.shares.load(Ordering::SeqCst)
    }

    /// Those of them that were admitted after the bus was closed.
    pub(crate) fn late(&self) -> usize {
        self.late.load(Ordering::SeqCst)
    }

    /// Admits no new event.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Admits nothing more; gives back how many events are lost.
    pub(crate) fn stop(&self) -> usize {
        let open = self.state.fetch_or(CLOSED | STOPPED, Ordering::SeqCst) & OPEN;
        self.stopped.notify_waiters();
        usize::try_from(open).unwrap_or(usize::MAX)
    }

    /// Waits until a shutdown is past its deadline, or done.
    pub(crate) async fn stopped(&self) {
        let mut stopped = pin!(self.stopped.notified());
        stopped.as_mut().enable();
        if self.state.load(Ordering::SeqCst) & STOPPED == 0 {
            stopped.await;
        }
    }

    /// Waits for something that comes true when an event is no more on its way.
    pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
        let _waiter = Waiter::begin(&self.waiters);
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

/// Somebody who waits, until dropped.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn begin(waiters: &'a AtomicUsize) -> Self {
        waiters.fetch_add(1, Ordering::SeqCst);
        Self(waiters)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
