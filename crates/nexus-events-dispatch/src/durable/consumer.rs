//! A durable handler's place in the log, and what becomes of the events it takes from there.

use nexus_events_model::{Event, HandlerOutcome, OutcomeStatus, Text};
use serde::Serialize;

use super::trouble::Trouble;
use super::window::Window;
use super::{Durable, Durables};
use crate::bus::Bus;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::layers::shortened;
use crate::store::{Ack, Append, Appended, Offset, space};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Notify, OnceLock, Ordering, Weak};

/// A named reader of the log, for one durable handler or a group of them.
pub(crate) struct Consumer {
    pub(super) durable: Durable,
    pub(super) durables: Weak<Durables>,
    /// Whose handlers share it; `None` for a single one.
    group: Option<Text>,
    /// The end of the log when it was registered.
    pub(super) latest: Offset,
    /// What rings for it; once it has that, it reads.
    front: OnceLock<Arc<Entry>>,
    /// How many handlers are being registered under its name.
    pub(super) registering: AtomicU64,
    pub(super) window: Mutex<Window>,
    pub(super) trouble: Mutex<Trouble>,
    /// Whether the log is read; before that nothing is known.
    pub(super) ready: AtomicBool,
    /// Told when an event is handled, or given back.
    pub(super) progress: Notify,
    /// Told when its wave of an event has come, or never will.
    pub(super) wave: Notify,
    stopping: AtomicBool,
    stop: Notify,
    cut_off: AtomicBool,
    pub(super) counts: Counts,
    /// Told when it has ended and its cursor is written.
    closed: Notify,
    is_closed: AtomicBool,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) handled: AtomicU64,
    pub(super) parked: AtomicU64,
    pub(super) crash_parked: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) trimmed: AtomicU64,
    pub(super) redelivered: AtomicU64,
}

/// Where a durable handler is, from [`Bus::consumers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Its name.
    pub name: Text,
    /// Nothing up to here is to be handled any more.
    pub acked: Offset,
    /// Up to here it has read the log.
    pub seen: Offset,
    /// How many offsets of the log it has not passed; not all of their events need be its own.
    pub lag: u64,
    /// Events that it has taken from the log and not handled yet.
    pub pending: usize,
    /// Events it has handled since it began.
    pub handled: u64,
    /// Events it gave up, which are dead letters now.
    pub parked: u64,
    /// Those of them that were parked because the process had crashed too often at them.
    pub crash_parked: u64,
    /// Events that higher handlers had cancelled.
    pub cancelled: u64,
    /// Events that were removed from the log before it came to them.
    pub trimmed: u64,
    /// Events that it was given again, after a crash or because they could not be parked.
    pub redelivered: u64,
    /// Why it does not get on now: its store refuses it something, what is stored of it cannot be
    /// read, or an event can be neither handled nor parked. It tries again each second; `None` when
    /// all is well.
    pub failing: Option<Text>,
}

/// An event that a consumer has taken from the log and given to a handler, until that is done.
pub(crate) struct FromLog {
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) offset: Offset,
    /// The number of the attempt that comes.
    pub(crate) attempt: u32,
    outcome: Mutex<Option<HandlerOutcome>>,
}

impl Consumer {
    pub(super) fn new(
        durable: Durable,
        group: Option<Text>,
        durables: &Arc<Durables>,
    ) -> Arc<Self> {
        Arc::new(Self {
            durable,
            durables: Arc::downgrade(durables),
            group,
            latest: durables.store().bounds().last,
            front: OnceLock::new(),
            registering: AtomicU64::new(0),
            window: Mutex::default(),
            trouble: Mutex::default(),
            ready: AtomicBool::new(false),
            progress: Notify::new(),
            wave: Notify::new(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            cut_off: AtomicBool::new(false),
            counts: Counts::default(),
            closed: Notify::new(),
            is_closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn name(&self) -> &Text {
        &self.durable.name
    }

    /// From now on this rings for it; `false` where something does already.
    pub(super) fn is_behind(&self, front: &Arc<Entry>) -> bool {
        self.front.set(front.clone()).is_ok()
    }

    pub(super) fn front(&self) -> Option<&Arc<Entry>> {
        self.front.get()
    }

    /// Whether a handler of this group takes part in it.
    pub(super) fn is_of(&self, group: Option<&Text>) -> bool {
        group.is_some() && self.group.as_ref() == group && !self.has_ended()
    }

    /// Whether its handlers have ended; it writes where it is.
    pub(super) fn has_ended(&self) -> bool {
        self.front.get().is_some_and(|front| front.has_ended())
    }

    /// Whether its handler wants this event.
    pub(super) fn is_meant(&self, event: &Event) -> bool {
        self.front.get().is_some_and(|front| {
            !front.has_ended() && front.pattern.matches(event.event_type()) && front.accepts(event)
        })
    }

    /// Its wave has come.
    pub(super) fn reached(&self, event: &Event) {
        if let Some(durables) = self.durables.upgrade() {
            durables.live.reached(event.id(), self);
        }
    }

    /// Takes nothing more from the log.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Does not wait for handlers any more.
    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::SeqCst);
        self.progress.notify_waiters();
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::SeqCst)
    }

    /// Waits until nothing more is to be taken from the log.
    pub(super) async fn stopped(&self) {
        let mut stop = std::pin::pin!(self.stop.notified());
        stop.as_mut().enable();
        if !self.is_stopping() {
            stop.await;
        }
    }

    pub(super) fn has_closed(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.closed.notify_waiters();
        self.progress.notify_waiters();
    }

    /// Waits until its last cursor is written.
    pub(crate) async fn closed(&self) {
        let mut closed = std::pin::pin!(self.closed.notified());
        closed.as_mut().enable();
        if !self.is_closed.load(Ordering::SeqCst) {
            closed.await;
        }
    }

    /// What it counts for the end of a wait: everything up to here is handled, or it has ended.
    pub(crate) fn has_passed(&self, offset: Offset) -> bool {
        self.is_closed.load(Ordering::SeqCst)
            || (self.ready.load(Ordering::SeqCst) && self.window.lock().acked() >= offset)
    }

    /// Waits until everything up to here is handled, or it has ended.
    pub(crate) async fn caught_up(&self, offset: Offset) {
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if self.has_passed(offset) {
                return;
            }
            progress.await;
        }
    }

