//! What a bus knows of what is scheduled: numbers, not the events.

use time::OffsetDateTime;

use crate::durable::Durables;
use crate::error::{Error, Result};
use crate::limits::SCHEDULED_MAX;
use crate::store::{Append, Scan, space};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Notify, Ordering};

/// Shared between a bus and its timekeeper.
#[derive(Default)]
pub(crate) struct Plan {
    waiting: AtomicUsize,
    fired: AtomicU64,
    skipped: AtomicU64,
    cancelled: AtomicU64,
    jumps: AtomicU64,
    pub(super) next_due: Mutex<Option<OffsetDateTime>>,
    pub(super) changed: Notify,
    keeps_time: AtomicBool,
    stopped: AtomicBool,
}

/// Scheduled events in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledStats {
    /// How many wait for their time, as far as this bus knows: where several use one store, those
    /// of others show after the next start only.
    pub waiting: usize,
    /// The most that may.
    pub waiting_max: usize,
    /// When the next one is due.
    pub next_due: Option<OffsetDateTime>,
    /// How many have fired on this bus.
    pub fired: u64,
    /// How many have not fired because they were late, or had been published before.
    pub skipped: u64,
    /// How many were cancelled on this bus.
    pub cancelled: u64,
    /// How often the clock was changed by more than 5 seconds.
    pub clock_jumps: u64,
}

/// What a commit that is about to happen schedules and takes back.
pub(crate) struct Planned<'a> {
    plan: &'a Plan,
    added: usize,
    taken: usize,
}

impl Planned<'_> {
    /// The commit has happened.
    pub(crate) fn kept(mut self) {
        let (added, taken) = (std::mem::take(&mut self.added), self.taken);
        self.plan.release_all(taken);
        if added + taken > 0 {
            self.plan.wake();
        }
    }
}

impl Drop for Planned<'_> {
    fn drop(&mut self) {
        self.plan.release_all(self.added);
    }
}

impl Plan {
    /// Room for one more.
    pub(super) async fn reserve(&self, durables: &Durables) -> Result<()> {
        self.reserve_all(durables, 1).await
    }

    async fn reserve_all(&self, durables: &Durables, more: usize) -> Result<()> {
        if !self.keeps_time.load(Ordering::SeqCst) {
            return Err(Error::no_timer());
        }
        if self.waiting.load(Ordering::Relaxed) + more > SCHEDULED_MAX {
            // Others may have fired some of them.
            self.count(durables).await?;
        }
        if self.waiting.fetch_add(more, Ordering::Relaxed) + more <= SCHEDULED_MAX {
            return Ok(());
        }
        self.release_all(more);
        Err(Error::overloaded(format!(
            "{SCHEDULED_MAX} events are scheduled already; cancel some or wait until they have fired"
        )))
    }

    /// Room for what a commit schedules; its effect on the plan once it has happened.
    pub(crate) async fn planned(
        &self,
        durables: &Durables,
        append: &Append,
    ) -> Result<Planned<'_>> {
        let ids = append.state.iter().filter(|write| write.space == space::SCHEDULED_IDS);
        let (added, taken): (Vec<_>, Vec<_>) = ids.partition(|write| write.value.is_some());
        let (added, taken) = (added.len(), taken.len());
        if added > 0 {
            self.reserve_all(durables, added).await?;
        }
        Ok(Planned { plan: self, added, taken })
    }

    /// One less waits.
    pub(super) fn release(&self) {
        self.release_all(1);
    }

    fn release_all(&self, number: usize) {
        let less = |waiting: usize| Some(waiting.saturating_sub(number));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Reads how many there are.
    pub(crate) async fn count(&self, durables: &Durables) -> Result<()> {
        let (mut count, mut scan) = (0, Scan::of(space::SCHEDULED_IDS));
        loop {
            let entries = durables.store().scan(scan.clone()).await?;
            let Some(last) = entries.last() else { break };
            scan.after = Some(last.key.clone());
            count += entries.len();
        }
        self.waiting.store(count, Ordering::Relaxed);
        Ok(())
    }

    /// Somebody sees to it that they fire.
    pub(crate) fn begin(&self) {
        self.keeps_time.store(true, Ordering::SeqCst);
    }

    /// Something else may be due next.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Nothing fires any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn fired(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
        self.release();
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        self.release();
    }

    pub(super) fn cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
        self.release();
        self.wake();
    }

    pub(super) fn jumped(&self) {
        self.jumps.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ScheduledStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ScheduledStats {
            waiting: self.waiting.load(Ordering::Relaxed),
            waiting_max: SCHEDULED_MAX,
            next_due: *self.next_due.lock(),
            fired: read(&self.fired),
            skipped: read(&self.skipped),
            cancelled: read(&self.cancelled),
            clock_jumps: read(&self.jumps),
        }
    }
}
