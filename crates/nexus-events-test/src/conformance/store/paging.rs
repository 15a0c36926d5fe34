//! How much comes at a time.

use nexus_events_dispatch::store::{Append, Read, Select};
use nexus_events_model::Pattern;

use super::candidate::Candidate;
use super::kit::{all, appending, built, draft, event, fill, large, numbers, offset, pages, upto};
use super::outcomes::Done;

pub(super) async fn no_page_has_more_events_than_asked_for(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    for most in [1, 2, 3, 7, 10, 11] {
        for read in [Read::all().events(most), Read::all().events(most).backward()] {
            let pages = pages(&**it.store(), read).await?;
            assert!(pages.iter().all(|page| page.len() <= most));
            assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 10);
        }
    }
    Ok(())
}

pub(super) async fn none_at_all_means_one(it: Candidate) -> Done {
    fill(&**it.store(), 3).await?;
    let mut read = Read::all();
    read.events_max = 0;
    let pages = pages(&**it.store(), read).await?;
    assert!(pages.iter().all(|page| page.len() <= 1));
    assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 3);
    assert_eq!(it.store().read(Read::all().events(0)).await?.events.len(), 1);
    Ok(())
}

pub(super) async fn the_default_is_256_events(it: Candidate) -> Done {
    fill(&**it.store(), 300).await?;
    let pages = pages(&**it.store(), Read::all()).await?;
    assert!(pages.iter().all(|page| page.len() <= 256));
    assert_eq!(numbers(&pages.concat()), upto(1, 300));
    Ok(())
}

pub(super) async fn no_page_has_far_more_bytes_than_asked_for(it: Candidate) -> Done {
    let append = (1..=8).map(|n| large(n, 10_000)).fold(Append::new(), Append::event);
    it.store().append(append).await?;
    for read in [Read::all().bytes(25_000), Read::all().bytes(25_000).backward()] {
        let pages = pages(&**it.store(), read).await?;
        assert!(pages.iter().all(|page| page.len() <= 3), "about 2 events have so many bytes");
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 8);
    }
    Ok(())
}

pub(super) async fn no_bytes_at_all_means_one_event(it: Candidate) -> Done {
    fill(&**it.store(), 3).await?;
    let pages = pages(&**it.store(), Read::all().bytes(0)).await?;
    assert!(pages.iter().all(|page| page.len() <= 1));
    assert_eq!(numbers(&pages.concat()), upto(1, 3));
    Ok(())
}

pub(super) async fn one_event_larger_than_a_page(it: Candidate) -> Done {
    let append = Append::of(event(1)).event(large(2, 100_000)).event(event(3));
    it.store().append(append).await?;
    let read = Read::all().bytes(5_000);
    assert_eq!(numbers(&all(&**it.store(), read.clone()).await?), upto(1, 3));
    assert_eq!(numbers(&all(&**it.store(), read.backward()).await?), [3, 2, 1]);
    Ok(())
}

pub(super) async fn the_last_page_has_no_next(it: Candidate) -> Done {
    fill(&**it.store(), 6).await?;
    let mut read = Read::all().events(3);
    for _ in 0..10 {
        match it.store().read(read).await?.next {
            Some(next) => read = next,
            None => return Ok(()),
        }
    }
    panic!("six events have more than ten pages");
}

pub(super) async fn every_page_is_further_on(it: Candidate) -> Done {
    fill(&**it.store(), 50).await?;
    let none = Select::new().source("nobody");
    let all_of_them = [Read::all(), Read::all().backward()];
    for read in all_of_them.clone().into_iter().chain(all_of_them.map(|it| it.select(none.clone())))
    {
        let (mut read, mut left) = (read.events(1), 51);
        while let Some(next) = it.store().read(read.clone()).await?.next {
            let is_further = next.after > read.after
                || next.until.unwrap_or(offset(50)) < read.until.unwrap_or(offset(51));
            assert!(is_further, "{next:?} after {read:?}");
            left -= 1;
            assert!(left > 0, "there are more pages than events");
            read = next;
        }
    }
    Ok(())
}

pub(super) async fn the_next_page_is_the_same_read(it: Candidate) -> Done {
    fill(&**it.store(), 9).await?;
    let select = Select::new().pattern(Pattern::new("test.*").expect("a valid pattern"));
    let read = Read::after(offset(1)).until(offset(8)).events(2).bytes(1 << 20).select(select);
    for read in [read.clone(), read.backward()] {
        let next = it.store().read(read.clone()).await?.next.expect("five events are left");
        let same =
            |read: &Read| (read.direction, read.select.clone(), read.events_max, read.bytes_max);
        assert_eq!(same(&next), same(&read));
    }
    Ok(())
}

pub(super) async fn few_of_many_are_found(it: Candidate) -> Done {
    let rare = |n| if n % 700 == 0 { built(draft(n).source("rare")) } else { event(n) };
    for lot in 0..5 {
        let events = (lot * 700 + 1..=(lot + 1) * 700).map(rare);
        it.store().append(events.fold(Append::new(), Append::event)).await?;
    }
    let read = Read::all().select(Select::new().source("rare")).events(2);
    let found = [700, 1400, 2100, 2800, 3500];
    assert_eq!(numbers(&all(&**it.store(), read.clone()).await?), found);
    let mut back = numbers(&all(&**it.store(), read.backward()).await?);
    back.reverse();
    assert_eq!(back, found);
    Ok(())
}

pub(super) async fn what_comes_meanwhile_is_on_the_last_page(it: Candidate) -> Done {
    fill(&**it.store(), 4).await?;
    let page = it.store().read(Read::all().events(3)).await?;
    it.store().append(appending(2)).await?;
    let rest = all(&**it.store(), page.next.expect("an event is left")).await?;
    assert_eq!(numbers(&rest), upto(4, 6));
    Ok(())
}