    /// A handler is done with an event.
    fn handled(&self, offset: Offset, outcome: Option<HandlerOutcome>, event: &Event) {
        let status = outcome.as_ref().map(|outcome| outcome.status);
        let mut window = self.window.lock();
        let Some(item) = window.come_back(offset) else { return };
        let (committed, counts) = (item.committed, &self.counts);
        if let Some(outcome) = outcome {
            item.back =
                Some(outcome.error.map_or_else(|| Text::from_static("it failed"), shortened));
        }
        let done = if status == Some(OutcomeStatus::Success) || committed {
            counts.handled.fetch_add(1, Ordering::Relaxed);
            true
        } else if status.is_some_and(OutcomeStatus::is_failure) && self.is_parked(event) {
            counts.parked.fetch_add(1, Ordering::Relaxed);
            true
        } else {
            false
        };
        let item = if done { window.done(offset) } else { None };
        drop(window);
        drop(item);
        self.progress.notify_waiters();
    }

    pub(super) fn is_parked(&self, event: &Event) -> bool {
        let Some(durables) = self.durables.upgrade() else { return false };
        let Some(front) = self.front() else { return false };
        durables.letters.has(&front.name, event.id())
    }

    /// Writes down how far it is, and waits until that survives the process.
    pub(super) async fn write(&self, open: bool) -> Result<Appended> {
        let durables = self.durables.upgrade().ok_or_else(Error::closed)?;
        let written = {
            // In line under the lock, so that a later cursor is never overwritten by an earlier
            // one.
            let window = self.window.lock();
            let append = Append::new().cursor(self.name(), &window.cursor(open));
            durables.store().append(append.ack(Ack::Buffered))
        };
        let written = written.await;
        self.has_written(written.as_ref().err());
        written
    }

    /// Counts an attempt that is about to be made, and waits until that survives the process.
    pub(super) async fn attempt(&self, offset: Offset, attempt: u32) -> Result<()> {
        self.window.lock().attempt(offset, attempt);
        self.write(true).await.map(drop)
    }

    /// Where the handler's own commit says that this event is handled.
    pub(super) fn mark(&self, offset: Offset) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend(offset.number().to_be_bytes());
        key
    }

    /// What all these begin with.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut prefix = self.name().as_bytes().to_vec();
        prefix.push(0);
        prefix
    }

    fn stats(&self, last: Offset) -> ConsumerStats {
        let failing = self.failing();
        let window = self.window.lock();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ConsumerStats {
            name: self.name().clone(),
            acked: window.acked(),
            seen: window.seen(),
            lag: last.number().saturating_sub(window.acked().number()),
            pending: window.len(),
            handled: read(&self.counts.handled),
            parked: read(&self.counts.parked),
            crash_parked: read(&self.counts.crash_parked),
            cancelled: read(&self.counts.cancelled),
            trimmed: read(&self.counts.trimmed),
            redelivered: read(&self.counts.redelivered),
            failing,
        }
    }

    /// How many events of the log are left to it at least up to its reading, and at most beyond.
    pub(crate) fn left(&self, last: Offset) -> u64 {
        let window = self.window.lock();
        window.len() as u64 + last.number().saturating_sub(window.seen().number())
    }
}

impl FromLog {
    pub(super) fn new(consumer: &Arc<Consumer>, offset: Offset, attempt: u32) -> Self {
        Self { consumer: consumer.clone(), offset, attempt, outcome: Mutex::default() }
    }

    pub(crate) fn keep(&self, outcome: HandlerOutcome) {
        *self.outcome.lock() = Some(outcome);
    }

    /// The delivery is over; without an outcome it was cut off.
    pub(crate) fn end(&self, event: &Event) {
        let outcome = self.outcome.lock().take();
        self.consumer.handled(self.offset, outcome, event);
    }

    /// The events before this one that no handler has, because they could not be parked.
    pub(super) fn come_back_before(&self) -> Vec<Event> {
        self.consumer.window.lock().left_before(self.offset)
    }

    pub(super) fn is_committed(&self) -> bool {
        self.consumer.window.lock().item(self.offset).is_some_and(|item| item.committed)
    }

    /// The handler has committed what it does, and that the event is handled with it.
    pub(super) fn committed(&self) {
        if let Some(item) = self.consumer.window.lock().item(self.offset) {
            item.committed = true;
        }
    }

    /// The same commit, which also says that the event is handled.
    pub(super) fn with_mark(&self, append: Append) -> Append {
        append.put(space::HANDLED, self.consumer.mark(self.offset), Vec::new())
    }
}

impl Bus {
    /// Where its durable handlers are, in the order of their registration; those of a group are
    /// one.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// assert!(Bus::new().consumers().is_empty());
    /// ```
    #[must_use]
    pub fn consumers(&self) -> Vec<ConsumerStats> {
        let Some(durables) = self.durables() else { return Vec::new() };
        let last = durables.store().bounds().last;
        durables.readers().iter().map(|consumer| consumer.stats(last)).collect()
    }
}
