//! What the cases share.

use std::fmt::Debug;
use std::pin::Pin;
use std::task::Poll;

use nexus_events_dispatch::store::{
    Append, Appended, EventStore, Offset, Read, Scan, StateEntry, StoredEvent,
};
use nexus_events_dispatch::{ErrorKind, Result};
use nexus_events_model::{Event, EventBuilder};
use serde_json::json;

use super::candidate::Stop;
use crate::TestEventBus;
use crate::limits::PAGES_MAX;

/// The `n`-th event, under construction.
pub(super) fn draft(n: u64) -> EventBuilder {
    Event::builder("test.event")
        .id(format!("evt-{n}"))
        .timestamp(TestEventBus::START)
        .payload(json!({"n": n}))
}

/// The `n`-th event.
pub(super) fn event(n: u64) -> Event {
    built(draft(n))
}

pub(super) fn built(draft: EventBuilder) -> Event {
    draft.build().expect("every part is valid")
}

/// An event with about so many bytes of payload.
pub(super) fn large(n: u64, bytes: usize) -> Event {
    built(draft(n).payload(json!({"text": "x".repeat(bytes)})))
}

/// Events 1 to `count` in one append.
pub(super) fn appending(count: u64) -> Append {
    (1..=count).map(event).fold(Append::new(), Append::event)
}

/// So many events, in one append.
pub(super) async fn fill(store: &dyn EventStore, count: u64) -> Result<Appended> {
    store.append(appending(count)).await
}

/// All that a read is about, page by page.
pub(super) async fn all(store: &dyn EventStore, read: Read) -> Result<Vec<StoredEvent>, Stop> {
    Ok(pages(store, read).await?.into_iter().flatten().collect())
}

/// The same, with the pages apart.
pub(super) async fn pages(
    store: &dyn EventStore,
    read: Read,
) -> Result<Vec<Vec<StoredEvent>>, Stop> {
    let (mut pages, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = store.read(read).await?;
        pages.push(page.events);
        next = page.next;
        if pages.len() > PAGES_MAX {
            return Err(Stop::Failed(format!("a read has no end after {PAGES_MAX} pages")));
        }
    }
    Ok(pages)
}

/// All state of a space, page by page.
pub(super) async fn states(store: &dyn EventStore, space: &str) -> Result<Vec<StateEntry>> {
    let (mut all, mut scan) = (Vec::new(), Scan::of(space));
    loop {
        let entries = store.scan(scan.clone()).await?;
        let Some(last) = entries.last() else { return Ok(all) };
        scan.after = Some(last.key.clone());
        all.extend(entries);
    }
}

pub(super) fn numbers(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|stored| stored.offset.number()).collect()
}

pub(super) fn ids(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(|stored| stored.event.id().to_string()).collect()
}

/// The numbers from the first to the last, either included.
pub(super) fn upto(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

pub(super) fn offset(number: u64) -> Offset {
    Offset::new(number)
}

/// What a future gives at once, if anything.
pub(super) async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// An error of this kind, with a text, and nothing else.
#[track_caller]
pub(super) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!error.to_string().is_empty(), "the error says nothing");
        }
        Ok(answer) => panic!("expected {kind:?}, got {answer:?}"),
    }
}

/// Everything that an append could change.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    events: Vec<StoredEvent>,
    states: Vec<Vec<StateEntry>>,
    versions: Vec<u64>,
}

impl Contents {
    /// Of these spaces and keys, and all events.
    pub(super) async fn of(
        store: &dyn EventStore,
        spaces: &[&str],
        keys: &[&str],
    ) -> Result<Self, Stop> {
        let (mut all_states, mut versions) = (Vec::new(), Vec::new());
        for space in spaces {
            all_states.push(states(store, space).await?);
        }
        for key in keys {
            versions.push(store.key_version(key).await?);
        }
        Ok(Self { events: all(store, Read::all()).await?, states: all_states, versions })
    }
}
