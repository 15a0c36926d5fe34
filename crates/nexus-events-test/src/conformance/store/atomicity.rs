//! Of a refused append, nothing is there.

use nexus_events_dispatch::ErrorKind::{self, Conflict, TooLarge};
use nexus_events_dispatch::store::{Append, Cursor, Expected, space};

use super::candidate::Candidate;
use super::kit::{Contents, event, large, offset, refused};
use super::outcomes::Done;
use crate::limits::{TRIED_BYTES_MAX, TRIED_EVENTS_MAX};

const SPACES: [&str; 3] = ["a", "b", space::CURSORS];

/// An append with every part there is.
fn of_all_parts() -> Append {
    let append = Append::new()
        .keyed_event("k", event(1))
        .event(event(2))
        .expect_key("k", Expected::Exact(1));
    append
        .put("a", "new", "1")
        .put("a", "old", "2")
        .delete("b", "old")
        .cursor("billing", &Cursor::at(offset(1)))
        .idempotency_key("once")
}

/// With this added to all the other parts it is refused, and without it is not.
async fn refuses(it: Candidate, with: impl FnOnce(Append) -> Append, kind: ErrorKind) -> Done {
    let store = it.store();
    let before = Append::new().keyed_event("k", event(0)).put("a", "old", "0").put("b", "old", "0");
    store.append(before).await?;

    let (bounds, contents) = (store.bounds(), Contents::of(&**store, &SPACES, &["k", "l"]).await?);
    refused(store.append(with(of_all_parts())).await, kind);
    assert_eq!(store.bounds(), bounds);
    assert_eq!(Contents::of(&**store, &SPACES, &["k", "l"]).await?, contents);

    let appended = store.append(of_all_parts()).await?;
    assert!(!appended.duplicate, "a refused append is remembered under its idempotency key");
    assert_eq!((appended.first, appended.last), (offset(2), offset(3)));
    assert_ne!(Contents::of(&**store, &SPACES, &["k", "l"]).await?, contents);
    Ok(())
}

pub(super) async fn a_key_is_at_another_version(it: Candidate) -> Done {
    refuses(it, |append| append.expect_key("l", Expected::Present), Conflict).await
}

pub(super) async fn a_state_is_at_another_version(it: Candidate) -> Done {
    let with = |append: Append| append.put_if(Expected::Exact(u64::MAX), "b", "x", "1");
    refuses(it, with, Conflict).await
}

pub(super) async fn a_state_to_be_removed_is_not_there(it: Candidate) -> Done {
    refuses(it, |append| append.delete_if(Expected::Present, "b", "x"), Conflict).await
}

pub(super) async fn two_parts_contradict_each_other(it: Candidate) -> Done {
    refuses(it, |append| append.put_if(Expected::Absent, "a", "new", "2"), Conflict).await
}

pub(super) async fn a_key_is_too_long(it: Candidate) -> Done {
    refuses(it, |append| append.keyed_event("x".repeat(256), event(3)), TooLarge).await
}

pub(super) async fn an_expected_key_is_too_long(it: Candidate) -> Done {
    let with = |append: Append| append.expect_key("x".repeat(256), Expected::Any);
    refuses(it, with, TooLarge).await
}

pub(super) async fn a_space_is_too_long(it: Candidate) -> Done {
    refuses(it, |append| append.put("x".repeat(256), "k", "v"), TooLarge).await
}

pub(super) async fn the_key_of_a_state_is_too_long(it: Candidate) -> Done {
    refuses(it, |append| append.put("a", vec![0; 1025], "v"), TooLarge).await
}

pub(super) async fn the_key_of_a_removed_state_is_too_long(it: Candidate) -> Done {
    refuses(it, |append| append.delete("a", vec![0; 1025]), TooLarge).await
}

pub(super) async fn an_idempotency_key_is_too_long(it: Candidate) -> Done {
    refuses(it, |append| append.idempotency_key("x".repeat(256)), TooLarge).await
}

pub(super) async fn there_are_too_many_events(it: Candidate) -> Done {
    it.claims(|can| can.append_events_max < TRIED_EVENTS_MAX, "a bound on events to go beyond")?;
    let most = it.store().capabilities().append_events_max;
    let one = event(3);
    let with = |append| (0..most).fold(append, |append: Append, _| append.event(one.clone()));
    refuses(it, with, TooLarge).await
}

pub(super) async fn there_are_too_many_bytes(it: Candidate) -> Done {
    it.claims(|can| can.append_bytes_max < TRIED_BYTES_MAX, "a bound on bytes to go beyond")?;
    let most = it.store().capabilities().append_bytes_max;
    let size = 1_000_000.min(most);
    let one = large(3, size);
    let with =
        |append| (0..=most / size).fold(append, |append: Append, _| append.event(one.clone()));
    refuses(it, with, TooLarge).await
}

pub(super) async fn a_state_is_too_large(it: Candidate) -> Done {
    it.claims(|can| can.append_bytes_max < TRIED_BYTES_MAX, "a bound on bytes to go beyond")?;
    let most = it.store().capabilities().append_bytes_max;
    refuses(it, |append| append.put("a", "large", vec![0; most + 1]), TooLarge).await
}

/// An appended event that has no JSON is refused whole, or kept by a store that needs none.
pub(super) async fn a_payload_cannot_be_written(it: Candidate) -> Done {
    let unwritable = std::collections::HashMap::from([(vec![1_u8], 1_u8)]);
    let bad = super::kit::built(super::kit::draft(3).typed(unwritable));
    let (store, append) = (it.store(), of_all_parts().event(bad));
    store.append(Append::new().keyed_event("k", event(0))).await?;
    let contents = Contents::of(&**store, &SPACES, &["k", "l"]).await?;
    match store.append(append).await {
        Ok(appended) => assert_eq!(appended.last, offset(4)),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error:?}");
            assert_eq!(Contents::of(&**store, &SPACES, &["k", "l"]).await?, contents);
        }
    }
    Ok(())
}

pub(super) async fn all_parts_happen_together(it: Candidate) -> Done {
    let store = it.store();
    let before = Append::new().keyed_event("k", event(0)).put("b", "old", "0");
    store.append(before).await?;
    let version = store.append(of_all_parts()).await?.version;
    assert_eq!(store.key_version("k").await?, 2);
    assert_eq!(store.get("b", b"old").await?, None);
    for (space, key) in [("a", "new"), ("a", "old"), (space::CURSORS, "billing")] {
        let state = store.get(space, key.as_bytes()).await?;
        assert_eq!(state.map(|state| state.version), Some(version), "{space} {key}");
    }
    Ok(())
}
