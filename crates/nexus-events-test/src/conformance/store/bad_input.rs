//! The longest and largest that is taken.

use std::sync::{Arc, Weak};

use nexus_events_dispatch::ErrorKind::{Conflict, TooLarge};
use nexus_events_dispatch::store::{Append, EventStore, Expected, Read, Retention};

use super::candidate::Candidate;
use super::kit::{all, built, draft, event, ids, large, offset};
use super::outcomes::Done;
use crate::limits::{TRIED_BYTES_MAX, TRIED_EVENTS_MAX};

pub(super) async fn the_longest_key(it: Candidate) -> Done {
    let key = "é".repeat(127) + "x";
    assert_eq!(key.len(), 255);
    it.store().append(Append::new().keyed_event(key.clone(), event(1))).await?;
    assert_eq!(it.store().key_version(&key).await?, 1);
    assert_eq!(all(&**it.store(), Read::all()).await?[0].key.as_deref(), Some(&*key));
    Ok(())
}

pub(super) async fn a_key_too_long_to_be_there_has_no_version(it: Candidate) -> Done {
    assert_eq!(it.store().key_version(&"x".repeat(100_000)).await?, 0);
    Ok(())
}

pub(super) async fn state_too_long_to_be_there_is_none(it: Candidate) -> Done {
    let long = "x".repeat(100_000);
    assert_eq!(it.store().get(&long, long.as_bytes()).await?, None);
    let scan = nexus_events_dispatch::store::Scan::of(long.clone());
    assert_eq!(it.store().scan(scan.prefix(long.clone()).after(long)).await?, []);
    Ok(())
}

pub(super) async fn as_many_events_as_promised(it: Candidate) -> Done {
    it.claims(|can| can.append_events_max <= TRIED_EVENTS_MAX, "a bound on events to reach")?;
    let most = it.store().capabilities().append_events_max;
    let one = event(1);
    let append = (0..most).fold(Append::new(), |append, _| append.event(one.clone()));
    assert_eq!(it.store().append(append).await?.last, offset(most as u64));
    Ok(())
}

pub(super) async fn nearly_as_many_bytes_as_promised(it: Candidate) -> Done {
    it.claims(|can| can.append_bytes_max <= TRIED_BYTES_MAX, "a bound on bytes to reach")?;
    let most = it.store().capabilities().append_bytes_max;
    let one = large(1, 500_000);
    let count = most / 4 * 3 / one.size();
    let append = (0..count).fold(Append::new(), |append, _| append.event(one.clone()));
    assert_eq!(it.store().append(append).await?.last, offset(count as u64));
    Ok(())
}

/// More than an event may have when it is read as JSON: taken and kept, or refused.
pub(super) async fn an_event_larger_than_can_be_read_as_json(it: Candidate) -> Done {
    let huge = large(1, 3 << 20);
    match it.store().append(Append::of(huge.clone())).await {
        Ok(_) => assert!(all(&**it.store(), Read::all()).await?[0].event == huge),
        Err(error) => {
            assert_eq!(error.kind(), TooLarge, "{error}");
            assert!(it.store().bounds().is_empty());
        }
    }
    it.store().append(Append::of(event(2))).await?;
    assert_eq!(ids(&all(&**it.store(), Read::all().backward()).await?)[0], "evt-2");
    Ok(())
}

/// A payload that looks at the store it was in when it is dropped.
struct Looks(Weak<dyn EventStore>);

impl Drop for Looks {
    fn drop(&mut self) {
        if let Some(store) = self.0.upgrade() {
            let _ = (store.bounds(), store.stats());
        }
    }
}

impl serde::Serialize for Looks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_struct("Looks")
    }
}

pub(super) async fn payloads_that_look_at_the_store_when_dropped(it: Candidate) -> Done {
    let store = it.store();
    let looks = || built(draft(1).typed(Looks(Arc::downgrade(store))));
    let append = || Append::of(looks()).idempotency_key("once");
    store.append(append()).await?;
    // A duplicate, a refused one, one that is removed.
    assert!(store.append(append()).await?.duplicate);
    let refused = Append::of(looks()).expect_key("k", Expected::Present);
    super::kit::refused(store.append(refused).await, Conflict);
    store.trim(Retention::new().events(0)).await?;
    Ok(())
}
