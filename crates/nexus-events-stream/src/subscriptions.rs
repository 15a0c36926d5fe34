//! The subscriptions of all clients, found by event type without a lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use nexus_events_dispatch::PatternIndex;
use nexus_events_model::{Encoded, Event, Filter, IdBuffer, Pattern};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::client::Client;
use crate::limits::STATS_TYPES_MAX;
use crate::protocol::{EventPrefix, Subscribe};
use crate::queue::{Frame, Pushed};

/// One subscription of one client.
pub(crate) struct ClientSubscription {
    pub(crate) prefix: EventPrefix,
    patterns: Vec<Pattern>,
    filter: Option<Filter>,
    session_id: Option<String>,
    client: Arc<Client>,
    active: AtomicBool,
}

impl ClientSubscription {
    pub(crate) fn new(client: &Arc<Client>, request: Subscribe<'_>) -> Arc<Self> {
        Arc::new(Self {
            prefix: EventPrefix::new(&format!("sub_{}", Uuid::new_v4())),
            patterns: request.patterns,
            filter: request.filter,
            session_id: request.session_id,
            client: client.clone(),
            active: AtomicBool::new(true),
        })
    }

    pub(crate) fn id(&self) -> &str {
        self.prefix.id()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Hands an event to the client's queue.
    pub(crate) fn deliver(self: &Arc<Self>, event: &Encoded) -> Pushed {
        self.client.queue.push(Frame::Event(self.clone(), event.clone()))
    }

    fn wants(&self, event: &Event) -> bool {
        let of_session = self.session_id.as_deref().is_none_or(|wanted| {
            event.session_id().is_some_and(|id| id.as_text(&mut IdBuffer::new()) == wanted)
        });
        of_session && self.filter.as_ref().is_none_or(|filter| filter.matches(event))
    }

    /// Whether an earlier pattern of this subscription finds the event too, so that one
    /// subscription gives one message.
    fn is_found_before(&self, place: usize, event: &Event) -> bool {
        self.patterns[..place].iter().any(|pattern| pattern.matches(event.event_type()))
    }
}

/// A subscription under one of its patterns.
#[derive(Clone)]
struct Entry {
    subscription: Arc<ClientSubscription>,
    place: usize,
}

/// All subscriptions. A change copies what it touches and swaps it in; a reader keeps what it
/// has.
#[derive(Default)]
pub(crate) struct Subscriptions {
    index: ArcSwap<PatternIndex<Entry>>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    total: usize,
    by_type: BTreeMap<String, usize>,
}

/// What the statistics say about subscriptions.
pub(crate) struct SubscriptionCounts {
    pub(crate) total: usize,
    pub(crate) by_type: BTreeMap<String, usize>,
    pub(crate) omitted: usize,
}

impl Subscriptions {
    /// Adds a subscription: events published after this returns are seen.
    pub(crate) fn add(&self, subscription: &Arc<ClientSubscription>) {
        let mut book = self.book.lock();
        let mut index = PatternIndex::clone(&self.index.load());
        for (place, pattern) in subscription.patterns.iter().enumerate() {
            index.insert(pattern, Entry { subscription: subscription.clone(), place });
            *book.by_type.entry(pattern.as_str().to_owned()).or_default() += 1;
        }
        book.total += 1;
        self.index.store(Arc::new(index));
    }

    /// Removes subscriptions, all in one step. None of them is delivered any more.
    pub(crate) fn remove(&self, subscriptions: &[Arc<ClientSubscription>]) {
        if subscriptions.is_empty() {
            return;
        }
        let mut book = self.book.lock();
        let mut index = PatternIndex::clone(&self.index.load());
        for subscription in subscriptions {
            subscription.active.store(false, Ordering::Release);
            for (place, pattern) in subscription.patterns.iter().enumerate() {
                let same = |entry: &Entry| {
                    entry.place == place && Arc::ptr_eq(&entry.subscription, subscription)
                };
                index.remove(pattern, same);
                book.forget(pattern.as_str());
            }
        }
        book.total -= subscriptions.len();
        self.index.store(Arc::new(index));
    }

    /// Calls `found` once for each subscription that wants the event.
    pub(crate) fn for_each_match(
        &self,
        event: &Event,
        mut found: impl FnMut(&Arc<ClientSubscription>),
    ) {
        let index = self.index.load();
        index.for_each_match(event.event_type(), |Entry { subscription, place }| {
            if !subscription.is_found_before(*place, event) && subscription.wants(event) {
                found(subscription);
            }
        });
    }

    pub(crate) fn counts(&self) -> SubscriptionCounts {
        let book = self.book.lock();
        let by_type = book.by_type.iter().take(STATS_TYPES_MAX);
        SubscriptionCounts {
            total: book.total,
            by_type: by_type.map(|(name, count)| (name.clone(), *count)).collect(),
            omitted: book.by_type.len().saturating_sub(STATS_TYPES_MAX),
        }
    }
}

impl Book {
    fn forget(&mut self, name: &str) {
        if let Some(count) = self.by_type.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.by_type.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::ClientQueue;

    fn subscription(client: &Arc<Client>, patterns: &[&str]) -> Arc<ClientSubscription> {
        let request = Subscribe {
            event_types: "[]",
            filters: "{}",
            patterns: patterns.iter().map(|text| Pattern::new(*text).unwrap()).collect(),
            filter: None,
            session_id: None,
        };
        ClientSubscription::new(client, request)
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let queue = ClientQueue::new(10, 1_000);
        let client = Arc::new(Client { uuid: Uuid::new_v4(), queue });
        let all = Subscriptions::default();
        let kept = subscription(&client, &["a.*", "a.b"]);
        let removed = subscription(&client, &["a.*", "a.*", "**"]);
        all.add(&kept);
        all.add(&removed);
        assert_eq!(all.index.load().len(), 5);
        assert_eq!(all.counts().by_type["a.*"], 3);

        all.remove(std::slice::from_ref(&removed));
        assert_eq!(all.index.load().len(), 2);
        assert_eq!((all.counts().total, all.counts().by_type.len()), (1, 2));
        assert!(kept.is_active() && !removed.is_active());
        assert_eq!(Arc::strong_count(&removed), 1);
    }

    #[test]
    fn a_subscription_that_ended_takes_no_more() {
        let queue = ClientQueue::new(10, 1_000);
        let client = Arc::new(Client { uuid: Uuid::new_v4(), queue });
        let all = Subscriptions::default();
        let ended = subscription(&client, &["a.b"]);
        all.add(&ended);
        let event = Event::builder("a.b").id("1").timestamp_text("2026-01-02T03:04:05Z");
        let event = event.build().unwrap();
        // A publisher that looked into the index before the unsubscribe comes after it.
        let mut found = Vec::new();
        all.for_each_match(&event, |subscription| found.push(subscription.clone()));
        all.remove(&[ended]);
        assert_eq!(found[0].deliver(event.encoded().unwrap()), Pushed::Ended);
    }

    #[test]
    fn the_names_in_the_statistics_are_bounded() {
        let queue = ClientQueue::new(10, 1_000);
        let client = Arc::new(Client { uuid: Uuid::new_v4(), queue });
        let all = Subscriptions::default();
        for number in 0..STATS_TYPES_MAX + 2 {
            all.add(&subscription(&client, &[&format!("a.t{number}")]));
        }
        let counts = all.counts();
        assert_eq!((counts.by_type.len(), counts.omitted), (STATS_TYPES_MAX, 2));
    }
}
