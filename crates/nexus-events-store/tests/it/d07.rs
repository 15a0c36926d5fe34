//! A disk whose sync fails: what was answered stays, and nothing is answered after it.

use std::path::Path;
use std::sync::atomic::Ordering;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{Append, EventStore, Read};
use nexus_events_store::Store;

use crate::memory::Memory;
use crate::support::{all, event, number};

#[tokio::test]
async fn d07_after_the_failed_sync_nothing_is_answered_and_all_before_it_is_there() {
    for k in 1..=100 {
        let memory = Memory::new();
        let path = Path::new("events.nexus");
        let store = Store::open_on(memory.clone(), path).unwrap();
        let opened = memory.faults().syncs.load(Ordering::SeqCst);
        memory.faults().sync.store(opened + k, Ordering::SeqCst);
        let (mut answered, mut failed) = (Vec::new(), 0);
        for round in 0..150 {
            let both = [round * 2, round * 2 + 1]
                .map(|number| (number, store.append(Append::of(event(number)))));
            for (number, append) in both {
                match append.await {
                    Ok(_) if failed == 0 => answered.push(number),
                    Ok(_) => panic!("sync {k}: {number} is answered after a failure"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                        failed += 1;
                    }
                }
            }
        }
        assert!(failed > 0 && store.stats().poisoned, "sync {k}");
        assert_eq!(store.read(Read::all()).await.unwrap_err().kind(), ErrorKind::Poisoned);
        drop(store);
        let store = Store::open_on(memory.healed(), path).unwrap();
        let there: Vec<u64> = all(&store, Read::all()).await.iter().map(number).collect();
        assert!(there.starts_with(&answered), "sync {k}: {answered:?} in {there:?}");
        assert!(there.len() <= answered.len() + 2, "sync {k}");
    }
}

#[tokio::test]
async fn d07_those_who_wait_for_events_are_told() {
    let memory = Memory::new();
    let store = Store::open_on(memory.clone(), "events.nexus").unwrap();
    let next = memory.faults().syncs.load(Ordering::SeqCst) + 1;
    memory.faults().sync.store(next, Ordering::SeqCst);
    let waits = store.wait_past(store.bounds().last);
    let (append, waited) = tokio::join!(store.append(Append::of(event(1))), waits);
    assert_eq!(append.unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(store.close().await.unwrap_err().kind(), ErrorKind::Poisoned);
}
