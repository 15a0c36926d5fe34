//! How much is kept.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::{
    Append, Cursor, EventStore, Held, Offset, Progress, Read, Retention,
};
use nexus_events_dispatch::{Clock, ErrorKind, ManualClock};
use nexus_events_store::{Store, limits};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::Notify;

use crate::support::{Folder, all, event, event_of, number, put};

#[tokio::test]
async fn the_oldest_go_to_the_event() {
    let folder = Folder::new();
    let store = folder.store();
    let ten = (1..=10).fold(Append::new(), |append, number| append.event(event(number)));
    store.append(ten).await.unwrap();
    put(&store, 11).await;
    let trimmed = store.trim(Retention::new().events(4)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.first), (7, Offset::new(8)));
    assert_eq!(
        all(&store, Read::all()).await.iter().map(number).collect::<Vec<_>>(),
        [8, 9, 10, 11]
    );
    let error = store.read(Read::after(Offset::new(6))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trimmed);
    assert!(store.read(Read::after(Offset::new(7))).await.is_ok());
    drop(store);
    let store = folder.store();
    assert_eq!(store.bounds().first, Offset::new(8));
    let trimmed = store.trim(Retention::new().events(0)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.first), (4, Offset::new(12)));
    assert!(store.bounds().is_empty() && store.stats().bytes == 0);
    drop(store);
    let store = folder.store();
    assert_eq!(put(&store, 12).await.first, Offset::new(12));
    assert!(store.verify(Progress::none()).await.unwrap().is_sound());
}

#[tokio::test]
async fn cursors_hold_what_they_have_not_passed() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 1..=10 {
        put(&store, number).await;
    }
    let slow = Append::new().cursor("slow", &Cursor::at(Offset::new(3)));
    store.append(slow.cursor("quick", &Cursor::at(Offset::new(9)))).await.unwrap();
    let trimmed = store.trim(Retention::new().events(2)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.first), (3, Offset::new(4)));
    assert_eq!(trimmed.held, Some((5, "slow".to_owned())));
    let trimmed = store.trim(Retention::new().events(2).held(Held::Remove)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.first), (5, Offset::new(9)));
    assert_eq!(trimmed.lost, [("slow".to_owned(), 5)]);
    let trimmed = store.trim(Retention::new().events(2)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.held), (0, None));
}

#[tokio::test]
async fn age_and_bytes_are_bounds() {
    let folder = Folder::new();
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let store = Store::builder().clock(clock.clone()).open(folder.file()).unwrap();
    for number in 1..=10 {
        store.append(Append::of(event_of("a", number, 1000))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    let trimmed = store.trim(Retention::new().age(Duration::from_secs(5))).await.unwrap();
    assert_eq!(trimmed.first, Offset::new(6));
    let trimmed = store.trim(Retention::new().bytes(3_500)).await.unwrap();
    assert_eq!(trimmed.first, Offset::new(8));
    assert!(store.stats().bytes <= 3_500);
    let nothing = store.trim(Retention::new()).await.unwrap();
    assert_eq!((nothing.events, nothing.first), (0, Offset::new(8)));
}

#[tokio::test]
async fn the_writer_enforces_the_retention_and_versions_of_keys_stay() {
    let folder = Folder::new();
    let kept = Retention::new().events(100);
    let store = Store::builder().retention(kept).open(folder.file()).unwrap();
    for number in 0..600 {
        let key = format!("k-{}", number % 2);
        store.append(Append::new().keyed_event(key, event(number))).await.unwrap();
    }
    assert!(store.bounds().len() <= 100 + 256, "{:?}", store.bounds());
    assert_eq!(store.key_version("k-1").await.unwrap(), 300);
    drop(store);
    let store = folder.store();
    assert_eq!(store.key_version("k-1").await.unwrap(), 300);
}

#[tokio::test]
async fn compaction_gives_room_back() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 0..200 {
        store.append(Append::of(event_of("a", number, 20_000))).await.unwrap();
    }
    store.trim(Retention::new().events(10)).await.unwrap();
    let before = store.stats().disk_bytes;
    let given_back = store.compact(Progress::none()).await.unwrap();
    assert!(given_back > 0 && store.stats().disk_bytes == before - given_back);
    assert_eq!(all(&store, Read::all()).await.len(), 10);
    put(&store, 200).await;
    drop(store);
    assert_eq!(all(&folder.store(), Read::all()).await.len(), 11);
}

/// A manual clock that tells when somebody looks at it.
#[derive(Debug, Clone)]
struct Watched(ManualClock, Arc<Notify>);

impl Clock for Watched {
    fn now(&self) -> OffsetDateTime {
        let now = self.0.now();
        self.1.notify_one();
        now
    }
}

#[tokio::test]
async fn an_age_is_enforced_where_nothing_else_happens() {
    let folder = Folder::new();
    let clock = Watched(ManualClock::new(datetime!(2026-01-02 03:04:05 UTC)), Arc::default());
    let age = Retention::new().age(limits::RETENTION_WAIT_MIN);
    let store = Store::builder().clock(clock.clone()).retention(age).open(folder.file()).unwrap();
    put(&store, 1).await;
    clock.0.advance(limits::RETENTION_WAIT_MIN / 2);
    put(&store, 2).await;
    assert_eq!(store.bounds().first, Offset::new(1));
    clock.0.advance(limits::RETENTION_WAIT_MIN * 3 / 4);
    while store.bounds().first == Offset::new(1) {
        clock.1.notified().await;
    }
    assert_eq!(all(&store, Read::all()).await.iter().map(number).collect::<Vec<_>>(), [2]);
}
