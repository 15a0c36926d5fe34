//! Cursors, which are state.

use std::collections::BTreeMap;

use nexus_events_dispatch::ErrorKind::Corrupt;
use nexus_events_dispatch::store::{Append, Cursor, CursorInfo, space};

use super::candidate::Candidate;
use super::kit::{appending, event, offset, refused};
use super::outcomes::Done;

pub(super) async fn one_comes_back_as_it_was(it: Candidate) -> Done {
    let mut cursor = Cursor::at(offset(41));
    cursor.seen = offset(1 << 60);
    cursor.delivered = offset(u64::MAX);
    cursor.pending = vec![offset(43), offset(50)];
    cursor.alone = Some(offset(43));
    cursor.open = true;
    cursor.attempts = BTreeMap::from([(offset(43), 2), (offset(50), u32::MAX)]);
    cursor.crashes = BTreeMap::from([(offset(43), 1)]);
    it.store().append(Append::new().cursor("billing", &cursor)).await?;
    let infos = CursorInfo::list(&**it.store()).await?;
    assert_eq!((infos.len(), &*infos[0].consumer, &infos[0].cursor), (1, "billing", &cursor));
    Ok(())
}

pub(super) async fn none_is_listed_in_an_empty_store(it: Candidate) -> Done {
    assert_eq!(CursorInfo::list(&**it.store()).await?, []);
    Ok(())
}

pub(super) async fn it_moves_with_what_was_done(it: Candidate) -> Done {
    it.store().append(appending(1)).await?;
    let append = Append::of(event(2)).put("a", "k", "v").cursor("c", &Cursor::at(offset(1)));
    let version = it.store().append(append).await?.version;
    for (space, key) in [(space::CURSORS, "c"), ("a", "k")] {
        let state = it.store().get(space, key.as_bytes()).await?;
        assert_eq!(state.map(|state| state.version), Some(version));
    }
    Ok(())
}

pub(super) async fn many_are_listed_by_name(it: Candidate) -> Done {
    let names = (0..300).map(|n| format!("consumer-{n:03}"));
    let cursors = (0..).map(|n| Cursor::at(offset(n)));
    let append = names.clone().zip(cursors.clone());
    let append = append.fold(Append::new(), |it, (name, cursor)| it.cursor(&name, &cursor));
    it.store().append(append).await?;
    let listed = CursorInfo::list(&**it.store()).await?;
    assert!(listed.iter().map(|info| info.consumer.clone()).eq(names));
    assert!(listed.iter().map(|info| info.cursor.clone()).eq(cursors.take(300)));
    Ok(())
}

pub(super) async fn a_removed_one_is_not_listed(it: Candidate) -> Done {
    let at = Cursor::at(offset(1));
    it.store().append(Append::new().cursor("a", &at).cursor("b", &at)).await?;
    it.store().append(Append::new().delete(space::CURSORS, "a")).await?;
    let listed = CursorInfo::list(&**it.store()).await?;
    assert_eq!(listed.iter().map(|info| &*info.consumer).collect::<Vec<_>>(), ["b"]);
    Ok(())
}

pub(super) async fn one_that_cannot_be_read_is_named(it: Candidate) -> Done {
    it.store().append(Append::new().put(space::CURSORS, "broken", "no cursor")).await?;
    let listed = CursorInfo::list(&**it.store()).await;
    let text = listed.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains("broken"), "{text:?}");
    refused(listed, Corrupt);
    // Who appends has nothing to do with it.
    it.store().append(appending(2)).await?;
    Ok(())
}
