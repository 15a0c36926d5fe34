//! Folders, events and stores to test with.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events_dispatch::store::{Append, Appended, EventStore, Page, Read, StoredEvent};
use nexus_events_model::Event;
use nexus_events_store::Store;
use serde_json::json;

/// A folder that is removed at the end of a test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nexus-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("events.nexus")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn event(number: u64) -> Event {
    event_of("order.created", number, 10)
}

pub(crate) fn event_of(event_type: &str, number: u64, bytes: usize) -> Event {
    Event::builder(event_type)
        .id(uuid(number))
        .timestamp_text("2026-01-02T03:04:05.678Z")
        .source("shop")
        .payload(json!({"number": number, "text": "x".repeat(bytes)}))
        .build()
        .unwrap()
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

pub(crate) fn number(stored: &StoredEvent) -> u64 {
    stored.event.payload().get("number").unwrap().as_u64().unwrap()
}

pub(crate) async fn put(store: &dyn EventStore, number: u64) -> Appended {
    store.append(Append::of(event(number))).await.unwrap()
}

/// Everything that a read gives, over all of its pages.
pub(crate) async fn all(store: &dyn EventStore, read: Read) -> Vec<StoredEvent> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page: Page = store.read(read).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    events
}
