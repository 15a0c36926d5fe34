//! Reads, compared with the reference.

use std::sync::Arc;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{
    Append, EventStore, Follow, MemoryStore, Offset, Read, Select, StoredEvent,
};
use nexus_events_model::{Event, Filter, Pattern, Priority};
use serde_json::json;

use crate::support::{Folder, all, event, number, put};

const TYPES: [&str; 4] = ["order.created", "order.paid", "user.login", "system.error"];

fn varied(number: u64) -> Append {
    let builder = Event::builder(TYPES[(number % 4) as usize])
        .id(format!("evt-{number}"))
        .timestamp_text("2026-01-02T03:04:05Z")
        .source(if number.is_multiple_of(3) { "shop" } else { "desk" })
        .correlation_id(format!("c-{}", number % 50))
        .priority(if number.is_multiple_of(10) { Priority::High } else { Priority::Normal })
        .payload(json!({"number": number}));
    Append::new().keyed_event(format!("k-{}", number % 7), builder.build().unwrap())
}

async fn filled(store: &dyn EventStore, count: u64) {
    let mut appends: Vec<_> = (0..count).map(|number| store.append(varied(number))).collect();
    if let Some(last) = appends.pop() {
        last.await.unwrap();
    }
    for append in appends {
        append.await.unwrap();
    }
}

fn selects() -> Vec<Select> {
    vec![
        Select::new(),
        Select::new().pattern(Pattern::new("order.*").unwrap()),
        Select::new().pattern(Pattern::new("nobody.*").unwrap()),
        Select::new().key("k-3").source("shop"),
        Select::new().correlation_id("c-17"),
        Select::new().correlation_id("c-none"),
        Select::new().priority_min(Priority::High),
        Select::new().filter(Filter::parse("payload.number > 20000").unwrap()),
    ]
}

fn same(ours: &[StoredEvent], theirs: &[StoredEvent]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(
            (ours.offset, &ours.key, &ours.event),
            (theirs.offset, &theirs.key, &theirs.event)
        );
    }
}

#[tokio::test]
async fn every_read_gives_what_the_reference_gives() {
    // Enough for some blocks, and for more than the newest in memory.
    let folder = Folder::new();
    let (store, memory) = (folder.store(), MemoryStore::new());
    filled(&store, 30_000).await;
    filled(&memory, 30_000).await;
    let reads = [
        Read::all().events(10_000).bytes(usize::MAX),
        Read::after(Offset::new(8_000)).until(Offset::new(8_400)).events(7),
        Read::all().backward().events(1000).bytes(usize::MAX),
        Read::after(Offset::new(100)).until(Offset::new(16_000)).backward().events(300),
    ];
    let mut reopened = false;
    let mut store = store;
    loop {
        for select in selects() {
            for read in &reads {
                let read = read.clone().select(select.clone());
                same(&all(&store, read.clone()).await, &all(&memory, read).await);
            }
        }
        if reopened {
            break;
        }
        drop(store);
        (store, reopened) = (folder.store(), true);
    }
}

#[tokio::test]
async fn pages_are_bounded_and_go_on() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 1..=10 {
        put(&store, number).await;
    }
    let page = store.read(Read::all().events(4)).await.unwrap();
    assert_eq!(page.events.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(page.next.as_ref().unwrap().after, Offset::new(4));
    let page = store.read(Read::all().bytes(0)).await.unwrap();
    assert_eq!(page.events.len(), 1);
    let page = store.read(Read::all().events(10)).await.unwrap();
    assert_eq!((page.events.len(), page.next), (10, None));
    let page = store.read(Read::after(Offset::new(10))).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_everything_once_and_in_order() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    for number in 1..=50 {
        put(&*store, number).await;
    }
    let mut follow = Follow::new(store.clone(), Offset::START).events(7);
    let publisher = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 51..=200 {
                put(&*store, number).await;
            }
        }
    });
    for expected in 1..=200 {
        let stored = follow.next().await.unwrap();
        assert_eq!((stored.offset.number(), number(&stored)), (expected, expected));
    }
    publisher.await.unwrap();
    store.close().await.unwrap();
    assert_eq!(follow.next().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn it_reads_without_a_runtime() {
    let folder = Folder::new();
    let store = folder.store();
    let mut append = std::pin::pin!(store.append(Append::of(event(1))));
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    let appended = loop {
        if let std::task::Poll::Ready(appended) = append.as_mut().poll(&mut context) {
            break appended.unwrap();
        }
        std::thread::yield_now();
    };
    assert_eq!(appended.first, Offset::new(1));
}
