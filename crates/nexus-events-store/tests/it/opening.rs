//! What may be at a path.

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::EventStore;
use nexus_events_store::Store;

use crate::support::{Folder, put};

#[track_caller]
fn refused(path: impl AsRef<std::path::Path>, kind: ErrorKind, text: &str) {
    let error = Store::open(path).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn a_second_one_is_refused_until_the_first_is_closed() {
    let folder = Folder::new();
    let store = folder.store();
    refused(folder.file(), ErrorKind::InUse, "events.nexus");
    put(&store, 1).await;
    store.close().await.unwrap();
    let again = folder.store();
    assert_eq!(again.bounds().len(), 1);
    assert_eq!(
        store.append(nexus_events_dispatch::store::Append::new()).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(store.wait_past(again.bounds().last).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn what_is_no_store_is_named() {
    let folder = Folder::new();
    refused(folder.path(), ErrorKind::Format, "is a folder");
    refused(folder.path().join("no/such"), ErrorKind::Store, "folder does not exist");
    for (name, bytes) in [("empty", &b""[..]), ("short", b"re"), ("text", &[b'x'; 10_000])] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        refused(&path, ErrorKind::Format, "is not a store");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    let path = folder.path().join("cut");
    std::fs::write(&path, b"redb\x1a\x0a\xa9\x0d\x0a").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format), "{error:?}");
}

#[test]
fn a_database_of_another_program_stays_as_it_is() {
    let folder = Folder::new();
    let database = redb::Database::create(folder.file()).unwrap();
    let txn = database.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    txn.open_table(table).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    refused(folder.file(), ErrorKind::Format, "of another program");
}

#[test]
fn a_newer_version_is_named() {
    let folder = Folder::new();
    drop(folder.store());
    let database = redb::Database::open(folder.file()).unwrap();
    let txn = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    txn.open_table(meta).unwrap().insert("version", &2_u32.to_le_bytes()[..]).unwrap();
    txn.commit().unwrap();
    drop(database);
    refused(folder.file(), ErrorKind::Format, "version 2");
}

#[test]
fn what_was_left_while_a_store_was_made_goes() {
    let folder = Folder::new();
    let left = folder.path().join("events.nexus.new");
    std::fs::write(&left, "half").unwrap();
    drop(folder.store());
    assert!(!left.exists());
    std::fs::write(&left, "half").unwrap();
    drop(folder.store());
    assert!(!left.exists());
}

#[tokio::test]
async fn closing_twice_answers_the_same() {
    let folder = Folder::new();
    let store = folder.store();
    let appends: Vec<_> = (0..5)
        .map(|n| store.append(nexus_events_dispatch::store::Append::of(crate::support::event(n))))
        .collect();
    let first = store.close().await.unwrap();
    assert_eq!(store.close().await.unwrap(), first);
    for append in appends {
        append.await.unwrap();
    }
    drop(store);
    assert_eq!(folder.store().bounds().len(), 5);
}
