//! SQLite in WAL mode, a table with three indexes, statements prepared once, one thread that
//! commits for all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nexus_events_dispatch::store::Ack;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::runtime::Handle;

use super::group::Group;
use super::{Counts, Peer};
use crate::row::Row;

const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, type TEXT, key TEXT, correlation BLOB, payload BLOB);
CREATE INDEX IF NOT EXISTS by_type ON events (type);
CREATE INDEX IF NOT EXISTS by_key ON events (key);
CREATE INDEX IF NOT EXISTS by_correlation ON events (correlation);";
const INSERT: &str = "INSERT INTO events (type, key, correlation, payload) VALUES (?1, ?2, ?3, ?4)";

struct Sqlite {
    group: Group,
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

pub(super) fn open(folder: &Path, ack: Ack, _: &Handle) -> Box<dyn Peer> {
    let path = folder.join("events.sqlite");
    let connection = Connection::open(&path).expect("a database");
    let synchronous = if ack == Ack::Synced { "FULL" } else { "OFF" };
    connection.pragma_update(None, "journal_mode", "WAL").expect("a journal mode");
    connection.pragma_update(None, "synchronous", synchronous).expect("a mode of syncs");
    connection.execute_batch(TABLES).expect("tables");
    let connection = Arc::new(Mutex::new(connection));
    let of_writer = connection.clone();
    let group = Group::new(move |rows| commit(&mut of_writer.lock(), rows));
    Box::new(Sqlite { group, connection, path })
}

fn commit(connection: &mut Connection, rows: &[Arc<Row>]) {
    let txn = connection.transaction().expect("a transaction");
    {
        let mut insert = txn.prepare_cached(INSERT).expect("a statement");
        for row in rows {
            let fields =
                (&*row.event_type, &*row.key, &row.correlation[..], row.payload.as_bytes());
            insert.execute(fields).expect("an insert");
        }
    }
    txn.commit().expect("a commit");
}

impl Peer for Sqlite {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        self.group.append(row)
    }

    fn commit(&self, rows: &[Arc<Row>]) {
        commit(&mut self.connection.lock(), rows);
    }

    fn read(&self) -> u64 {
        let connection = Connection::open(&self.path).expect("a database");
        let mut select = connection
            .prepare("SELECT position, payload FROM events ORDER BY position")
            .expect("a statement");
        let mut rows = select.query(()).expect("rows");
        let mut events = 0;
        while let Some(row) = rows.next().expect("a row") {
            let payload: Vec<u8> = row.get(1).expect("a payload");
            std::hint::black_box(payload);
            events += 1;
        }
        events
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.group.commits(), ..Counts::default() }
    }
}
