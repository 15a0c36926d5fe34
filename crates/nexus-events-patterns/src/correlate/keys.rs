//! Which keys are gathered for right now. It waits for nothing and knows no clock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use nexus_events_model::{Event, Text};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::until::Until;

/// Why a gathering ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GatherReason {
    /// All that was waited for is there.
    Complete,
    /// It did not come in time.
    TimedOut,
    /// A bound on events, bytes or keys was met.
    Full,
    /// The gatherer was closed.
    Shutdown,
}

impl GatherReason {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_patterns::GatherReason;
    /// assert_eq!(GatherReason::TimedOut.as_str(), "timed_out");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::TimedOut => "timed_out",
            Self::Full => "full",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The events of one key, in the order they came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Gathered {
    /// What they have in common; the correlation id unless it was said otherwise.
    pub key: Text,
    /// The events. There may be none when a key was expected.
    pub events: Vec<Event>,
    /// Why there are no more.
    pub reason: GatherReason,
}

impl Gathered {
    /// Whether all that was waited for is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.reason == GatherReason::Complete
    }
}

/// The most that is held at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) keys: usize,
    /// Of one key.
    pub(crate) events: usize,
    /// Of all keys together.
    pub(crate) bytes: usize,
    /// Keys that are over and known to be, so that what comes late is seen.
    pub(crate) over: usize,
}

/// A gathering that has ended, and who waits for it.
pub(crate) struct Closed {
    pub(crate) gathered: Gathered,
    pub(crate) waiter: Option<oneshot::Sender<Gathered>>,
}

struct Open {
    events: Vec<Event>,
    bytes: usize,
    number: u64,
    waiter: Option<oneshot::Sender<Gathered>>,
}

pub(crate) struct Keys {
    until: Until,
    timeout: Duration,
    most: Most,
    open: HashMap<Text, Open>,
    /// Each key that was opened, with its deadline; the earliest first, for all wait as long.
    due: VecDeque<(Instant, Text, u64)>,
    over: HashSet<Text>,
    over_order: VecDeque<Text>,
    bytes: usize,
    next: u64,
}

impl Keys {
    pub(crate) fn new(until: Until, timeout: Duration, most: Most) -> Self {
        Self {
            until,
            timeout,
            most,
            open: HashMap::new(),
            due: VecDeque::new(),
            over: HashSet::new(),
            over_order: VecDeque::new(),
            bytes: 0,
            next: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event; `None` when it comes too late, else what ended by it.
    pub(crate) fn add(&mut self, key: &Text, event: &Event, now: Instant) -> Option<Vec<Closed>> {
        if self.over.contains(key) {
            return None;
        }
        let mut closed = self.open(key, now);
        let Some(open) = self.open.get_mut(key) else { return Some(closed) };
        let bytes = event.size();
        open.events.push(event.clone());
        open.bytes += bytes;
        self.bytes += bytes;
        let reason = if self.until.holds(&open.events) {
            Some(GatherReason::Complete)
        } else {
            (open.events.len() == self.most.events).then_some(GatherReason::Full)
        };
        closed.extend(reason.and_then(|reason| self.close(key.clone(), reason)));
        while self.bytes > self.most.bytes {
            let Some(oldest) = self.close_oldest() else { break };
            closed.push(oldest);
        }
        Some(closed)
    }

    /// Opens a key if it is not; what had to end for it.
    fn open(&mut self, key: &Text, now: Instant) -> Vec<Closed> {
        let mut closed = Vec::new();
        if self.open.contains_key(key) {
            return closed;
        }
        if self.open.len() == self.most.keys {
            closed.extend(self.close_oldest());
        }
        let number = self.next;
        self.next += 1;
        let open = Open { events: Vec::new(), bytes: 0, number, waiter: None };
        self.open.insert(key.clone(), open);
        self.due.push_back((now + self.timeout, key.clone(), number));
        closed
    }

    /// Opens a key for somebody who waits for it; `None` when somebody else does.
    pub(crate) fn expect(
        &mut self,
        key: &Text,
        waiter: oneshot::Sender<Gathered>,
        now: Instant,
    ) -> Option<Vec<Closed>> {
        if self.over.remove(key) {
            self.over_order.retain(|known| known != key);
        }
        let closed = self.open(key, now);
        let slot = &mut self.open.get_mut(key)?.waiter;
        if slot.as_ref().is_some_and(|waiter| !waiter.is_closed()) {
            return None;
        }
        *slot = Some(waiter);
        Some(closed)
    }

    /// The earliest deadline. Those of keys that have ended are passed over.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        while let Some((deadline, key, number)) = self.due.front() {
            if self.open.get(key).is_some_and(|open| open.number == *number) {
                return Some(*deadline);
            }
            self.due.pop_front();
        }
        None
    }

    /// What is over by now.
    pub(crate) fn time_out(&mut self, now: Instant) -> Vec<Closed> {
        let mut closed = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            let Some((_, key, _)) = self.due.pop_front() else { break };
            closed.extend(self.close(key, GatherReason::TimedOut));
        }
        closed
    }

    pub(crate) fn close_all(&mut self) -> Vec<Closed> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().filter_map(|(_, key, _)| self.close(key, GatherReason::Shutdown)).collect()
    }

    fn close_oldest(&mut self) -> Option<Closed> {
        self.deadline()?;
        let (_, key, _) = self.due.pop_front()?;
        self.close(key, GatherReason::Full)
    }

    fn close(&mut self, key: Text, reason: GatherReason) -> Option<Closed> {
        let open = self.open.remove(&key)?;
        self.bytes -= open.bytes;
        self.remember(key.clone());
        // Deadlines of keys that ended before them do not pile up.
        if self.due.len() > 2 * self.open.len() + 64 {
            let open = &self.open;
            let is_open =
                |key: &Text, number: u64| open.get(key).is_some_and(|open| open.number == number);
            self.due.retain(|(_, key, number)| is_open(key, *number));
        }
        let gathered = Gathered { key, events: open.events, reason };
        Some(Closed { gathered, waiter: open.waiter })
    }

    fn remember(&mut self, key: Text) {
        if self.over.insert(key.clone()) {
            self.over_order.push_back(key);
        }
        if self.over_order.len() > self.most.over
            && let Some(oldest) = self.over_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }
}
