//! Backups of a store in use, and stores made of them.

use std::sync::Arc;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{Append, EventStore, Progress, Read, StateStore};
use nexus_events_store::Store;

use crate::support::{Folder, all, event, number, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_of_a_store_in_use() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    for number in 0..3_000 {
        drop(store.append(Append::of(event(number)).put("last", "number", number.to_string())));
    }
    put(&*store, 3_000).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let publisher = tokio::spawn({
        let store = store.clone();
        async move {
            let mut next = 3_001;
            while stopped.try_recv().is_err() {
                put(&*store, next).await;
                next += 1;
            }
        }
    });
    let to = folder.path().join("backup");
    let copied = store.backup(&to, Progress::none()).await.unwrap();
    stop.send(()).unwrap();
    publisher.await.unwrap();
    let error = store.backup(&to, Progress::none()).await.unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");

    let restored = folder.path().join("restored");
    let found = Store::restore(&to, &restored).unwrap();
    assert_eq!((found.events, found.states), (copied.events, 1));
    let restored = Store::open(restored).unwrap();
    assert_ne!(restored.bounds().epoch, store.bounds().epoch);
    assert_eq!(Store::open(to).unwrap().bounds().epoch, store.bounds().epoch);
    let events = all(&restored, Read::all()).await;
    assert!(events.len() >= 3_001 && events.len() as u64 == copied.events);
    assert!(events.iter().zip(0..).all(|(stored, expected)| number(stored) == expected));
    assert_eq!(restored.get("last", b"number").await.unwrap().unwrap().value, b"2999");
    put(&restored, 1).await;
}

#[tokio::test]
async fn a_backup_that_is_cut_or_damaged_is_refused() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 0..200 {
        put(&store, number).await;
    }
    let backup = folder.path().join("backup");
    store.backup(&backup, Progress::none()).await.unwrap();
    let whole = std::fs::read(&backup).unwrap();
    let restored = folder.path().join("restored");
    for cut in [0, 5, 100, 4_096, whole.len() / 4, whole.len() / 2] {
        std::fs::write(&backup, &whole[..cut]).unwrap();
        let error = Store::restore(&backup, &restored).unwrap_err();
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Format), "{cut}: {error:?}");
        assert!(error.to_string().contains("backup"), "{error}");
        assert!(!restored.exists(), "{cut}");
    }
    let mut damaged = whole.clone();
    let text = b"{\"number\":77,";
    let found: Vec<_> = (0..whole.len()).filter(|at| whole[*at..].starts_with(text)).collect();
    found.iter().for_each(|at| damaged[at + 3] ^= 1);
    std::fs::write(&backup, damaged).unwrap();
    let error = Store::restore(&backup, &restored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("78"), "{error}");
    std::fs::write(&backup, whole).unwrap();
    assert_eq!(Store::restore(&backup, &restored).unwrap().events, 200);
    assert!(Store::restore(&backup, &restored).is_err());
}
