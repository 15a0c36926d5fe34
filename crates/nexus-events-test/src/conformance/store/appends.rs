//! What an append answers, and where its events are.

use nexus_events_dispatch::store::{Append, Offset, Read};

use super::candidate::Candidate;
use super::kit::{all, appending, event, fill, ids, numbers, offset, upto};
use super::outcomes::Done;

pub(super) async fn an_empty_store_has_bounds(it: Candidate) -> Done {
    let bounds = it.store().bounds();
    assert!(bounds.is_empty());
    assert_eq!((bounds.first, bounds.last), (offset(1), Offset::START));
    Ok(())
}

pub(super) async fn one_event(it: Candidate) -> Done {
    let appended = it.store().append(Append::of(event(1))).await?;
    assert_eq!((appended.first, appended.last), (offset(1), offset(1)));
    assert!(!appended.duplicate);
    assert_eq!(it.store().bounds().last, offset(1));
    Ok(())
}

pub(super) async fn many_events_have_neighbouring_offsets(it: Candidate) -> Done {
    let appended = fill(&**it.store(), 5).await?;
    assert_eq!((appended.first, appended.last), (offset(1), offset(5)));
    let events = all(&**it.store(), Read::all()).await?;
    assert_eq!(numbers(&events), upto(1, 5));
    assert_eq!(ids(&events), ["evt-1", "evt-2", "evt-3", "evt-4", "evt-5"]);
    Ok(())
}

pub(super) async fn offsets_go_on(it: Candidate) -> Done {
    for (count, last) in [(2, 2), (1, 3), (3, 6)] {
        let appended = fill(&**it.store(), count).await?;
        assert_eq!(appended.last, offset(last));
        assert_eq!(appended.first, offset(last - count + 1));
    }
    assert_eq!(it.store().bounds().len(), 6);
    Ok(())
}

pub(super) async fn the_epoch_stays(it: Candidate) -> Done {
    let epoch = it.store().bounds().epoch;
    fill(&**it.store(), 3).await?;
    assert_eq!(it.store().bounds().epoch, epoch);
    Ok(())
}

pub(super) async fn nothing_at_all(it: Candidate) -> Done {
    let appended = it.store().append(Append::new()).await?;
    assert_eq!((appended.first, appended.last), (offset(1), Offset::START));
    fill(&**it.store(), 2).await?;
    let appended = it.store().append(Append::new()).await?;
    assert_eq!((appended.first, appended.last), (offset(3), offset(2)));
    assert_eq!(it.store().bounds().len(), 2);
    Ok(())
}

pub(super) async fn state_alone_takes_no_offset(it: Candidate) -> Done {
    let appended = it.store().append(Append::new().put("a", "k", "v")).await?;
    assert_eq!((appended.first, appended.last), (offset(1), Offset::START));
    assert!(it.store().bounds().is_empty());
    assert_eq!(fill(&**it.store(), 1).await?.first, offset(1));
    Ok(())
}

pub(super) async fn versions_of_commits_grow(it: Candidate) -> Done {
    let mut before = 0;
    for append in [appending(1), Append::new().put("a", "k", "v"), appending(3)] {
        let version = it.store().append(append).await?.version;
        assert!(version > before, "{version} after {before}");
        before = version;
    }
    Ok(())
}

pub(super) async fn the_same_event_twice_is_two_events(it: Candidate) -> Done {
    let append = Append::of(event(1)).event(event(1));
    assert_eq!(it.store().append(append.clone()).await?.last, offset(2));
    assert_eq!(it.store().append(append).await?.last, offset(4));
    Ok(())
}

pub(super) async fn events_of_one_append_were_recorded_together(it: Candidate) -> Done {
    let appended = fill(&**it.store(), 3).await?;
    let events = all(&**it.store(), Read::all()).await?;
    assert!(events.iter().all(|stored| stored.recorded == events[0].recorded));
    let apart = (appended.recorded - events[0].recorded).abs();
    assert!(apart < std::time::Duration::from_micros(1), "the answer is {apart} off");
    Ok(())
}

pub(super) async fn the_clock_says_when_it_was_recorded(it: Candidate) -> Done {
    let clock = it.its_clock()?;
    for seconds in [0, 60, 3600] {
        clock.advance(std::time::Duration::from_secs(seconds));
        let now = nexus_events_dispatch::Clock::now(clock);
        assert_eq!(fill(&**it.store(), 1).await?.recorded, now);
        let events = all(&**it.store(), Read::all()).await?;
        assert_eq!(events.last().map(|stored| stored.recorded), Some(now));
    }
    Ok(())
}

pub(super) async fn a_dropped_future_is_committed_all_the_same(it: Candidate) -> Done {
    drop(it.store().append(Append::of(event(1)).put("a", "k", "v")));
    it.store().wait_past(Offset::START).await?;
    // What comes next stands behind it, so it is done then.
    fill(&**it.store(), 1).await?;
    assert_eq!(ids(&all(&**it.store(), Read::all()).await?), ["evt-1", "evt-1"]);
    assert_eq!(it.store().get("a", b"k").await?.map(|state| state.value), Some(b"v".to_vec()));
    Ok(())
}

pub(super) async fn they_stand_in_line_when_called(it: Candidate) -> Done {
    let store = it.store();
    let first = store.append(Append::of(event(1)));
    drop(store.append(Append::of(event(2))));
    let third = store.append(Append::of(event(3)));
    assert_eq!(third.await?.first, offset(3));
    assert_eq!(first.await?.first, offset(1));
    assert_eq!(ids(&all(&**store, Read::all()).await?), ["evt-1", "evt-2", "evt-3"]);
    Ok(())
}
