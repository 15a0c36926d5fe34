//! Nexus events: publishers append events to the store and wait for its answers.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nexus_events_dispatch::store::{Ack, Append, EventStore, Read};
use nexus_events_store::Store;
use tokio::runtime::Handle;

use super::medium::Counting;
use super::{Counts, Peer};
use crate::row::Row;

/// Events a page.
const PAGE: usize = 4_096;

struct Ours {
    store: Store,
    medium: Counting,
    ack: Ack,
    runtime: Handle,
}

pub(super) fn open(folder: &Path, ack: Ack, runtime: &Handle) -> Box<dyn Peer> {
    let medium = Counting::default();
    let path = folder.join("events.nexus");
    let store = Store::open_on(Arc::new(medium.clone()), path).expect("a store");
    Box::new(Ours { store, medium, ack, runtime: runtime.clone() })
}

impl Peer for Ours {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        let appended = self.store.append(row.put_into(Append::new()).ack(self.ack));
        Box::pin(async move {
            appended.await.expect("an append that is taken");
        })
    }

    fn commit(&self, rows: &[Arc<Row>]) {
        let append = rows.iter().fold(Append::new(), |append, row| row.put_into(append));
        let appended = self.store.append(append.ack(self.ack));
        self.runtime.block_on(appended).expect("an append that is taken");
    }

    fn read(&self) -> u64 {
        self.runtime.block_on(async {
            let (mut next, mut events) = (Some(Read::all().events(PAGE).bytes(16 << 20)), 0);
            while let Some(read) = next {
                let page = self.store.read(read).await.expect("a page");
                events += page.events.len() as u64;
                next = page.next;
            }
            events
        })
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.store.stats().commits, ..self.medium.counts() }
    }
}
