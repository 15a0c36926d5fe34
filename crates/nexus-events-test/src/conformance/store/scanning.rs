//! State of neighbouring keys.

use nexus_events_dispatch::store::{Append, Scan};

use super::candidate::Candidate;
use super::kit::states;
use super::outcomes::Done;

const KEYS: [&[u8]; 9] = [b"", b"\0", b"a", b"a\0", b"aa", b"ab", b"b", b"\xff", b"\xff\xff"];

async fn scans(it: Candidate, scan: Scan, expected: &[&[u8]]) -> Done {
    // Not in the order of their keys, and between spaces that are next to theirs.
    let places =
        KEYS.iter().rev().flat_map(|key| ["n", "m", "l", "m\0", "mm"].map(|it| (it, *key)));
    let append = places.fold(Append::new(), |append, (space, key)| append.put(space, key, space));
    it.store().append(append).await?;
    let entries = it.store().scan(scan).await?;
    let keys: Vec<&[u8]> = entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, expected);
    assert!(entries.iter().all(|entry| entry.space == "m" && entry.state.value == b"m"));
    Ok(())
}

fn m() -> Scan {
    Scan::of("m")
}

macro_rules! rows {
    ($($name:ident($scan:expr) $expected:expr;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            scans(it, $scan, &$expected).await
        }
    )* };
}

rows! {
    a_space_in_order(m()) KEYS;
    a_space_that_is_none(Scan::of("mmm")) [];
    a_prefix(m().prefix("a")) [b"a".as_slice(), b"a\0", b"aa", b"ab"];
    a_prefix_that_is_a_key(m().prefix("ab")) [b"ab".as_slice()];
    a_prefix_of_none(m().prefix("c")) [];
    the_highest_prefix(m().prefix(b"\xff")) [b"\xff".as_slice(), b"\xff\xff"];
    after_a_key(m().after("aa")) [b"ab".as_slice(), b"b", b"\xff", b"\xff\xff"];
    after_a_key_that_is_none(m().after("aaa")) [b"ab".as_slice(), b"b", b"\xff", b"\xff\xff"];
    after_the_empty_key(m().after("").limit(2)) [b"\0".as_slice(), b"a"];
    after_the_last(m().after(b"\xff\xff")) [];
    after_within_a_prefix(m().prefix("a").after("a")) [b"a\0".as_slice(), b"aa", b"ab"];
    after_a_key_before_the_prefix(m().prefix("b").after("a")) [b"b".as_slice()];
    after_a_key_beyond_the_prefix(m().prefix("a").after("b")) [];
    so_many(m().limit(3)) [b"".as_slice(), b"\0", b"a"];
    so_many_within_a_prefix(m().prefix("a").after("a").limit(1)) [b"a\0".as_slice()];
    more_than_there_are(m().limit(usize::MAX)) KEYS;
    none_at_all_means_one({ let mut scan = m(); scan.limit = 0; scan }) [b"".as_slice()];
}

pub(super) async fn a_thousand_keys_page_by_page(it: Candidate) -> Done {
    let keys = (0..1000).map(|n| format!("{n:04}"));
    let append = keys.clone().rev().fold(Append::new(), |append, key| append.put("a", key, "v"));
    it.store().append(append).await?;
    assert!(it.store().scan(Scan::of("a")).await?.len() <= 256);
    let found = states(&**it.store(), "a").await?;
    assert!(found.iter().map(|entry| entry.key.clone()).eq(keys.map(String::into_bytes)));
    Ok(())
}

pub(super) async fn removed_keys_are_not_among_them(it: Candidate) -> Done {
    it.store()
        .append(Append::new().put("a", "1", "v").put("a", "2", "v").put("a", "3", "v"))
        .await?;
    it.store().append(Append::new().delete("a", "2")).await?;
    let keys: Vec<_> = states(&**it.store(), "a").await?.into_iter().map(|it| it.key).collect();
    assert_eq!(keys, [b"1", b"3"]);
    Ok(())
}

pub(super) async fn an_entry_is_what_get_answers(it: Candidate) -> Done {
    for (key, value) in [("1", "x"), ("2", "y"), ("1", "z")] {
        it.store().append(Append::new().put("a", key, value)).await?;
    }
    for entry in it.store().scan(Scan::of("a")).await? {
        assert_eq!(it.store().get("a", &entry.key).await?, Some(entry.state));
    }
    Ok(())
}
