//! redb as its users begin with it: a row per event, and a table per index. Each publisher makes
//! its own commit, or one thread makes them for all.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use nexus_events_dispatch::store::Ack;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::runtime::Handle;

use super::group::Group;
use super::{Counts, Peer};
use crate::row::Row;

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const BY_TYPE: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("by_type");
const BY_KEY: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("by_key");
const BY_CORRELATION: TableDefinition<'_, ([u8; 16], u64), ()> =
    TableDefinition::new("by_correlation");

struct Each {
    database: Arc<Database>,
    durability: Durability,
    commits: Arc<AtomicU64>,
}

struct Grouped {
    group: Group,
    database: Arc<Database>,
    durability: Durability,
}

fn database(folder: &Path) -> Arc<Database> {
    let database = Database::create(folder.join("events.redb")).expect("a database");
    Arc::new(database)
}

fn durability(ack: Ack) -> Durability {
    if ack == Ack::Memory { Durability::None } else { Durability::Immediate }
}

pub(super) fn open_each(folder: &Path, ack: Ack, _: &Handle) -> Box<dyn Peer> {
    let (database, durability) = (database(folder), durability(ack));
    Box::new(Each { database, durability, commits: Arc::default() })
}

pub(super) fn open(folder: &Path, ack: Ack, _: &Handle) -> Box<dyn Peer> {
    let (database, durability) = (database(folder), durability(ack));
    let of_writer = database.clone();
    let group = Group::new(move |rows| commit(&of_writer, durability, rows));
    Box::new(Grouped { group, database, durability })
}

fn commit(database: &Database, durability: Durability, rows: &[Arc<Row>]) {
    let mut txn = database.begin_write().expect("a transaction");
    txn.set_durability(durability).expect("a durability");
    {
        let mut events = txn.open_table(EVENTS).expect("a table");
        let mut by_type = txn.open_table(BY_TYPE).expect("a table");
        let mut by_key = txn.open_table(BY_KEY).expect("a table");
        let mut by_correlation = txn.open_table(BY_CORRELATION).expect("a table");
        let first = events.last().expect("a look").map_or(1, |(offset, _)| offset.value() + 1);
        for (next, row) in (first..).zip(rows) {
            events.insert(next, row.payload.as_bytes()).expect("an insert");
            by_type.insert((&*row.event_type, next), ()).expect("an insert");
            by_key.insert((&*row.key, next), ()).expect("an insert");
            by_correlation.insert((row.correlation, next), ()).expect("an insert");
        }
    }
    txn.commit().expect("a commit");
}

fn read(database: &Database) -> u64 {
    let txn = database.begin_read().expect("a transaction");
    let table = txn.open_table(EVENTS).expect("a table");
    let mut events = 0;
    for row in table.iter().expect("rows") {
        let (offset, payload) = row.expect("a row");
        std::hint::black_box((offset.value(), payload.value().to_vec()));
        events += 1;
    }
    events
}

impl Peer for Each {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        let (database, durability, commits) =
            (self.database.clone(), self.durability, self.commits.clone());
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || commit(&database, durability, &[row]));
            done.await.expect("a commit");
            commits.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn commit(&self, rows: &[Arc<Row>]) {
        commit(&self.database, self.durability, rows);
    }

    fn read(&self) -> u64 {
        read(&self.database)
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.commits.load(Ordering::Relaxed), ..Counts::default() }
    }
}

impl Peer for Grouped {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        self.group.append(row)
    }

    fn commit(&self, rows: &[Arc<Row>]) {
        commit(&self.database, self.durability, rows);
    }

    fn read(&self) -> u64 {
        read(&self.database)
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.group.commits(), ..Counts::default() }
    }
}
