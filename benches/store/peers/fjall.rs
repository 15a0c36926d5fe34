//! fjall: a keyspace of events and one for each index, written by one batch per commit.

use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use futures_util::future::BoxFuture;
use nexus_events_dispatch::store::Ack;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::group::Group;
use super::{Counts, Peer};
use crate::row::Row;

struct Fjall {
    group: Group,
    tables: Arc<Mutex<Tables>>,
    events: Keyspace,
}

struct Tables {
    database: Database,
    events: Keyspace,
    by_type: Keyspace,
    by_key: Keyspace,
    by_correlation: Keyspace,
    mode: PersistMode,
    next: u64,
}

pub(super) fn open(folder: &Path, ack: Ack, _: &Handle) -> Box<dyn Peer> {
    let database = Database::builder(folder.join("fjall")).open().expect("a database");
    let keyspace =
        |name: &str| database.keyspace(name, KeyspaceCreateOptions::default).expect("a keyspace");
    let events = keyspace("events");
    let last = events.last_key_value().map(|last| last.key().expect("a key"));
    let last = last.and_then(|key| Some(u64::from_be_bytes(key.as_ref().try_into().ok()?)));
    let tables = Tables {
        events: events.clone(),
        by_type: keyspace("by_type"),
        by_key: keyspace("by_key"),
        by_correlation: keyspace("by_correlation"),
        mode: if ack == Ack::Synced { PersistMode::SyncData } else { PersistMode::Buffer },
        next: last.unwrap_or_default() + 1,
        database,
    };
    let tables = Arc::new(Mutex::new(tables));
    let of_writer = tables.clone();
    let group = Group::new(move |rows| of_writer.lock().commit(rows));
    Box::new(Fjall { group, tables, events })
}

/// What is looked for, then where it is.
fn entry(text: &[u8], offset: [u8; 8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(text.len() + 9);
    entry.extend_from_slice(text);
    entry.push(0);
    entry.extend_from_slice(&offset);
    entry
}

impl Tables {
    fn commit(&mut self, rows: &[Arc<Row>]) {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for row in rows {
            let offset = self.next.to_be_bytes();
            self.next += 1;
            batch.insert(&self.events, offset, row.payload.as_bytes());
            batch.insert(&self.by_type, entry(row.event_type.as_bytes(), offset), []);
            batch.insert(&self.by_key, entry(row.key.as_bytes(), offset), []);
            batch.insert(&self.by_correlation, entry(&row.correlation, offset), []);
        }
        batch.commit().expect("a commit");
    }
}

impl Peer for Fjall {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        self.group.append(row)
    }

    fn commit(&self, rows: &[Arc<Row>]) {
        self.tables.lock().commit(rows);
    }

    fn read(&self) -> u64 {
        let mut events = 0;
        for row in self.events.iter() {
            let (offset, payload) = row.into_inner().expect("a row");
            std::hint::black_box((offset, payload.to_vec()));
            events += 1;
        }
        events
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.group.commits(), ..Counts::default() }
    }
}
