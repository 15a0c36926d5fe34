//! A full disk: an error, nothing lost, and it heals.

use std::path::Path;
use std::sync::atomic::Ordering;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{
    Append, Cursor, EventStore, Offset, Read, Retention, StateStore,
};
use nexus_events_store::Store;

use crate::memory::Memory;
use crate::support::{all, event_of, number};

const ROOM: u64 = 50 * 1024 * 1024;

async fn until_full(store: &Store, from: u64) -> u64 {
    for at in from.. {
        let append = Append::of(event_of("a", at, 100_000));
        if let Err(error) = store.append(append).await {
            assert_eq!(error.kind(), ErrorKind::StoreFull, "{error}");
            return at;
        }
    }
    unreachable!("the disk has no end")
}

async fn fills_and_heals(tells_room: bool, most: u64) {
    let memory = Memory::new();
    memory.faults().room.store(most, Ordering::SeqCst);
    memory.faults().tells_room.store(tells_room, Ordering::SeqCst);
    let path = Path::new("events.nexus");
    let store = Store::open_on(memory.clone(), path).unwrap();
    let full = until_full(&store, 0).await;
    assert!(full > most / 250_000, "only {full} events");
    assert!(!store.stats().poisoned);
    let there: Vec<u64> = all(&store, Read::all()).await.iter().map(number).collect();
    assert_eq!(there, (0..full).collect::<Vec<_>>());
    if tells_room {
        let cursor = Append::new().cursor("reader", &Cursor::at(Offset::new(full / 2)));
        store.append(cursor).await.unwrap();
        assert!(store.get("nexus.cursors", b"reader").await.unwrap().is_some());
        let half = store.trim(Retention::new().events(full / 2)).await.unwrap();
        assert!(half.events > 0);
    } else {
        memory.faults().room.store(2 * most, Ordering::SeqCst);
    }
    let more = until_full(&store, full).await;
    assert!(more > full + full / 4, "{} more", more - full);
    drop(store);
    let store = Store::open_on(memory.healed(), path).unwrap();
    let there: Vec<u64> = all(&store, Read::all()).await.iter().map(number).collect();
    assert_eq!(there.last(), Some(&(more - 1)));
    assert!(there.windows(2).all(|two| two[0] + 1 == two[1]));
}

#[tokio::test]
async fn d08_a_full_disk_is_an_error_and_heals_after_a_trim() {
    fills_and_heals(true, ROOM).await;
}

#[tokio::test]
async fn d08_a_disk_that_does_not_tell_its_room_heals_too() {
    fills_and_heals(false, ROOM / 5).await;
}
