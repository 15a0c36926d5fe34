//! From any offset into what comes.

use std::pin::pin;
use std::sync::Arc;

use nexus_events_dispatch::ErrorKind::{Closed, Trimmed};
use nexus_events_dispatch::store::{Append, Follow, Offset, Retention, Select};

use super::candidate::{Candidate, Stop};
use super::kit::{built, draft, event, fill, offset, poll_once, refused, upto};
use super::outcomes::Done;

fn follow(it: &Candidate, after: u64) -> Follow {
    Follow::new(Arc::clone(it.store()), offset(after))
}

async fn next(follow: &mut Follow, count: usize) -> Result<Vec<u64>, Stop> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        offsets.push(follow.next().await?.offset.number());
    }
    Ok(offsets)
}

pub(super) async fn from_the_start(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    assert_eq!(next(&mut follow(&it, 0), 10).await?, upto(1, 10));
    Ok(())
}

pub(super) async fn from_any_offset_into_what_comes(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    let mut follows: Vec<_> = (0..=5).map(|after| follow(&it, after).events(2)).collect();
    fill(&**it.store(), 3).await?;
    for (after, follow) in (0..).zip(&mut follows) {
        assert_eq!(next(follow, 8 - after).await?, upto(after as u64 + 1, 8));
    }
    fill(&**it.store(), 1).await?;
    for follow in &mut follows {
        assert_eq!(next(follow, 1).await?, [9]);
    }
    Ok(())
}

pub(super) async fn from_an_offset_to_come(it: Candidate) -> Done {
    fill(&**it.store(), 1).await?;
    let mut follow = follow(&it, 3);
    assert_eq!(follow.next_there().await?, None);
    fill(&**it.store(), 4).await?;
    assert_eq!(next(&mut follow, 2).await?, [4, 5]);
    Ok(())
}

pub(super) async fn what_is_there_has_an_end(it: Candidate) -> Done {
    let mut follow = follow(&it, 0);
    assert_eq!(follow.next_there().await?, None);
    fill(&**it.store(), 2).await?;
    for expected in [Some(1), Some(2), None, None] {
        let next = follow.next_there().await?;
        assert_eq!(next.map(|stored| stored.offset.number()), expected);
    }
    Ok(())
}

pub(super) async fn who_waits_is_woken(it: Candidate) -> Done {
    let mut followers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut follow = follow(&it, 0);
        followers.spawn(async move { next(&mut follow, 3).await });
    }
    for _ in 0..3 {
        tokio::task::yield_now().await;
        fill(&**it.store(), 1).await?;
    }
    while let Some(offsets) = followers.join_next().await {
        assert_eq!(offsets.expect("it did not panic")?, upto(1, 3));
    }
    Ok(())
}

pub(super) async fn a_wait_that_is_given_up_loses_nothing(it: Candidate) -> Done {
    let mut follow = follow(&it, 0).events(2);
    for lot in 0..20 {
        // Given up at its first rest, whether it has something or not.
        if let Some(stored) = poll_once(pin!(follow.next())).await {
            assert_eq!(stored?.offset.number(), lot * 3 + 1);
        }
        let seen = follow.seen().number();
        fill(&**it.store(), 3).await?;
        let count = lot * 3 + 3 - seen;
        assert_eq!(next(&mut follow, count as usize).await?, upto(seen + 1, lot * 3 + 3));
    }
    Ok(())
}

pub(super) async fn only_some(it: Candidate) -> Done {
    let mut follow = follow(&it, 0).select(Select::new().source("shop")).events(1);
    for n in 1..=9 {
        let draft = if n % 3 == 0 { draft(n).source("shop") } else { draft(n) };
        it.store().append(Append::of(built(draft))).await?;
    }
    assert_eq!(next(&mut follow, 3).await?, [3, 6, 9]);
    assert_eq!(follow.next_there().await?, None);
    Ok(())
}

pub(super) async fn what_is_not_selected_is_seen_too(it: Candidate) -> Done {
    let mut follow = follow(&it, 0).select(Select::new().source("nobody"));
    fill(&**it.store(), 7).await?;
    assert_eq!(follow.next_there().await?, None);
    assert_eq!(follow.seen(), offset(7));
    Ok(())
}

pub(super) async fn what_is_seen_is_what_was_given(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    let mut follow = follow(&it, 0);
    for n in 1..=5 {
        assert_eq!(follow.seen(), offset(n - 1));
        assert_eq!(follow.next().await?.offset, offset(n));
    }
    assert_eq!(follow.seen(), offset(5));
    Ok(())
}

pub(super) async fn removed_events_are_an_error(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    let mut follow = follow(&it, 0).events(2);
    assert_eq!(next(&mut follow, 2).await?, [1, 2]);
    it.store().trim(Retention::new().events(4)).await?;
    for _ in 0..2 {
        refused(follow.next().await, Trimmed);
    }
    let first = it.store().bounds().first;
    follow.skip_to(first.before());
    assert_eq!(next(&mut follow, 4).await?, upto(7, 10));
    Ok(())
}

pub(super) async fn the_start_is_the_oldest_that_is_kept(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    it.store().trim(Retention::new().events(4)).await?;
    assert_eq!(next(&mut follow(&it, 0), 4).await?, upto(7, 10));
    Ok(())
}

pub(super) async fn it_goes_back_when_told(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    let mut follow = follow(&it, 0);
    next(&mut follow, 4).await?;
    follow.skip_to(offset(1));
    assert_eq!(next(&mut follow, 2).await?, [2, 3]);
    Ok(())
}

pub(super) async fn a_close_ends_it(it: Candidate) -> Done {
    let mut waiting = follow(&it, 0);
    let waiting = tokio::spawn(async move { waiting.next().await });
    tokio::task::yield_now().await;
    it.store().close().await?;
    refused(waiting.await.expect("it did not panic"), Closed);
    refused(follow(&it, 0).next().await, Closed);
    Ok(())
}

pub(super) async fn a_wait_ends_at_once_where_there_is_more(it: Candidate) -> Done {
    fill(&**it.store(), 3).await?;
    for after in [0, 1, 2] {
        it.store().wait_past(offset(after)).await?;
    }
    Ok(())
}

pub(super) async fn a_wait_is_for_events_alone(it: Candidate) -> Done {
    let mut wait = it.store().wait_past(Offset::START);
    it.store().append(Append::new().put("a", "k", "v")).await?;
    assert!(poll_once(wait.as_mut()).await.is_none(), "it ended although there is no event");
    it.store().append(Append::of(event(1))).await?;
    wait.await?;
    Ok(())
}
