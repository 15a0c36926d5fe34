//! The most recent events in memory.
//!
//! Publishers push into a lock-free inbox; whoever finds it half full files its content into the
//! ring, and gives up at once if somebody else is doing so. A publisher waits for the ring only
//! when the inbox is full, that is, when it is a thousand events ahead of the one filing.

use std::collections::VecDeque;

use nexus_events_model::{Event, Pattern};

use crate::limits::HISTORY_INBOX_EVENTS;
use crate::shared::let_all_go;
use crate::sync::{ArrayQueue, Mutex};

pub(crate) struct History {
    inbox: ArrayQueue<Event>,
    ring: Mutex<Ring>,
    events_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<(Event, usize)>,
    bytes: usize,
}

impl History {
    /// A history of this many events and about as many bytes; of none, it costs nothing.
    pub(crate) fn new(events_max: usize, bytes_max: usize) -> Self {
        Self {
            inbox: ArrayQueue::new(HISTORY_INBOX_EVENTS),
            ring: Mutex::default(),
            events_max,
            bytes_max,
        }
    }

    #[inline]
    pub(crate) fn push(&self, event: &Event) {
        if self.events_max > 0 {
            self.keep(event);
        }
    }

    fn keep(&self, event: &Event) {
        let mut next = Some(event.clone());
        while let Some(event) = next.take() {
            if let Err(event) = self.inbox.push(event) {
                let out = self.file(&mut self.ring.lock());
                let_all_go(out);
                next = Some(event);
            }
        }
        if self.inbox.len() >= HISTORY_INBOX_EVENTS / 2 {
            let filed = self.ring.try_lock().map(|mut ring| self.file(&mut ring));
            let_all_go(filed.into_iter().flatten());
        }
    }

    /// Files what is in the inbox; gives back what that pushed out, to be dropped without the
    /// lock, because a payload's drop is the program's own code.
    fn file(&self, ring: &mut Ring) -> Vec<Event> {
        let mut out = Vec::new();
        // Publishers go on pushing meanwhile; one inboxful is enough for one turn.
        for event in std::iter::from_fn(|| self.inbox.pop()).take(HISTORY_INBOX_EVENTS) {
            let bytes = event.size();
            ring.bytes += bytes;
            ring.events.push_back((event, bytes));
            while ring.events.len() > self.events_max || ring.bytes > self.bytes_max {
                let Some((oldest, bytes)) = ring.events.pop_front() else { break };
                ring.bytes -= bytes;
                out.push(oldest);
            }
        }
        out
    }

    /// The last `limit` events that match, oldest first.
    pub(crate) fn recent(&self, limit: usize, pattern: Option<&Pattern>) -> Vec<Event> {
        let mut ring = self.ring.lock();
        let out = self.file(&mut ring);
        let matching = ring
            .events
            .iter()
            .rev()
            .filter(|(event, _)| pattern.is_none_or(|p| p.matches(event.event_type())));
        let mut events: Vec<Event> = matching.take(limit).map(|(event, _)| event.clone()).collect();
        drop(ring);
        let_all_go(out);
        events.reverse();
        events
    }

    pub(crate) fn len(&self) -> usize {
        let mut ring = self.ring.lock();
        let out = self.file(&mut ring);
        let len = ring.events.len();
        drop(ring);
        let_all_go(out);
        len
    }
}

#[cfg(test)]
mod tests {
    use nexus_events_model::Payload;

    use super::*;

    const MEGABYTES_16: usize = 16 * 1024 * 1024;

    fn event(number: usize, payload: Payload) -> Event {
        Event::builder("a.b")
            .id(format!("evt-{number}"))
            .timestamp_text("2026-01-02T03:04:05Z")
            .payload(payload)
            .build()
            .unwrap()
    }

    #[test]
    fn keeps_the_last_events_in_order() {
        let history = History::new(2_000, MEGABYTES_16);
        (0..5_000).for_each(|number| history.push(&event(number, Payload::empty())));
        assert_eq!(history.len(), 2_000);
        let ids: Vec<String> =
            history.recent(3, None).iter().map(|event| event.id().to_string()).collect();
        assert_eq!(ids, ["evt-4997", "evt-4998", "evt-4999"]);
    }

    #[test]
    fn keeps_no_more_bytes_than_its_bound() {
        let history = History::new(10_000, MEGABYTES_16);
        let megabyte = Payload::from_json(format!("{:?}", "x".repeat(1024 * 1024))).unwrap();
        (0..64).for_each(|number| history.push(&event(number, megabyte.clone())));
        assert_eq!(history.len(), 15);
    }

    #[test]
    fn selects_by_pattern() {
        let history = History::new(10, MEGABYTES_16);
        let other =
            Event::builder("c").id("c").timestamp_text("2026-01-02T03:04:05Z").build().unwrap();
        (0..3).for_each(|number| history.push(&event(number, Payload::empty())));
        history.push(&other);
        assert_eq!(history.recent(2, Some(&Pattern::new("a.*").unwrap())).len(), 2);
        assert_eq!(history.recent(9, Some(&Pattern::new("c").unwrap())), [other]);
    }

    #[test]
    fn of_none_keeps_none() {
        let history = History::new(0, MEGABYTES_16);
        history.push(&event(1, Payload::empty()));
        assert_eq!(history.len(), 0);
    }
}
