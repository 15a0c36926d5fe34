//! Where handlers on tasks report to: each counts its own events, the last one ends the run.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus_events_model::Event;
use tokio::sync::Notify;

use crate::event::{self, Lean};
use crate::histogram::Histogram;
use crate::source;

/// After so long without an end, events were lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The handlers of one peer.
pub(crate) struct Sinks {
    peer: &'static str,
    sinks: Vec<Sink>,
    end: Arc<End>,
}

/// One handler's own. Clones are the same.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Counter>);

/// On cache lines of its own, so that handlers do not disturb each other.
#[repr(align(128))]
struct Counter {
    seen: AtomicU64,
    until: AtomicU64,
    latency: Option<Mutex<Histogram>>,
    end: Arc<End>,
}

#[derive(Default)]
struct End {
    missing: AtomicUsize,
    reached: Notify,
}

impl Sinks {
    pub(crate) fn new(peer: &'static str, handlers: usize, latency: bool) -> Self {
        let end = Arc::new(End::default());
        let sink = || {
            let latency = latency.then(Mutex::default);
            let (seen, until) = Default::default();
            Sink(Arc::new(Counter { seen, until, latency, end: end.clone() }))
        };
        Self { peer, sinks: (0..handlers).map(|_| sink()).collect(), end: end.clone() }
    }

    pub(crate) fn handlers(&self) -> Vec<Sink> {
        self.sinks.clone()
    }

    /// Each handler is going to get so many more.
    pub(crate) fn expect(&self, events: u64) {
        self.end.missing.store(self.sinks.len(), Ordering::Relaxed);
        for Sink(counter) in &self.sinks {
            counter.until.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// Waits until all have what they expect.
    pub(crate) async fn end(&self) {
        if tokio::time::timeout(PATIENCE, self.end.reached.notified()).await.is_err() {
            let missing = self.end.missing.load(Ordering::Relaxed);
            let (peer, handlers) = (self.peer, self.sinks.len());
            panic!("{peer}: {missing} of {handlers} handlers did not get all events");
        }
    }

    pub(crate) fn latency(&self) -> Histogram {
        let mut all = Histogram::default();
        self.each_latency(|latency| all.merge(latency));
        all
    }

    /// Forgets what warming up took.
    pub(crate) fn forget_latency(&self) {
        self.each_latency(|latency| *latency = Histogram::default());
    }

    fn each_latency(&self, mut see: impl FnMut(&mut Histogram)) {
        for latency in self.sinks.iter().filter_map(|Sink(counter)| counter.latency.as_ref()) {
            see(&mut latency.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Sink {
    pub(crate) fn lean(&self, event: &Lean) {
        self.handle(event.id, event.payload.bytes()[0], event.payload.sent.load(Ordering::Relaxed));
    }

    pub(crate) fn ours(&self, event: &Event) {
        let data = event::data(event);
        self.handle(event.id().as_uuid(), data.bytes()[0], data.sent.load(Ordering::Relaxed));
    }

    /// Reads what every handler reads and counts. A handler runs one event at a time, so no
    /// atomic addition is needed.
    pub(crate) fn handle(&self, id: impl Copy, first: u8, sent: u64) {
        black_box((id, first));
        let counter = &*self.0;
        if let Some(latency) = &counter.latency {
            let late = source::now().saturating_sub(sent);
            latency.lock().unwrap_or_else(PoisonError::into_inner).add(late);
        }
        let seen = counter.seen.load(Ordering::Relaxed) + 1;
        counter.seen.store(seen, Ordering::Relaxed);
        if seen == counter.until.load(Ordering::Relaxed)
            && counter.end.missing.fetch_sub(1, Ordering::AcqRel) == 1
        {
            counter.end.reached.notify_one();
        }
    }
}
