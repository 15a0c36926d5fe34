//! Removing the oldest events.

use std::time::Duration;

use nexus_events_dispatch::Result;
use nexus_events_dispatch::store::{Append, Cursor, EventStore, Held, Read, Retention, Trimmed};

use super::candidate::Candidate;
use super::kit::{all, fill, large, numbers, offset, upto};
use super::outcomes::Done;

fn so_many(events: u64) -> Retention {
    Retention::new().events(events)
}

/// What is left of ten events.
async fn leaves(it: Candidate, retention: Retention, first: u64) -> Done {
    fill(&**it.store(), 10).await?;
    let trimmed = it.store().trim(retention).await?;
    assert_eq!((trimmed.events, trimmed.first), (first - 1, offset(first)));
    assert_eq!((trimmed.held, trimmed.lost), (None, vec![]));
    assert_eq!(it.store().bounds().first, offset(first));
    assert_eq!(it.store().bounds().last, offset(10));
    assert_eq!(numbers(&all(&**it.store(), Read::all()).await?), upto(first, 10));
    Ok(())
}

macro_rules! rows {
    ($($name:ident($retention:expr) $first:literal;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            leaves(it, $retention, $first).await
        }
    )* };
}

rows! {
    no_bounds_at_all(Retention::new()) 1;
    no_bounds_but_none_held(Retention::new().held(Held::Remove)) 1;
    more_events_than_there_are(so_many(11)) 1;
    as_many_events_as_there_are(so_many(10)) 1;
    one_event_less(so_many(9)) 2;
    one_event(so_many(1)) 10;
    no_event(so_many(0)) 11;
    any_number_of_bytes(Retention::new().bytes(u64::MAX)) 1;
    no_bytes(Retention::new().bytes(0)) 11;
    any_age(Retention::new().age(Duration::MAX)) 1;
    the_tighter_of_two_bounds(so_many(3).bytes(u64::MAX)) 8;
}

pub(super) async fn about_so_many_bytes(it: Candidate) -> Done {
    let append = (1..=10).map(|n| large(n, 100_000)).fold(Append::new(), Append::event);
    it.store().append(append).await?;
    it.store().trim(Retention::new().bytes(450_000)).await?;
    let kept = it.store().bounds().len();
    assert!((3..=5).contains(&kept), "{kept} events of about 100,000 bytes are 450,000 bytes");
    Ok(())
}

pub(super) async fn older_than_so_long(it: Candidate) -> Done {
    let clock = it.its_clock()?.clone();
    for _ in 0..5 {
        fill(&**it.store(), 2).await?;
        clock.advance(Duration::from_secs(60));
    }
    // They are 5, 4, 3, 2 and 1 minutes old.
    let trimmed = it.store().trim(Retention::new().age(Duration::from_secs(180))).await?;
    assert_eq!((trimmed.events, trimmed.first), (4, offset(5)));
    clock.advance(Duration::from_secs(600));
    let trimmed = it.store().trim(Retention::new().age(Duration::from_secs(180))).await?;
    assert_eq!((trimmed.events, trimmed.first), (6, offset(11)));
    Ok(())
}

pub(super) async fn a_clock_that_went_back_removes_nothing(it: Candidate) -> Done {
    let clock = it.its_clock()?;
    fill(&**it.store(), 2).await?;
    clock.set(nexus_events_dispatch::Clock::now(clock) - Duration::from_secs(3600));
    let trimmed = it.store().trim(Retention::new().age(Duration::from_secs(60))).await?;
    assert_eq!(trimmed, Trimmed::nothing(offset(1)));
    Ok(())
}

pub(super) async fn an_empty_store(it: Candidate) -> Done {
    let trimmed = it.store().trim(so_many(0).bytes(0).age(Duration::ZERO)).await?;
    assert_eq!(trimmed, Trimmed::nothing(offset(1)));
    Ok(())
}

pub(super) async fn offsets_go_on_afterwards(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    it.store().trim(so_many(0)).await?;
    assert!(it.store().bounds().is_empty());
    assert_eq!(fill(&**it.store(), 2).await?.first, offset(6));
    assert_eq!(numbers(&all(&**it.store(), Read::all()).await?), [6, 7]);
    Ok(())
}

pub(super) async fn a_second_one_finds_nothing(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    it.store().trim(so_many(2)).await?;
    assert_eq!(it.store().trim(so_many(2)).await?, Trimmed::nothing(offset(4)));
    Ok(())
}

