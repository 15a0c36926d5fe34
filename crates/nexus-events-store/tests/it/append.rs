//! Appends: all or nothing, in order, once.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::{
    Ack, Append, EventStore, Expected, Offset, Read, Scan, StateStore,
};
use nexus_events_dispatch::{Clock, ErrorKind, ManualClock};
use nexus_events_store::{Store, limits};
use time::macros::datetime;

use crate::support::{Folder, all, event, number, put};

#[tokio::test]
async fn offsets_and_versions_count_from_one() {
    let folder = Folder::new();
    let store = folder.store();
    let first = put(&store, 1).await;
    assert_eq!((first.first, first.last, first.version), (Offset::new(1), Offset::new(1), 1));
    let two = store.append(Append::of(event(2)).event(event(3))).await.unwrap();
    assert_eq!((two.first, two.last, two.version), (Offset::new(2), Offset::new(3), 2));
    let state = store.append(Append::new().put("s", "k", "v")).await.unwrap();
    assert_eq!((state.first, state.last, state.version), (Offset::new(4), Offset::new(3), 3));
    assert_eq!(store.get("s", b"k").await.unwrap().unwrap().version, 3);
    let events = all(&store, Read::all()).await;
    assert_eq!(events.iter().map(number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[0].recorded, first.recorded);
}

#[tokio::test]
async fn a_refused_append_leaves_nothing_and_does_not_spoil_its_batch() {
    let folder = Folder::new();
    let store = folder.store();
    let refused = Append::of(event(2)).put("s", "a", "1").put_if(Expected::Exact(9), "s", "b", "2");
    // All three stand in line before the first is polled.
    let appends = [
        store.append(Append::of(event(1))),
        store.append(refused),
        store.append(Append::of(event(3)).put_if(Expected::Absent, "s", "b", "3")),
    ];
    let mut answers = Vec::new();
    for append in appends {
        answers.push(append.await);
    }
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(answers[1].as_ref().unwrap_err().to_string().contains("the state `b` of `s`"));
    assert_eq!(answers[2].as_ref().unwrap().first, Offset::new(2));
    assert_eq!(store.get("s", b"a").await.unwrap(), None);
    let events = all(&store, Read::all()).await;
    assert_eq!(events.iter().map(number).collect::<Vec<_>>(), [1, 3]);
    let stats = store.stats();
    assert_eq!((stats.appends, stats.refused, stats.events), (2, 1, 2));
}

#[tokio::test]
async fn keys_count_their_events() {
    let folder = Folder::new();
    let store = folder.store();
    let create = || Append::new().keyed_event("o", event(1)).expect_key("o", Expected::Absent);
    let both = [store.append(create()), store.append(create())];
    let mut kinds = Vec::new();
    for one in both {
        kinds.push(one.await.map_err(|error| error.kind()).err());
    }
    assert_eq!(kinds, [None, Some(ErrorKind::Conflict)]);
    let next = Append::new().keyed_event("o", event(2)).expect_key("o", Expected::Exact(1));
    store.append(next).await.unwrap();
    assert_eq!(store.key_version("o").await.unwrap(), 2);
    assert_eq!(store.key_version("p").await.unwrap(), 0);
}

#[tokio::test]
async fn an_idempotency_key_happens_once_within_a_batch_too() {
    let folder = Folder::new();
    let store = folder.store();
    let once = || Append::of(event(1)).idempotency_key("once");
    let (first, second) = (store.append(once()), store.append(once()));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(!first.duplicate && second.duplicate);
    assert_eq!((second.first, second.version), (first.first, first.version));
    let third = store.append(once()).await.unwrap();
    assert!(third.duplicate);
    assert_eq!(third.recorded, first.recorded);
    assert_eq!((store.stats().duplicates, store.stats().idempotency_keys), (2, 1));
    assert_eq!(store.bounds().len(), 1);
}

#[tokio::test]
async fn every_level_is_answered_and_read_back() {
    let folder = Folder::new();
    let store = folder.store();
    for (number, ack) in [(1, Ack::Memory), (2, Ack::Buffered), (3, Ack::Synced)] {
        store.append(Append::of(event(number)).ack(ack)).await.unwrap();
    }
    store.wait_past(Offset::new(2)).await.unwrap();
    assert_eq!(all(&store, Read::all()).await.len(), 3);
}

/// It would be held up by the sync of its append before.
#[tokio::test]
async fn a_lone_publisher_that_does_not_wait_for_the_disk_shares_commits() {
    let folder = Folder::new();
    let store = Store::builder().lag(limits::COMMIT_SPREAD_MAX).open(folder.file()).unwrap();
    for number in 1..=200 {
        let appended = store.append(Append::of(event(number)).ack(Ack::Memory)).await.unwrap();
        assert_eq!(appended.first, Offset::new(number));
    }
    // One that waits for the disk ends the lag. Without one most have a commit of their own.
    put(&store, 201).await;
    let (stats, bounds) = (store.stats(), store.bounds());
    assert!(stats.commits < 101 && stats.appends == 201 && bounds.last == Offset::new(201));
    let events = all(&store, Read::all()).await;
    assert!(events.iter().map(number).eq(1..=201));
}

/// All of a frame are recorded at one time.
#[tokio::test]
async fn what_comes_at_another_time_is_recorded_then() {
    let folder = Folder::new();
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05 UTC));
    let builder = Store::builder().lag(limits::COMMIT_SPREAD_MAX).clock(clock.clone());
    let store = builder.open(folder.file()).unwrap();
    for number in 1..=3 {
        store.append(Append::of(event(number)).ack(Ack::Memory)).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    let last = put(&store, 4).await;
    assert_eq!(last.recorded, clock.now());
    let events = all(&store, Read::all()).await;
    let recorded: Vec<_> = events.iter().map(|stored| stored.recorded.second()).collect();
    assert_eq!(recorded, [5, 6, 7, 8]);
}

