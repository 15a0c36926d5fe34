//! What is seen after an append at each ack level.

use nexus_events_dispatch::store::{Ack, Append, Read};

use super::candidate::Candidate;
use super::kit::{all, appending, event, ids, offset};
use super::outcomes::Done;

async fn is_seen_at(it: &Candidate, ack: Ack) -> Done {
    let append = Append::new().keyed_event("k", event(1)).put("a", "k", "v").ack(ack);
    let appended = it.store().append(append).await?;
    assert_eq!(appended.last, offset(1));
    it.store().wait_past(appended.last.before()).await?;
    assert_eq!(ids(&all(&**it.store(), Read::all()).await?), ["evt-1"]);
    Ok(())
}

pub(super) async fn memory(it: Candidate) -> Done {
    is_seen_at(&it, Ack::Memory).await
}

pub(super) async fn buffered(it: Candidate) -> Done {
    is_seen_at(&it, Ack::Buffered).await
}

pub(super) async fn synced(it: Candidate) -> Done {
    is_seen_at(&it, Ack::Synced).await
}

pub(super) async fn what_the_highest_level_has_acked_is_seen_at_once(it: Candidate) -> Done {
    let store = it.store();
    let append = Append::new().keyed_event("k", event(1)).put("a", "k", "v").ack(Ack::Synced);
    store.append(append).await?;
    assert_eq!(store.bounds().last, offset(1));
    assert_eq!(store.read(Read::all()).await?.events.len(), 1);
    assert_eq!(store.key_version("k").await?, 1);
    assert!(store.get("a", b"k").await?.is_some());
    Ok(())
}

pub(super) async fn mixed_levels_keep_their_order(it: Candidate) -> Done {
    let store = it.store();
    let levels = [Ack::Synced, Ack::Memory, Ack::Buffered, Ack::Memory, Ack::Synced];
    for (n, ack) in (1..).zip(levels) {
        assert_eq!(store.append(Append::of(event(n)).ack(ack)).await?.first, offset(n));
    }
    let expected = ["evt-1", "evt-2", "evt-3", "evt-4", "evt-5"];
    assert_eq!(ids(&all(&**store, Read::all()).await?), expected);
    Ok(())
}

pub(super) async fn a_later_append_meets_an_earlier_one(it: Candidate) -> Done {
    use nexus_events_dispatch::store::Expected::Exact;
    let store = it.store();
    let first = Append::new().keyed_event("k", event(1)).put("a", "k", "1").ack(Ack::Memory);
    let version = store.append(first).await?.version;
    let second = Append::new().keyed_event("k", event(2)).expect_key("k", Exact(1));
    store.append(second.put_if(Exact(version), "a", "k", "2")).await?;
    assert_eq!(store.key_version("k").await?, 2);
    Ok(())
}

pub(super) async fn close_keeps_what_was_acked_in_memory(it: Candidate) -> Done {
    it.can_reopen()?;
    it.store().append(appending(3).put("a", "k", "v").ack(Ack::Memory)).await?;
    let it = it.reopened().await?;
    assert_eq!(it.store().bounds().last, offset(3));
    assert!(it.store().get("a", b"k").await?.is_some());
    Ok(())
}