pub(super) async fn the_epoch_and_the_state_stay(it: Candidate) -> Done {
    fill(&**it.store(), 5).await?;
    it.store().append(Append::new().put("a", "k", "v")).await?;
    let epoch = it.store().bounds().epoch;
    it.store().trim(so_many(0)).await?;
    assert_eq!(it.store().bounds().epoch, epoch);
    assert!(it.store().get("a", b"k").await?.is_some());
    Ok(())
}

/// Ten events, and cursors at these offsets.
async fn held_by(
    store: &dyn EventStore,
    cursors: &[(&str, u64)],
    retention: Retention,
) -> Result<Trimmed> {
    fill(store, 10).await?;
    let cursor =
        |append: Append, (name, at): &(&str, u64)| append.cursor(name, &Cursor::at(offset(*at)));
    store.append(cursors.iter().fold(Append::new(), cursor)).await?;
    store.trim(retention).await
}

pub(super) async fn a_cursor_holds_what_it_has_not_passed(it: Candidate) -> Done {
    let trimmed = held_by(&**it.store(), &[("a", 8), ("b", 4), ("c", 6)], so_many(2)).await?;
    assert_eq!((trimmed.events, trimmed.first), (4, offset(5)));
    assert_eq!(trimmed.held, Some((4, "b".to_owned())));
    assert_eq!(trimmed.lost, []);
    assert_eq!(numbers(&all(&**it.store(), Read::after(offset(4))).await?), upto(5, 10));
    Ok(())
}

pub(super) async fn a_cursor_at_the_start_holds_everything(it: Candidate) -> Done {
    let trimmed = held_by(&**it.store(), &[("a", 0)], so_many(0)).await?;
    assert_eq!((trimmed.events, trimmed.first), (0, offset(1)));
    assert_eq!(trimmed.held, Some((10, "a".to_owned())));
    Ok(())
}

pub(super) async fn cursors_beyond_the_bounds_hold_nothing(it: Candidate) -> Done {
    let trimmed = held_by(&**it.store(), &[("a", 5), ("b", 99)], so_many(5)).await?;
    assert_eq!((trimmed.events, trimmed.held, trimmed.lost), (5, None, vec![]));
    Ok(())
}

pub(super) async fn what_was_held_goes_when_the_cursor_has_moved(it: Candidate) -> Done {
    held_by(&**it.store(), &[("a", 3)], so_many(1)).await?;
    it.store().append(Append::new().cursor("a", &Cursor::at(offset(9)))).await?;
    let trimmed = it.store().trim(so_many(1)).await?;
    assert_eq!((trimmed.events, trimmed.first, trimmed.held), (6, offset(10), None));
    Ok(())
}

pub(super) async fn a_removed_cursor_holds_nothing(it: Candidate) -> Done {
    held_by(&**it.store(), &[("a", 3)], so_many(10)).await?;
    let space = nexus_events_dispatch::store::space::CURSORS;
    it.store().append(Append::new().delete(space, "a")).await?;
    assert_eq!(it.store().trim(so_many(1)).await?.events, 9);
    Ok(())
}

pub(super) async fn what_is_held_is_removed_when_told(it: Candidate) -> Done {
    let retention = so_many(4).held(Held::Remove);
    let trimmed = held_by(&**it.store(), &[("a", 2), ("b", 5), ("c", 6)], retention).await?;
    assert_eq!((trimmed.events, trimmed.first, trimmed.held), (6, offset(7), None));
    assert_eq!(trimmed.lost, [("a".to_owned(), 4), ("b".to_owned(), 1)]);
    Ok(())
}

pub(super) async fn what_was_lost_is_counted_once(it: Candidate) -> Done {
    let retention = so_many(4).held(Held::Remove);
    held_by(&**it.store(), &[("a", 2)], retention).await?;
    let trimmed = it.store().trim(so_many(1).held(Held::Remove)).await?;
    assert_eq!((trimmed.events, trimmed.lost), (3, vec![("a".to_owned(), 3)]));
    Ok(())
}

pub(super) async fn a_cursor_below_what_is_kept_holds_the_rest(it: Candidate) -> Done {
    held_by(&**it.store(), &[("a", 2)], so_many(4).held(Held::Remove)).await?;
    let trimmed = it.store().trim(so_many(1)).await?;
    assert_eq!((trimmed.events, trimmed.held), (0, Some((3, "a".to_owned()))));
    Ok(())
}
