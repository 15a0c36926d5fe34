//! Which part of the log is read, in which order.

use nexus_events_dispatch::ErrorKind::Trimmed;
use nexus_events_dispatch::store::{Offset, Read, Retention};

use super::candidate::Candidate;
use super::kit::{all, fill, numbers, offset, refused, upto};
use super::outcomes::Done;

/// Of a log of ten events, in one append of four and one of six.
async fn reads(it: Candidate, read: Read, expected: Vec<u64>) -> Done {
    fill(&**it.store(), 4).await?;
    fill(&**it.store(), 6).await?;
    // In one page, in several, and one by one.
    for most in [256, 3, 1] {
        let events = all(&**it.store(), read.clone().events(most)).await?;
        assert_eq!(numbers(&events), expected, "{most} events a page");
    }
    Ok(())
}

fn down(first: u64, last: u64) -> Vec<u64> {
    upto(last, first).into_iter().rev().collect()
}

macro_rules! rows {
    ($($name:ident($read:expr) $expected:expr;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            reads(it, $read, $expected).await
        }
    )* };
}

rows! {
    everything(Read::all()) upto(1, 10);
    everything_backward(Read::all().backward()) down(10, 1);
    after_the_first(Read::after(offset(1))) upto(2, 10);
    after_the_end_of_an_append(Read::after(offset(4))) upto(5, 10);
    after_the_middle(Read::after(offset(6))) upto(7, 10);
    after_the_last_but_one(Read::after(offset(9))) vec![10];
    after_the_last(Read::after(offset(10))) vec![];
    after_what_is_to_come(Read::after(offset(11))) vec![];
    after_the_highest_offset(Read::after(offset(u64::MAX))) vec![];
    until_the_start(Read::all().until(Offset::START)) vec![];
    until_the_first(Read::all().until(offset(1))) vec![1];
    until_the_middle(Read::all().until(offset(7))) upto(1, 7);
    until_the_last(Read::all().until(offset(10))) upto(1, 10);
    until_beyond_the_last(Read::all().until(offset(u64::MAX))) upto(1, 10);
    between(Read::after(offset(2)).until(offset(8))) upto(3, 8);
    between_one_and_the_next(Read::after(offset(4)).until(offset(5))) vec![5];
    between_one_and_itself(Read::after(offset(5)).until(offset(5))) vec![];
    between_the_wrong_way_round(Read::after(offset(8)).until(offset(2))) vec![];
    after_backward(Read::after(offset(7)).backward()) down(10, 8);
    until_backward(Read::all().until(offset(3)).backward()) down(3, 1);
    between_backward(Read::after(offset(2)).until(offset(6)).backward()) down(6, 3);
    nothing_backward(Read::after(offset(10)).backward()) vec![];
    the_first_alone_backward(Read::all().until(offset(1)).backward()) vec![1];
}

pub(super) async fn an_empty_log(it: Candidate) -> Done {
    for read in [Read::all(), Read::all().backward(), Read::after(offset(5))] {
        let page = it.store().read(read).await?;
        assert_eq!((page.events.len(), page.next), (0, None));
    }
    Ok(())
}

/// A log whose first event is the sixth of ten.
async fn trimmed(it: &Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    it.store().trim(Retention::new().events(5)).await?;
    Ok(())
}

pub(super) async fn all_means_what_is_kept(it: Candidate) -> Done {
    trimmed(&it).await?;
    assert_eq!(numbers(&all(&**it.store(), Read::all()).await?), upto(6, 10));
    assert_eq!(numbers(&all(&**it.store(), Read::all().backward()).await?), down(10, 6));
    assert_eq!(all(&**it.store(), Read::all().until(offset(5))).await?, []);
    Ok(())
}

pub(super) async fn below_the_first_kept(it: Candidate) -> Done {
    trimmed(&it).await?;
    for after in [1, 4] {
        refused(it.store().read(Read::after(offset(after))).await, Trimmed);
        refused(it.store().read(Read::after(offset(after)).backward()).await, Trimmed);
        refused(it.store().read(Read::after(offset(after)).until(offset(3))).await, Trimmed);
    }
    Ok(())
}

pub(super) async fn right_below_the_first_kept(it: Candidate) -> Done {
    trimmed(&it).await?;
    assert_eq!(numbers(&all(&**it.store(), Read::after(offset(5))).await?), upto(6, 10));
    let backward = Read::after(offset(5)).backward();
    assert_eq!(numbers(&all(&**it.store(), backward).await?), down(10, 6));
    Ok(())
}

pub(super) async fn a_log_of_which_all_is_removed(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    it.store().trim(Retention::new().events(0)).await?;
    assert_eq!(all(&**it.store(), Read::all()).await?, []);
    assert_eq!(all(&**it.store(), Read::after(offset(10))).await?, []);
    refused(it.store().read(Read::after(offset(9))).await, Trimmed);
    Ok(())
}

pub(super) async fn a_page_goes_on_where_events_were_removed(it: Candidate) -> Done {
    fill(&**it.store(), 10).await?;
    let page = it.store().read(Read::all().events(3)).await?;
    let next = page.next.expect("seven events are left");
    it.store().trim(Retention::new().events(5)).await?;
    refused(it.store().read(next).await, Trimmed);
    Ok(())
}
