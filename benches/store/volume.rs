//! Many events: appended, opened again, all of them read back and compared.

use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use nexus_events_dispatch::store::{Append, EventStore, Read};
use nexus_events_store::Store;
use tokio::runtime::Runtime;

use crate::place::Place;
use crate::process::peak_memory;
use crate::results::{Part, Volume, Watch};
use crate::row::Row;

/// Events of an append, and appends that wait for their answers.
const BATCH: u64 = 1_024;
const IN_FLIGHT: usize = 8;

pub(crate) fn measure(runtime: &Runtime, events: u64) -> Part<Volume> {
    let mut watch = Watch::begin();
    watch.look_at_the_disk();
    let place = Place::new("volume");
    let path = place.path().join("events.nexus");
    let began = Instant::now();
    let store = Store::open(&path).expect("a store");
    runtime.block_on(append(&store, events));
    let append_seconds = began.elapsed().as_secs_f64();
    let peak_after_append = peak_memory();
    eprintln!("volume: appended in {append_seconds:.1} s");
    let began = Instant::now();
    drop(store);
    let close_seconds = began.elapsed().as_secs_f64();
    let file_bytes = std::fs::metadata(&path).expect("a file").len();
    let began = Instant::now();
    let store = Store::open(&path).expect("a store");
    let open_seconds = began.elapsed().as_secs_f64();
    let began = Instant::now();
    runtime.block_on(read_back(&store, events));
    let read_seconds = began.elapsed().as_secs_f64();
    watch.end(Volume {
        events,
        append_seconds,
        close_seconds,
        open_seconds,
        read_seconds,
        file_bytes,
        peak_after_append,
        peak_after_read: peak_memory(),
    })
}

async fn append(store: &Store, events: u64) {
    let mut waiting = FuturesOrdered::new();
    let mut done = 0;
    while done < events {
        let end = (done + BATCH).min(events);
        let append = (done..end).fold(Append::new(), |append, n| Row::new(n).put_into(append));
        waiting.push_back(store.append(append));
        done = end;
        if waiting.len() >= IN_FLIGHT {
            waiting.next().await.expect("one waits").expect("an append that is taken");
        }
    }
    while let Some(appended) = waiting.next().await {
        appended.expect("an append that is taken");
    }
}

async fn read_back(store: &Store, events: u64) {
    let (mut next, mut number) = (Some(Read::all().events(4_096).bytes(16 << 20)), 0);
    while let Some(read) = next {
        let page = store.read(read).await.expect("a page");
        for stored in page.events {
            let row = Row::new(number);
            number += 1;
            assert_eq!(stored.offset.number(), number, "no gap");
            let same = stored.event.id() == row.event.id()
                && stored.event.event_type() == row.event.event_type()
                && stored.event.correlation_id() == row.event.correlation_id()
                && stored.key.as_deref() == Some(&*row.key)
                && stored.event.payload().json().expect("a payload") == row.payload;
            assert!(same, "event {number} is as it was");
        }
        next = page.next;
    }
    assert_eq!(number, events, "all of them");
}
