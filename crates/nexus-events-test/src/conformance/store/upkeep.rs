//! Verify, compact, numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events_dispatch::ErrorKind::{Conflict, Unsupported};
use nexus_events_dispatch::store::{Append, Expected, Progress, Read, Retention};

use super::candidate::{Candidate, Stop, skipped};
use super::kit::{all, event, fill, numbers, refused, upto};
use super::outcomes::Done;

pub(super) async fn an_empty_store_is_sound(it: Candidate) -> Done {
    let found = it.store().verify(Progress::none()).await?;
    assert!(found.is_sound());
    assert_eq!((found.events, found.states), (0, 0));
    Ok(())
}

pub(super) async fn all_that_is_there_is_verified(it: Candidate) -> Done {
    fill(&**it.store(), 7).await?;
    it.store().append(Append::of(event(8)).put("a", "1", "v").put("a", "2", "v")).await?;
    it.store().append(Append::new().delete("a", "1")).await?;
    it.store().trim(Retention::new().events(5)).await?;
    let found = it.store().verify(Progress::none()).await?;
    assert!(found.is_sound(), "{:?}", found.damage);
    assert_eq!((found.events, found.states), (5, 1));
    Ok(())
}

pub(super) async fn a_verify_says_how_far_it_is(it: Candidate) -> Done {
    fill(&**it.store(), 100).await?;
    let (done_last, total_last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let told = (Arc::clone(&done_last), Arc::clone(&total_last));
    let progress = Progress::new(move |done, total| {
        assert!(done <= total, "{done} of {total}");
        assert!(told.0.swap(done, Ordering::Relaxed) <= done, "it went back");
        told.1.store(total, Ordering::Relaxed);
    });
    it.store().verify(progress).await?;
    let (done, total) = (done_last.load(Ordering::Relaxed), total_last.load(Ordering::Relaxed));
    assert!(done == total && total > 0, "it ended at {done} of {total}");
    Ok(())
}

pub(super) async fn who_cannot_compact_says_so(it: Candidate) -> Done {
    it.claims(|can| !can.compaction, "a store without compaction")?;
    refused(it.store().compact(Progress::none()).await, Unsupported);
    Ok(())
}

pub(super) async fn a_compact_loses_nothing(it: Candidate) -> Done {
    it.claims(|can| can.compaction, "compaction")?;
    fill(&**it.store(), 200).await?;
    it.store().append(Append::new().put("a", "k", "v").idempotency_key("once")).await?;
    it.store().trim(Retention::new().events(20)).await?;
    it.store().compact(Progress::none()).await?;
    assert_eq!(numbers(&all(&**it.store(), Read::all()).await?), upto(181, 200));
    assert!(it.store().get("a", b"k").await?.is_some());
    assert!(it.store().append(Append::new().idempotency_key("once")).await?.duplicate);
    assert_eq!(fill(&**it.store(), 1).await?.first.number(), 201);
    Ok(())
}

/// What the store counts, or the case does not apply.
fn counts(what: &str, counted: u64, expected: u64) -> Done {
    match counted {
        0 if expected > 0 => Err(skipped(format!("a store that counts {what}"))),
        _ => {
            assert_eq!(counted, expected, "{what}");
            Ok(())
        }
    }
}

async fn used(it: &Candidate) -> Result<(), Stop> {
    let store = it.store();
    for n in 1..=4 {
        let append = Append::new().keyed_event("k", event(n)).event(event(n));
        store.append(append.idempotency_key(format!("key-{n}"))).await?;
    }
    store.append(Append::of(event(1)).idempotency_key("key-1")).await?;
    refused(store.append(Append::of(event(1)).expect_key("k", Expected::Absent)).await, Conflict);
    let long = "x".repeat(256);
    assert!(store.append(Append::of(event(1)).idempotency_key(long)).await.is_err());
    store.trim(Retention::new().events(5)).await?;
    Ok(())
}

pub(super) async fn events_are_counted(it: Candidate) -> Done {
    used(&it).await?;
    counts("events", it.store().stats().events, 5)
}

pub(super) async fn appends_are_counted(it: Candidate) -> Done {
    used(&it).await?;
    counts("appends", it.store().stats().appends, 4)
}

pub(super) async fn duplicates_are_counted(it: Candidate) -> Done {
    used(&it).await?;
    counts("duplicates", it.store().stats().duplicates, 1)
}

pub(super) async fn refused_appends_are_counted(it: Candidate) -> Done {
    used(&it).await?;
    counts("refused appends", it.store().stats().refused, 2)
}

pub(super) async fn idempotency_keys_are_counted(it: Candidate) -> Done {
    used(&it).await?;
    counts("idempotency keys", it.store().stats().idempotency_keys, 4)
}

pub(super) async fn commits_are_at_most_appends(it: Candidate) -> Done {
    used(&it).await?;
    let stats = it.store().stats();
    if stats.commits == 0 {
        return Err(skipped("a store that counts commits"));
    }
    assert!(stats.commits <= 4, "{} commits of 4 appends", stats.commits);
    Ok(())
}

pub(super) async fn nothing_waits_in_a_store_at_rest(it: Candidate) -> Done {
    used(&it).await?;
    let stats = it.store().stats();
    assert!(!stats.poisoned && stats.waiting == 0);
    Ok(())
}

pub(super) async fn bytes_grow_and_shrink(it: Candidate) -> Done {
    fill(&**it.store(), 1).await?;
    let few = it.store().stats().bytes;
    if few == 0 {
        return Err(skipped("a store that counts bytes"));
    }
    fill(&**it.store(), 500).await?;
    let many = it.store().stats().bytes;
    assert!(many > few, "{many} bytes of 501 events, {few} of one");
    it.store().trim(Retention::new().events(1)).await?;
    let left = it.store().stats().bytes;
    assert!(left < many, "{left} bytes of one event, {many} of 501");
    Ok(())
}
