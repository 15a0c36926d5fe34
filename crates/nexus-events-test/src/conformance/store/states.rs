//! State under its keys.

use nexus_events_dispatch::store::Append;

use super::candidate::Candidate;
use super::kit::{event, fill};
use super::outcomes::Done;

async fn value(it: &Candidate, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, super::Stop> {
    Ok(it.store().get(space, key).await?.map(|state| state.value))
}

pub(super) async fn what_is_not_there(it: Candidate) -> Done {
    assert_eq!(value(&it, "a", b"k").await?, None);
    it.store().append(Append::new().put("a", "k", "v")).await?;
    for (space, key) in [("b", "k"), ("a", "kk"), ("a", ""), ("", "k"), ("A", "k")] {
        assert_eq!(value(&it, space, key.as_bytes()).await?, None, "{space} {key}");
    }
    Ok(())
}

pub(super) async fn what_was_put(it: Candidate) -> Done {
    it.store().append(Append::new().put("a", "k", "v")).await?;
    assert_eq!(value(&it, "a", b"k").await?, Some(b"v".to_vec()));
    Ok(())
}

pub(super) async fn the_last_value_stands(it: Candidate) -> Done {
    it.store().append(Append::new().put("a", "k", "1").put("a", "k", "2")).await?;
    assert_eq!(value(&it, "a", b"k").await?, Some(b"2".to_vec()));
    it.store().append(Append::new().put("a", "k", "3")).await?;
    assert_eq!(value(&it, "a", b"k").await?, Some(b"3".to_vec()));
    Ok(())
}

pub(super) async fn what_was_removed(it: Candidate) -> Done {
    it.store().append(Append::new().put("a", "k", "v").put("a", "l", "v")).await?;
    it.store().append(Append::new().delete("a", "k")).await?;
    assert_eq!(value(&it, "a", b"k").await?, None);
    assert_eq!(value(&it, "a", b"l").await?, Some(b"v".to_vec()));
    Ok(())
}

pub(super) async fn none_to_remove_is_no_error(it: Candidate) -> Done {
    it.store().append(Append::new().delete("a", "k")).await?;
    it.store().append(Append::of(event(1)).delete("a", "k")).await?;
    assert_eq!(it.store().bounds().len(), 1);
    Ok(())
}

pub(super) async fn an_empty_value_is_a_value(it: Candidate) -> Done {
    it.store().append(Append::new().put("a", "k", "")).await?;
    assert_eq!(value(&it, "a", b"k").await?, Some(Vec::new()));
    Ok(())
}

pub(super) async fn empty_names_are_names(it: Candidate) -> Done {
    let append = Append::new().put("", "", "1").put("a", "", "2").put("", "a", "3");
    it.store().append(append).await?;
    for (space, key, expected) in [("", "", "1"), ("a", "", "2"), ("", "a", "3")] {
        let value = value(&it, space, key.as_bytes()).await?;
        assert_eq!(value, Some(expected.into()), "{space:?} {key:?}");
    }
    Ok(())
}

pub(super) async fn names_that_run_together(it: Candidate) -> Done {
    let places: [(&str, &[u8]); 5] =
        [("ab", b"c"), ("a", b"bc"), ("a\0b", b"c"), ("a", b"b\0c"), ("a\0", b"b\0c")];
    let put = |append: Append, (n, (space, key)): (u8, (&str, &[u8]))| append.put(space, key, [n]);
    it.store().append((0..).zip(places).fold(Append::new(), put)).await?;
    for (n, (space, key)) in (0..).zip(places) {
        assert_eq!(value(&it, space, key).await?, Some(vec![n]), "{space:?} {key:?}");
    }
    Ok(())
}

pub(super) async fn any_bytes_are_a_key_and_a_value(it: Candidate) -> Done {
    let all_bytes: Vec<u8> = (0..=255).collect();
    it.store().append(Append::new().put("a", all_bytes.clone(), all_bytes.clone())).await?;
    assert_eq!(value(&it, "a", &all_bytes).await?, Some(all_bytes));
    Ok(())
}

pub(super) async fn the_longest_names(it: Candidate) -> Done {
    let (space, key) = ("s".repeat(255), vec![0xff; 1024]);
    it.store().append(Append::new().put(space.clone(), key.clone(), "v")).await?;
    assert_eq!(value(&it, &space, &key).await?, Some(b"v".to_vec()));
    Ok(())
}

pub(super) async fn a_large_value(it: Candidate) -> Done {
    let large: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
    it.store().append(Append::new().put("a", "k", large.clone())).await?;
    assert!(value(&it, "a", b"k").await? == Some(large), "four MiB did not come back");
    Ok(())
}

pub(super) async fn a_large_value_is_replaced_again_and_again(it: Candidate) -> Done {
    let size = it.store().capabilities().append_bytes_max.min(64 << 20) / 3 * 2;
    for n in 0..3_u8 {
        it.store().append(Append::new().put("a", "k", vec![n; size])).await?;
    }
    assert_eq!(value(&it, "a", b"k").await?.map(|value| value[0]), Some(2));
    Ok(())
}

pub(super) async fn its_version_is_that_of_its_commit(it: Candidate) -> Done {
    let store = it.store();
    let first = store.append(Append::new().put("a", "k", "1").put("a", "l", "1")).await?.version;
    fill(&**store, 3).await?;
    let second = store.append(Append::new().put("a", "k", "2")).await?.version;
    for (key, version) in [(b"k", second), (b"l", first)] {
        assert_eq!(store.get("a", key).await?.map(|state| state.version), Some(version));
    }
    Ok(())
}

pub(super) async fn the_same_value_again_is_a_change(it: Candidate) -> Done {
    let first = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    let second = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    assert!(second > first);
    assert_eq!(it.store().get("a", b"k").await?.map(|state| state.version), Some(second));
    Ok(())
}

pub(super) async fn a_version_never_comes_again(it: Candidate) -> Done {
    let first = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    it.store().append(Append::new().delete("a", "k")).await?;
    let second = it.store().append(Append::new().put("a", "k", "1")).await?.version;
    assert!(second > first, "{second} after {first}");
    Ok(())
}
