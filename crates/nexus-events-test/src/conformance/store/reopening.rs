//! A store that was closed and opened again.

use std::time::Duration;

use nexus_events_dispatch::ErrorKind::{Conflict, Trimmed};
use nexus_events_dispatch::store::Expected::Exact;
use nexus_events_dispatch::store::{Append, Cursor, CursorInfo, Follow, Read, Retention};

use super::candidate::Candidate;
use super::kit::{Contents, event, fill, offset, refused, upto};
use super::outcomes::Done;

pub(super) async fn an_empty_store(it: Candidate) -> Done {
    it.can_reopen()?;
    let bounds = it.store().bounds();
    let it = it.reopened().await?;
    assert_eq!(it.store().bounds(), bounds);
    Ok(())
}

pub(super) async fn everything_is_there(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 300).await?;
    let append = Append::new().keyed_event("k", event(1)).put("a", "k", "v").put("b", [0, 255], "");
    it.store().append(append).await?;
    let contents = Contents::of(&**it.store(), &["a", "b"], &["k", "l"]).await?;
    let bounds = it.store().bounds();
    let it = it.reopened().await?;
    assert_eq!(it.store().bounds(), bounds, "the epoch is the same too");
    assert_eq!(Contents::of(&**it.store(), &["a", "b"], &["k", "l"]).await?, contents);
    Ok(())
}

pub(super) async fn offsets_go_on(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 3).await?;
    let mut it = it.reopened().await?;
    for n in 4..8 {
        assert_eq!(fill(&**it.store(), 1).await?.first, offset(n));
        it = it.reopened().await?;
    }
    Ok(())
}

pub(super) async fn offsets_go_on_after_all_was_removed(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 3).await?;
    it.store().trim(Retention::new().events(0)).await?;
    let it = it.reopened().await?;
    assert_eq!((it.store().bounds().first, it.store().bounds().last), (offset(4), offset(3)));
    assert_eq!(fill(&**it.store(), 1).await?.first, offset(4));
    Ok(())
}

pub(super) async fn what_was_removed_stays_removed(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 10).await?;
    it.store().append(Append::new().put("a", "k", "v")).await?;
    it.store().append(Append::new().delete("a", "k")).await?;
    it.store().trim(Retention::new().events(4)).await?;
    let it = it.reopened().await?;
    assert_eq!(it.store().bounds().first, offset(7));
    assert_eq!(it.store().get("a", b"k").await?, None);
    refused(it.store().read(Read::after(offset(3))).await, Trimmed);
    Ok(())
}

pub(super) async fn versions_of_commits_go_on(it: Candidate) -> Done {
    it.can_reopen()?;
    let before = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    let it = it.reopened().await?;
    let after =
        it.store().append(Append::new().put_if(Exact(before), "a", "k", "2")).await?.version;
    assert!(after > before, "{after} after {before}");
    Ok(())
}

pub(super) async fn a_version_never_comes_again(it: Candidate) -> Done {
    it.can_reopen()?;
    let before = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    it.store().append(Append::new().delete("a", "k")).await?;
    let it = it.reopened().await?;
    it.store().append(Append::new().put("a", "k", "2")).await?;
    refused(it.store().append(Append::new().put_if(Exact(before), "a", "k", "3")).await, Conflict);
    Ok(())
}

pub(super) async fn versions_of_keys_are_remembered(it: Candidate) -> Done {
    it.can_reopen()?;
    it.store().append(Append::new().keyed_event("k", event(1)).keyed_event("k", event(2))).await?;
    let it = it.reopened().await?;
    assert_eq!(it.store().key_version("k").await?, 2);
    let append = |expected| Append::new().keyed_event("k", event(3)).expect_key("k", expected);
    refused(it.store().append(append(Exact(1))).await, Conflict);
    it.store().append(append(Exact(2))).await?;
    Ok(())
}

pub(super) async fn versions_of_keys_outlive_their_events(it: Candidate) -> Done {
    it.can_reopen()?;
    it.store().append(Append::new().keyed_event("k", event(1))).await?;
    it.store().trim(Retention::new().events(0)).await?;
    let it = it.reopened().await?;
    assert_eq!(it.store().key_version("k").await?, 1);
    Ok(())
}

pub(super) async fn idempotency_keys_are_remembered(it: Candidate) -> Done {
    it.can_reopen()?;
    let append = || Append::of(event(1)).put("a", "k", "v").idempotency_key("once");
    let first = it.store().append(append()).await?;
    let it = it.reopened().await?;
    let second = it.store().append(append()).await?;
    assert!(second.duplicate);
    assert_eq!((second.first, second.last), (first.first, first.last));
    assert_eq!((second.version, second.recorded), (first.version, first.recorded));
    assert_eq!(it.store().bounds().last, offset(1));
    Ok(())
}

pub(super) async fn idempotency_keys_are_forgotten_in_time(it: Candidate) -> Done {
    it.can_reopen()?;
    let clock = it.its_clock()?.clone();
    it.store().append(Append::of(event(1)).idempotency_key("once")).await?;
    clock.advance(it.store().capabilities().dedup_window + Duration::from_secs(1));
    let it = it.reopened().await?;
    assert!(!it.store().append(Append::of(event(1)).idempotency_key("once")).await?.duplicate);
    Ok(())
}

pub(super) async fn cursors_are_where_they_were(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 10).await?;
    it.store().append(Append::new().cursor("a", &Cursor::at(offset(4)))).await?;
    let it = it.reopened().await?;
    assert_eq!(CursorInfo::list(&**it.store()).await?[0].cursor, Cursor::at(offset(4)));
    let trimmed = it.store().trim(Retention::new().events(1)).await?;
    assert_eq!((trimmed.events, trimmed.held), (4, Some((5, "a".to_owned()))));
    Ok(())
}

pub(super) async fn a_follower_goes_on(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 5).await?;
    let it = it.reopened().await?;
    fill(&**it.store(), 5).await?;
    let mut follow = Follow::new(std::sync::Arc::clone(it.store()), offset(3));
    for expected in upto(4, 10) {
        assert_eq!(follow.next().await?.offset.number(), expected);
    }
    Ok(())
}

pub(super) async fn it_is_sound(it: Candidate) -> Done {
    it.can_reopen()?;
    fill(&**it.store(), 50).await?;
    let it = it.reopened().await?;
    let found = it.store().verify(nexus_events_dispatch::store::Progress::none()).await?;
    assert!(found.is_sound());
    assert_eq!(found.events, 50);
    Ok(())
}
