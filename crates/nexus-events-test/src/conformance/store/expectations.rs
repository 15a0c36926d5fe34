//! What an append expects of keys and of state.

use nexus_events_dispatch::ErrorKind::Conflict;
use nexus_events_dispatch::store::Expected::{self, Absent, Any, Exact, Present};
use nexus_events_dispatch::store::{Append, Retention};

use super::candidate::Candidate;
use super::kit::{event, fill, refused};
use super::outcomes::Done;

/// Whether an append that expects this of the key happens after so many events with it.
async fn key(it: Candidate, events: u64, expected: Expected, holds: bool) -> Done {
    let store = it.store();
    for n in 0..events {
        store.append(Append::new().keyed_event("k", event(n))).await?;
    }
    let append = Append::new().keyed_event("k", event(9)).expect_key("k", expected);
    let appended = store.append(append).await;
    match holds {
        true => assert!(!appended?.duplicate),
        false => refused(appended, Conflict),
    }
    assert_eq!(store.key_version("k").await?, events + u64::from(holds));
    Ok(())
}

/// Whether a put that expects this happens after so many puts.
async fn state(it: Candidate, puts: u64, expected: fn(u64) -> Expected, holds: bool) -> Done {
    let (store, mut version) = (it.store(), 0);
    for n in 0..puts {
        version = store.append(Append::new().put("a", "k", n.to_string())).await?.version;
    }
    let append = Append::new().put_if(expected(version), "a", "k", "new");
    let appended = store.append(append).await;
    match holds {
        true => assert!(!appended?.duplicate),
        false => refused(appended, Conflict),
    }
    let is_new = store.get("a", b"k").await?.is_some_and(|state| state.value == b"new");
    assert_eq!(is_new, holds);
    Ok(())
}

macro_rules! rows {
    ($check:ident: $($name:ident($count:literal, $expected:expr) $holds:literal)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            $check(it, $count, $expected, $holds).await
        }
    )* };
}

rows! { key:
    key_any_of_none(0, Any) true
    key_any_of_some(2, Any) true
    key_absent_of_none(0, Absent) true
    key_absent_of_some(1, Absent) false
    key_present_of_none(0, Present) false
    key_present_of_some(1, Present) true
    key_exact_zero_of_none(0, Exact(0)) true
    key_exact_zero_of_some(1, Exact(0)) false
    key_exact_one_too_low(3, Exact(2)) false
    key_exact(3, Exact(3)) true
    key_exact_one_too_high(3, Exact(4)) false
    key_exact_highest(1, Exact(u64::MAX)) false
}

rows! { state:
    state_any_of_none(0, |_| Any) true
    state_any_of_some(1, |_| Any) true
    state_absent_of_none(0, |_| Absent) true
    state_absent_of_some(1, |_| Absent) false
    state_present_of_none(0, |_| Present) false
    state_present_of_some(2, |_| Present) true
    state_exact_zero_of_none(0, |_| Exact(0)) true
    state_exact_zero_of_some(1, |_| Exact(0)) false
    state_exact_one_too_low(2, |version| Exact(version - 1)) false
    state_exact(2, Exact) true
    state_exact_one_too_high(2, |version| Exact(version + 1)) false
}

pub(super) async fn keys_count_for_themselves(it: Candidate) -> Done {
    let store = it.store();
    let append = Append::new().keyed_event("a", event(1)).keyed_event("b", event(2));
    store.append(append.keyed_event("a", event(3)).event(event(4))).await?;
    let mut versions = Vec::new();
    for key in ["a", "b", "c", ""] {
        versions.push(store.key_version(key).await?);
    }
    assert_eq!(versions, [2, 1, 0, 0]);
    Ok(())
}

pub(super) async fn an_empty_key_is_a_key(it: Candidate) -> Done {
    let store = it.store();
    store.append(Append::new().keyed_event("", event(1)).event(event(2))).await?;
    assert_eq!(store.key_version("").await?, 1);
    let events = super::kit::all(&**store, nexus_events_dispatch::store::Read::all()).await?;
    let keys: Vec<_> = events.iter().map(|stored| stored.key.as_deref()).collect();
    assert_eq!(keys, [Some(""), None]);
    Ok(())
}

pub(super) async fn a_key_is_expected_before_its_own_events(it: Candidate) -> Done {
    let append = Append::new().keyed_event("k", event(1)).keyed_event("k", event(2));
    it.store().append(append.expect_key("k", Absent)).await?;
    assert_eq!(it.store().key_version("k").await?, 2);
    Ok(())
}

pub(super) async fn all_expectations_must_hold(it: Candidate) -> Done {
    let store = it.store();
    store.append(Append::new().keyed_event("a", event(1))).await?;
    let append = || Append::of(event(2)).expect_key("a", Exact(1));
    refused(store.append(append().expect_key("b", Present)).await, Conflict);
    refused(store.append(append().expect_key("a", Absent)).await, Conflict);
    store.append(append().expect_key("b", Absent).expect_key("a", Present)).await?;
    Ok(())
}

pub(super) async fn expectations_without_events_are_met(it: Candidate) -> Done {
    let store = it.store();
    refused(store.append(Append::new().expect_key("k", Present)).await, Conflict);
    store.append(Append::new().expect_key("k", Absent)).await?;
    assert_eq!(store.key_version("k").await?, 0);
    Ok(())
}

pub(super) async fn a_key_counts_on_when_its_events_are_removed(it: Candidate) -> Done {
    let store = it.store();
    store.append(Append::new().keyed_event("k", event(1)).keyed_event("k", event(2))).await?;
    store.trim(Retention::new().events(0)).await?;
    assert_eq!(store.key_version("k").await?, 2);
    store.append(Append::new().keyed_event("k", event(3)).expect_key("k", Exact(2))).await?;
    Ok(())
}

pub(super) async fn a_later_change_meets_an_earlier_one(it: Candidate) -> Done {
    let store = it.store();
    let append = Append::new().put("a", "k", "1").put_if(Present, "a", "k", "2");
    store.append(append.delete("a", "k").put_if(Absent, "a", "k", "3")).await?;
    assert_eq!(store.get("a", b"k").await?.map(|state| state.value), Some(b"3".to_vec()));
    let append = Append::new().delete("a", "k").put_if(Present, "a", "k", "4");
    refused(store.append(append).await, Conflict);
    Ok(())
}

pub(super) async fn a_delete_expects_as_a_put_does(it: Candidate) -> Done {
    let store = it.store();
    refused(store.append(Append::new().delete_if(Present, "a", "k")).await, Conflict);
    let version = store.append(Append::new().put("a", "k", "v")).await?.version;
    refused(store.append(Append::new().delete_if(Absent, "a", "k")).await, Conflict);
    refused(store.append(Append::new().delete_if(Exact(version + 1), "a", "k")).await, Conflict);
    store.append(Append::new().delete_if(Exact(version), "a", "k")).await?;
    assert_eq!(store.get("a", b"k").await?, None);
    Ok(())
}

pub(super) async fn of_two_with_the_same_expectation_one_happens(it: Candidate) -> Done {
    let store = it.store();
    fill(&**store, 1).await?;
    let append = |n| Append::new().keyed_event("k", event(n)).expect_key("k", Absent);
    let (first, second) = (store.append(append(2)), store.append(append(3)));
    refused(second.await, Conflict);
    first.await?;
    assert_eq!(store.bounds().len(), 2);
    Ok(())
}