#[tokio::test]
async fn a_dropped_future_goes_on() {
    let folder = Folder::new();
    let store = folder.store();
    drop(store.append(Append::of(event(1))));
    store.wait_past(Offset::START).await.unwrap();
    assert_eq!(all(&store, Read::all()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_publishers_share_commits() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let publishers: Vec<_> = (0..64)
        .map(|publisher| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut last = Offset::START;
                for one in 0..20 {
                    let appended = put(&*store, publisher * 100 + one).await;
                    assert!(appended.first > last);
                    last = appended.first;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.appends, stats.events, stats.waiting), (1280, 1280, 0));
    assert!(stats.commits < 640, "{} commits", stats.commits);
    let events = all(&*store, Read::all()).await;
    assert!(events.iter().zip(1..).all(|(stored, offset)| stored.offset.number() == offset));
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_refused_by_name() {
    let folder = Folder::new();
    let store = folder.store();
    let key = "k".repeat(256);
    let error = store.append(Append::of(event(1)).idempotency_key(key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let many = (0..16_385).fold(Append::new(), |append, _| append.event(event(1)));
    let error = store.append(many).await.unwrap_err();
    assert!(error.to_string().contains("16384"), "{error}");
    assert_eq!(store.stats().refused, 2);
    drop(store);

    let store = nexus_events_store::Store::builder().queue(1, 1).open(folder.file()).unwrap();
    let waiting: Vec<_> = (0..10_000).map(|n| store.append(Append::of(event(n)))).collect();
    let mut refused = 0;
    for one in waiting {
        if let Err(error) = one.await {
            assert_eq!(error.kind(), ErrorKind::Overloaded);
            refused += 1;
        }
    }
    assert!(refused > 0 && store.bounds().len() + refused == 10_000);
}

#[tokio::test]
async fn state_is_scanned_in_order() {
    let folder = Folder::new();
    let store = folder.store();
    let puts = ["b", "a2", "a1", "a", "c"];
    let append = puts.iter().fold(Append::new().put("z", "a", "0"), |append, key| {
        append.put("s", *key, format!("{key}!"))
    });
    store.append(append.delete("s", "c")).await.unwrap();
    let keys = |entries: Vec<nexus_events_dispatch::store::StateEntry>| {
        entries.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys(store.scan(Scan::of("s")).await.unwrap()), ["a", "a1", "a2", "b"]);
    let scan = Scan::of("s").prefix("a").after("a").limit(1);
    assert_eq!(keys(store.scan(scan).await.unwrap()), ["a1"]);
    assert_eq!(keys(store.scan(Scan::of("r")).await.unwrap()), Vec::<String>::new());
}
