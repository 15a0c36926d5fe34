//! Appends under an idempotency key happen once.

use std::time::Duration;

use nexus_events_dispatch::ErrorKind::Conflict;
use nexus_events_dispatch::store::{Append, Appended, Expected, Retention};

use super::candidate::{Candidate, skipped};
use super::kit::{event, fill, offset, refused};
use super::outcomes::Done;
use crate::limits::TRIED_EVENTS_MAX;

fn once(n: u64) -> Append {
    Append::new().keyed_event("k", event(n)).put("a", "k", n.to_string()).idempotency_key("once")
}

#[track_caller]
fn is_answer_of(first: &Appended, mut second: Appended) {
    assert!(second.duplicate);
    second.duplicate = false;
    assert_eq!(second, *first);
}

pub(super) async fn the_second_changes_nothing(it: Candidate) -> Done {
    let store = it.store();
    let first = store.append(once(1)).await?;
    fill(&**store, 2).await?;
    is_answer_of(&first, store.append(once(1)).await?);
    assert_eq!(store.bounds().last, offset(3));
    assert_eq!(store.key_version("k").await?, 1);
    Ok(())
}

pub(super) async fn the_second_may_be_another_one(it: Candidate) -> Done {
    let store = it.store();
    let first = store.append(once(1)).await?;
    is_answer_of(&first, store.append(once(2).event(event(3))).await?);
    assert_eq!(store.bounds().last, offset(1));
    assert_eq!(store.get("a", b"k").await?.map(|state| state.value), Some(b"1".to_vec()));
    Ok(())
}

pub(super) async fn a_duplicate_is_known_before_expectations(it: Candidate) -> Done {
    let store = it.store();
    let append = || once(1).expect_key("k", Expected::Absent);
    let first = store.append(append()).await?;
    is_answer_of(&first, store.append(append()).await?);
    refused(store.append(append().idempotency_key("other")).await, Conflict);
    Ok(())
}

pub(super) async fn a_refused_one_may_come_again(it: Candidate) -> Done {
    let store = it.store();
    refused(store.append(once(1).expect_key("k", Expected::Present)).await, Conflict);
    assert!(!store.append(once(1)).await?.duplicate);
    Ok(())
}

pub(super) async fn keys_are_told_apart(it: Candidate) -> Done {
    let keys = ["", "a", "A", "a ", "ab", "é", "e\u{301}"];
    for key in keys {
        assert!(!it.store().append(once(1).idempotency_key(key)).await?.duplicate, "{key:?}");
    }
    for key in keys {
        assert!(it.store().append(once(1).idempotency_key(key)).await?.duplicate, "{key:?}");
    }
    Ok(())
}

pub(super) async fn none_is_never_a_duplicate(it: Candidate) -> Done {
    for n in 1..=3 {
        let appended = it.store().append(Append::of(event(1))).await?;
        assert_eq!((appended.duplicate, appended.last), (false, offset(n)));
    }
    Ok(())
}

pub(super) async fn an_append_of_state_alone(it: Candidate) -> Done {
    let append = |value: &str| Append::new().put("a", "k", value).idempotency_key("once");
    let first = it.store().append(append("1")).await?;
    is_answer_of(&first, it.store().append(append("2")).await?);
    assert_eq!(it.store().get("a", b"k").await?.map(|state| state.value), Some(b"1".to_vec()));
    Ok(())
}

pub(super) async fn an_empty_append(it: Candidate) -> Done {
    let append = || Append::new().idempotency_key("once");
    let first = it.store().append(append()).await?;
    fill(&**it.store(), 1).await?;
    is_answer_of(&first, it.store().append(append()).await?);
    Ok(())
}

pub(super) async fn the_longest_key(it: Candidate) -> Done {
    let key = "x".repeat(255);
    let first = it.store().append(once(1).idempotency_key(key.clone())).await?;
    is_answer_of(&first, it.store().append(once(1).idempotency_key(key)).await?);
    Ok(())
}

pub(super) async fn it_is_remembered_when_its_events_are_removed(it: Candidate) -> Done {
    let first = it.store().append(once(1)).await?;
    it.store().trim(Retention::new().events(0)).await?;
    is_answer_of(&first, it.store().append(once(1)).await?);
    assert!(it.store().bounds().is_empty());
    Ok(())
}

pub(super) async fn duplicates_in_line(it: Candidate) -> Done {
    let (first, second) = (it.store().append(once(1)), it.store().append(once(1)));
    let second = second.await?;
    is_answer_of(&first.await?, second);
    assert_eq!(it.store().bounds().last, offset(1));
    Ok(())
}

pub(super) async fn it_is_remembered_to_the_end_of_the_window(it: Candidate) -> Done {
    let clock = it.its_clock()?;
    let first = it.store().append(once(1)).await?;
    clock.advance(it.store().capabilities().dedup_window);
    is_answer_of(&first, it.store().append(once(1)).await?);
    Ok(())
}

pub(super) async fn a_duplicate_does_not_prolong_the_window(it: Candidate) -> Done {
    let clock = it.its_clock()?;
    let window = it.store().capabilities().dedup_window;
    it.store().append(once(1)).await?;
    clock.advance(window / 2);
    assert!(it.store().append(once(1)).await?.duplicate);
    clock.advance(window / 2 + Duration::from_secs(1));
    let again = it.store().append(once(1)).await?;
    assert_eq!((again.duplicate, again.first), (false, offset(2)));
    assert!(it.store().append(once(1)).await?.duplicate, "it is remembered anew");
    Ok(())
}

pub(super) async fn as_many_are_remembered_as_promised(it: Candidate) -> Done {
    let most = it.store().capabilities().dedup_keys;
    if most > TRIED_EVENTS_MAX {
        return Err(skipped(format!("a store that promises at most {TRIED_EVENTS_MAX} keys")));
    }
    for n in 0..most {
        it.store().append(once(1).idempotency_key(n.to_string())).await?;
    }
    fill(&**it.store(), 1).await?;
    assert!(it.store().append(once(1).idempotency_key("0")).await?.duplicate);
    Ok(())
}
