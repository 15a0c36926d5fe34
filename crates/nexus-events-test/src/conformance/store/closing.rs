//! A closed store.

use std::sync::Arc;

use nexus_events_dispatch::ErrorKind::Closed;
use nexus_events_dispatch::store::{Append, Offset, Progress, Read, Retention, Scan};

use super::candidate::Candidate;
use super::kit::{event, fill, offset, refused};
use super::outcomes::Done;

async fn closed(it: &Candidate) -> Done {
    fill(&**it.store(), 3).await?;
    it.store().append(Append::new().put("a", "k", "v")).await?;
    it.store().close().await?;
    Ok(())
}

macro_rules! rows {
    ($($name:ident(|$store:ident| $call:expr);)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            closed(&it).await?;
            let $store = it.store();
            refused($call.await, Closed);
            Ok(())
        }
    )* };
}

rows! {
    no_append(|store| store.append(Append::of(event(1))));
    no_empty_append(|store| store.append(Append::new()));
    no_read(|store| store.read(Read::all()));
    no_wait_for_what_is_to_come(|store| store.wait_past(offset(3)));
    no_wait_for_what_is_there(|store| store.wait_past(Offset::START));
    no_get(|store| store.get("a", b"k"));
    no_scan(|store| store.scan(Scan::of("a")));
    no_version_of_a_key(|store| store.key_version("k"));
    no_trim(|store| store.trim(Retention::new().events(1)));
    no_compact(|store| store.compact(Progress::none()));
    no_verify(|store| store.verify(Progress::none()));
}

pub(super) async fn what_cannot_fail_answers(it: Candidate) -> Done {
    closed(&it).await?;
    let _ = (it.store().capabilities(), it.store().stats(), it.store().bounds());
    Ok(())
}

pub(super) async fn a_second_close_answers_the_same(it: Candidate) -> Done {
    fill(&**it.store(), 3).await?;
    let report = it.store().close().await?;
    assert_eq!(it.store().close().await?, report);
    Ok(())
}

pub(super) async fn an_empty_store(it: Candidate) -> Done {
    assert_eq!(it.store().close().await?.committed, 0);
    refused(it.store().append(Append::new()).await, Closed);
    Ok(())
}

pub(super) async fn who_waits_is_woken(it: Candidate) -> Done {
    fill(&**it.store(), 1).await?;
    let mut waiting = tokio::task::JoinSet::new();
    for after in [1, 1, 5, u64::MAX] {
        let store = Arc::clone(it.store());
        waiting.spawn(async move { store.wait_past(offset(after)).await });
    }
    tokio::task::yield_now().await;
    it.store().close().await?;
    while let Some(woken) = waiting.join_next().await {
        refused(woken.expect("it did not panic"), Closed);
    }
    Ok(())
}

pub(super) async fn what_stands_in_line_is_committed(it: Candidate) -> Done {
    it.can_reopen()?;
    let store = it.store();
    let appends: Vec<_> = (1..=5).map(|n| store.append(Append::of(event(n)))).collect();
    let close = store.close();
    close.await?;
    for (n, append) in (1..).zip(appends) {
        assert_eq!(append.await?.first, offset(n));
    }
    let it = it.reopened().await?;
    assert_eq!(it.store().bounds().last, offset(5));
    Ok(())
}
