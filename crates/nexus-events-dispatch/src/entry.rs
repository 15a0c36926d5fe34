//! One registered handler as the bus sees it: who, what, when, and whether it still may run.

use nexus_events_model::{Event, EventId, Filter, Pattern, SubscriptionId, Text};

use crate::handler::{Handler, Mode, Turn};
use crate::lane::Lane;
use crate::limits::SLOW_TURNS;
use crate::shared::SharedLane;
use crate::stats::HandlerCounters;
use crate::subscription::HandlerPriority;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Handle, Notified, Notify, OnceLock, Ordering};

pub(crate) struct Entry {
    pub(crate) id: SubscriptionId,
    pub(crate) name: Text,
    pub(crate) pattern: Pattern,
    /// All must hold.
    pub(crate) filters: Vec<Filter>,
    pub(crate) priority: HandlerPriority,
    pub(crate) mode: Mode,
    /// Whether it answers requests.
    pub(crate) responds: bool,
    /// Where it was registered, if it needs a runtime: there its tasks run.
    pub(crate) runtime: Option<Handle>,
    pub(crate) handler: Arc<dyn Handler>,
    /// The same for passes.
    pub(crate) turn: Turn,
    pub(crate) counters: HandlerCounters,
    /// The queue of a handler that is not inline.
    pub(crate) lane: OnceLock<Arc<Lane>>,
    /// The lane it shares with others, instead of a queue of its own.
    pub(crate) shared: OnceLock<Arc<SharedLane>>,
    /// Where a handler of a shared lane runs that takes long.
    pub(crate) own_lane: OnceLock<Arc<Lane>>,
    /// The head of its group.
    pub(crate) group: OnceLock<Arc<Self>>,
    /// What stands for it in the index, when it is durable.
    pub(crate) front: OnceLock<Arc<Self>>,
    /// How many of its runs may go on at the same time.
    pub(crate) concurrency: usize,
    ended: AtomicBool,
    running: AtomicUsize,
    /// Slow turns on a shared lane, one after the other.
    slow_turns: AtomicUsize,
    /// Told when no further run may begin.
    end: Notify,
    /// Told when what still runs on tasks is to be dropped.
    cut_off: Notify,
    was_cut_off: AtomicBool,
    /// Told when the last run of an ended handler is over.
    idle: Notify,
}

impl Entry {
    #[allow(clippy::too_many_arguments, reason = "as many as it is made of")]
    pub(crate) fn new(
        id: SubscriptionId,
        name: Text,
        pattern: Pattern,
        filters: Vec<Filter>,
        priority: HandlerPriority,
        mode: Mode,
        runtime: Option<Handle>,
        concurrency: usize,
        handler: Arc<dyn Handler>,
    ) -> Self {
        Self {
            id,
            name,
            pattern,
            filters,
            priority,
            mode,
            responds: false,
            runtime,
            turn: handler.clone().turn(),
            handler,
            counters: HandlerCounters::default(),
            lane: OnceLock::new(),
            shared: OnceLock::new(),
            own_lane: OnceLock::new(),
            group: OnceLock::new(),
            front: OnceLock::new(),
            concurrency,
            ended: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            slow_turns: AtomicUsize::new(0),
            end: Notify::new(),
            cut_off: Notify::new(),
            was_cut_off: AtomicBool::new(false),
            idle: Notify::new(),
        }
    }

    /// Whether it may have to wait for something while it handles an event on a shared lane.
    pub(crate) fn may_wait(&self) -> bool {
        self.handler.mode() != Mode::Inline
    }

    /// The queues it takes events from itself.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lane.get().into_iter().chain(self.own_lane.get())
    }

    /// Whether it runs elsewhere than on the publisher's stack.
    pub(crate) fn is_queued(&self) -> bool {
        self.lane.get().is_some() || self.shared.get().is_some()
    }

    /// Who loses an event that is given up: its group, where it has one.
    pub(crate) fn loser(&self) -> &Text {
        self.group.get().map_or(&self.name, |head| &head.name)
    }

    /// Whether it, or its group, takes events from the log.
    pub(crate) fn is_durable(&self) -> bool {
        self.front.get().is_some()
            || self.group.get().is_some_and(|head| head.front.get().is_some())
    }

    pub(crate) fn accepts(&self, event: &Event) -> bool {
        self.filters.iter().all(|filter| filter.matches(event))
    }

    /// Permission to run once, or `None` when it has ended.
    ///
    /// The count goes up before the flag is read, and [`end`](Self::end) sets the flag before
    /// [`idle`](Self::idle) reads the count, all in one total order: either the run sees the flag
    /// or the one who ends it sees the run.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Run> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let run = Run(self.clone());
        (!self.has_ended()).then_some(run)
    }

    /// A run that has begun in a pass goes on elsewhere. Who ends the handler waits for the pass
    /// first, and then for this.
    pub(crate) fn goes_on(self: &Arc<Self>) -> Run {
        self.running.fetch_add(1, Ordering::SeqCst);
        Run(self.clone())
    }

    pub(crate) fn was_slow(&self) {
        self.slow_turns.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn was_quick(&self) {
        if self.slow_turns.load(Ordering::Relaxed) > 0 {
            self.slow_turns.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it is slow itself. Any turn may look so once, when the machine takes the processor
    /// away.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow_turns.load(Ordering::Relaxed) >= SLOW_TURNS
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Lets no further run begin.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.end.notify_waiters();
        if let Some(front) = self.front.get() {
            front.end();
        }
        for lane in self.lanes() {
            lane.leave(self);
        }
    }

    /// Drops what still runs on tasks, and what waits; gives back the events of that which are
    /// counted as handled.
    pub(crate) fn cut_off(&self) -> Vec<EventId> {
        self.was_cut_off.store(true, Ordering::SeqCst);
        self.cut_off.notify_waiters();
        self.lanes().flat_map(|lane| lane.abort(self)).collect()
    }

    /// The events that wait for it and are counted as handled.
    pub(crate) fn waiting_shares(&self) -> Vec<EventId> {
        self.lanes().flat_map(|lane| lane.shares()).collect()
    }

    /// Whether what begins to run on a task now is to be dropped.
    pub(crate) fn was_cut_off(&self) -> bool {
        self.was_cut_off.load(Ordering::SeqCst)
    }

    /// Waits until what runs on tasks is to be dropped.
    pub(crate) fn is_cut_off(&self) -> Notified<'_> {
        self.cut_off.notified()
    }

    /// Waits until no further run may begin.
    pub(crate) async fn ended(&self) {
        let mut ended = std::pin::pin!(self.end.notified());
        ended.as_mut().enable();
        if !self.has_ended() {
            ended.await;
        }
    }

    /// Waits until no run is left but the caller's own.
    pub(crate) async fn idle(&self, own: usize) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.running.load(Ordering::SeqCst) <= own {
                return;
            }
            idle.await;
        }
    }
}

/// One run of a handler; counted until dropped.
pub(crate) struct Run(Arc<Entry>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if self.0.has_ended() {
            self.0.idle.notify_waiters();
        }
    }
}
