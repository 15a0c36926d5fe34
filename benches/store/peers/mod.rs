//! Those who are measured, each in its own file.

mod fjall;
mod group;
pub(crate) mod medium;
mod nats;
mod ours;
mod redb;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nexus_events_dispatch::store::Ack;
use tokio::runtime::Handle;

use crate::row::Row;

/// What was done since a peer was opened. What it does not tell is zero.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_nanos: u64,
    pub(crate) bytes: u64,
}

/// A store that is open.
pub(crate) trait Peer: Send + Sync {
    /// Stores one, and returns when it is as safe as was asked for.
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()>;

    /// Stores these in one commit.
    fn commit(&self, rows: &[Arc<Row>]);

    /// Reads everything from the oldest on; how many there were.
    fn read(&self) -> u64;

    fn counts(&self) -> Counts;

    /// Where bytes are counted, when not in this process.
    fn process(&self) -> Option<u32> {
        None
    }
}

type Open = fn(&Path, Ack, &Handle) -> Box<dyn Peer>;

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What it can wait for, in its own words.
    pub(crate) acks: &'static [(Ack, &'static str)],
    pub(crate) open: Open,
    /// Takes part in appends only; the file is the same as another one's.
    pub(crate) appends_only: bool,
    /// Runs in this process, so that it can be killed with it.
    pub(crate) embedded: bool,
}

pub(crate) const OURS: &str = "ours";
pub(crate) const REDB_EACH: &str = "redb, each its own commit";
pub(crate) const REDB_GROUPED: &str = "redb, grouped";
pub(crate) const SQLITE: &str = "SQLite, grouped";
pub(crate) const FJALL: &str = "fjall, grouped";
pub(crate) const JETSTREAM: &str = "JetStream";

const ALL: [Kind; 6] = [
    Kind {
        name: OURS,
        acks: &[(Ack::Memory, "Memory"), (Ack::Buffered, "Buffered"), (Ack::Synced, "Synced")],
        open: ours::open,
        appends_only: false,
        embedded: true,
    },
    Kind {
        name: REDB_EACH,
        acks: &[(Ack::Synced, "Durability::Immediate")],
        open: redb::open_each,
        appends_only: true,
        embedded: true,
    },
    Kind {
        name: REDB_GROUPED,
        acks: &[(Ack::Memory, "Durability::None"), (Ack::Synced, "Durability::Immediate")],
        open: redb::open,
        appends_only: false,
        embedded: true,
    },
    Kind {
        name: SQLITE,
        acks: &[(Ack::Buffered, "synchronous=OFF"), (Ack::Synced, "synchronous=FULL")],
        open: sqlite::open,
        appends_only: false,
        embedded: true,
    },
    Kind {
        name: FJALL,
        acks: &[(Ack::Buffered, "PersistMode::Buffer"), (Ack::Synced, "PersistMode::SyncData")],
        open: fjall::open,
        appends_only: false,
        embedded: true,
    },
    Kind {
        name: JETSTREAM,
        acks: &[(Ack::Buffered, "sync_interval: 2m"), (Ack::Synced, "sync_interval: always")],
        open: nats::open,
        appends_only: false,
        embedded: false,
    },
];

/// Those that are here, and a complaint about those that are not.
pub(crate) fn all() -> (Vec<Kind>, Option<String>) {
    let mut all = Vec::from(ALL);
    let missing = nats::version().is_none().then(|| {
        all.retain(|kind| kind.name != JETSTREAM);
        format!("{JETSTREAM} is skipped: no nats-server on the PATH, nor in NATS_SERVER")
    });
    (all, missing)
}

pub(crate) fn server_version() -> Option<String> {
    nats::version()
}
