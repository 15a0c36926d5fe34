//! What is there after a restart.

use std::time::Duration;

use nexus_events_dispatch::store::{Append, EventStore, Expected, Read, StateStore};
use nexus_events_dispatch::{Clock, ManualClock};
use nexus_events_store::Store;
use redb::{ReadableDatabase, ReadableTableMetadata};
use time::macros::datetime;

use crate::support::{Folder, all, event, number, put};

async fn fill(store: &Store, from: u64, count: u64) {
    let appends: Vec<_> = (from..from + count)
        .map(|number| {
            let key = format!("k-{}", number % 100);
            store.append(
                Append::new()
                    .keyed_event(key, event(number))
                    .idempotency_key(format!("once-{number}"))
                    .put("last", "number", number.to_string()),
            )
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_there_again() {
    let folder = Folder::new();
    let epoch = folder.store().bounds().epoch;
    // Over several blocks, each closed in the middle.
    for round in 0..3 {
        let store = folder.store();
        assert_eq!(store.bounds().epoch, epoch);
        fill(&store, round * 7_000, 7_000).await;
    }
    let store = folder.store();
    assert_eq!(store.bounds().len(), 21_000);
    let events = all(&store, Read::all()).await;
    assert!(events.iter().zip(0..).all(|(stored, expected)| number(stored) == expected));
    assert_eq!(store.key_version("k-7").await.unwrap(), 210);
    assert_eq!(store.stats().idempotency_keys, 21_000);
    for number in [0, 6_999, 7_000, 20_999] {
        let again = Append::of(event(0)).idempotency_key(format!("once-{number}"));
        let again = store.append(again).await.unwrap();
        assert!(again.duplicate);
        assert_eq!(again.first.number(), number + 1);
    }
    let state = store.get("last", b"number").await.unwrap().unwrap();
    assert_eq!((state.value, state.version), (b"20999".to_vec(), 21_000));
    assert_eq!(put(&store, 1).await.version, 21_001);
    assert!(store.verify(nexus_events_dispatch::store::Progress::none()).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_commit_of_state_alone_counts_too() {
    let folder = Folder::new();
    let once = || Append::new().put("s", "k", "v").idempotency_key("once");
    let first = folder.store().append(once()).await.unwrap();
    let store = folder.store();
    let again = store.append(once()).await.unwrap();
    assert!(again.duplicate && again.version == first.version && again.last == first.last);
    let next = Append::new().put_if(Expected::Exact(1), "s", "k", "w");
    assert_eq!(store.append(next).await.unwrap().version, 2);
    drop(store);
    assert_eq!(put(&folder.store(), 1).await.version, 3);
}

#[tokio::test]
async fn old_idempotency_keys_are_forgotten() {
    let folder = Folder::new();
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let open = || {
        let builder = Store::builder().clock(clock.clone());
        builder.dedup(Duration::from_secs(60), 2).open(folder.file()).unwrap()
    };
    let store = open();
    let once = |name: &'static str| Append::of(event(1)).idempotency_key(name);
    store.append(once("a")).await.unwrap();
    clock.advance(Duration::from_secs(60));
    assert!(store.append(once("a")).await.unwrap().duplicate);
    clock.advance(Duration::from_secs(1));
    assert!(!store.append(once("a")).await.unwrap().duplicate);
    store.append(once("b")).await.unwrap();
    drop(store);
    let store = open();
    assert!(store.append(once("b")).await.unwrap().duplicate);
    store.append(once("c")).await.unwrap();
    store.append(once("d")).await.unwrap();
    assert!(!store.append(once("a")).await.unwrap().duplicate);
    assert!(store.capabilities().dedup_keys == 2 && clock.now().year() == 2026);
}

#[tokio::test]
async fn old_idempotency_keys_of_state_alone_take_no_room_for_ever() {
    let folder = Folder::new();
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let store = Store::builder().clock(clock.clone()).open(folder.file()).unwrap();
    for number in 0..50 {
        let once = Append::new().put("s", "k", "v").idempotency_key(format!("once-{number}"));
        store.append(once).await.unwrap();
        clock.advance(Duration::from_secs(60));
    }
    drop(store);
    let database = redb::Database::open(folder.file()).unwrap();
    let table = redb::TableDefinition::<u64, &[u8]>::new("happened");
    let table = database.begin_read().unwrap().open_table(table).unwrap();
    assert!(table.len().unwrap() <= 11, "{}", table.len().unwrap());
}
