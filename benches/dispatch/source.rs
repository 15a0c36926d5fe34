//! Where producers take their events from: as fast as they can, or paced.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::event::{Data, Given};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the first call.
pub(crate) fn now() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Gives one producer its events. Payloads are taken in turn from a small stock, so that the
/// count behind an `Arc` is not fought over more than in a program that makes each payload anew.
pub(crate) struct Source {
    left: u64,
    stock: Vec<Arc<Data>>,
    next: usize,
    pace: Option<Pace>,
}

/// One event per interval, published from a thread of its own.
struct Pace {
    interval: Duration,
    due: Instant,
}

impl Source {
    /// For handlers on the producer's own stack: one payload stays in its cache.
    pub(crate) fn inline(events: u64) -> Self {
        Self::of(events, 1)
    }

    /// For handlers elsewhere.
    pub(crate) fn queued(events: u64) -> Self {
        Self::of(events, 64)
    }

    /// One event that handlers count.
    pub(crate) fn marked() -> Self {
        Self { stock: vec![Arc::new(Data::marked())], ..Self::inline(1) }
    }

    /// As many events per second, for so long. A payload holds the time of its last publish, so
    /// there is stock for the longest delay that can be told.
    pub(crate) fn paced(per_second: u32, time: Duration) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        let events = u64::try_from(time.as_nanos() / interval.as_nanos()).expect("a short run");
        let pace = Pace { interval, due: Instant::now() };
        Self { pace: Some(pace), ..Self::of(events, 8_192) }
    }

    /// How many it has still to give.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    fn of(events: u64, stock: usize) -> Self {
        let stock = (0..stock).map(|_| Arc::new(Data::plain())).collect();
        Self { left: events, stock, next: 0, pace: None }
    }

    #[cold]
    fn wait(&mut self) {
        let Some(pace) = &mut self.pace else { return };
        pace.due += pace.interval;
        std::thread::sleep(pace.due.saturating_duration_since(Instant::now()));
        self.stock[self.next].sent.store(now(), Ordering::Relaxed);
    }
}

impl Iterator for Source {
    type Item = Given;

    #[inline]
    fn next(&mut self) -> Option<Given> {
        self.left = self.left.checked_sub(1)?;
        self.next = if self.next + 1 == self.stock.len() { 0 } else { self.next + 1 };
        if self.pace.is_some() {
            self.wait();
        }
        Some(Given { number: self.left, data: self.stock[self.next].clone() })
    }
}
