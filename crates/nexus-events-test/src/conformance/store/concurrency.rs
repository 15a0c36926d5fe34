//! Many at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_events_dispatch::store::{
    Ack, Append, EventStore, Expected, Follow, Offset, Read, StoredEvent,
};
use nexus_events_dispatch::{ErrorKind, Result};
use tokio::task::JoinSet;

use super::candidate::{Candidate, Stop};
use super::kit::{all, appending, built, draft, event, numbers, offset, upto};
use super::outcomes::Done;

const APPENDERS: u64 = 8;
const APPENDS: u64 = 25;

/// Its `n`-th append has one event or more, numbered on.
fn lot(appender: u64, n: u64) -> Append {
    let events = 1 + (appender + n) % 3;
    let ack = [Ack::Memory, Ack::Buffered, Ack::Synced][(n % 3) as usize];
    let event = |part| built(draft(n * 10 + part).source(format!("appender-{appender}")));
    (0..events).map(event).fold(Append::new(), Append::event).ack(ack)
}

fn events_in_all() -> u64 {
    let appends = (0..APPENDERS).flat_map(|appender| (0..APPENDS).map(move |n| (appender, n)));
    appends.map(|(appender, n)| lot(appender, n).events.len() as u64).sum()
}

fn start(store: &Arc<dyn EventStore>) -> JoinSet<Result<Vec<(u64, u64)>>> {
    let mut appenders = JoinSet::new();
    for appender in 0..APPENDERS {
        let store = Arc::clone(store);
        appenders.spawn(async move {
            let mut ranges = Vec::new();
            for n in 0..APPENDS {
                let appended = store.append(lot(appender, n)).await?;
                ranges.push((appended.first.number(), appended.last.number()));
            }
            Ok(ranges)
        });
    }
    appenders
}

async fn ranges(mut appenders: JoinSet<Result<Vec<(u64, u64)>>>) -> Result<Vec<(u64, u64)>, Stop> {
    let mut all = Vec::new();
    while let Some(ranges) = appenders.join_next().await {
        all.extend(ranges.expect("it did not panic")?);
    }
    all.sort_unstable();
    Ok(all)
}

pub(super) async fn offsets_have_no_gap(it: Candidate) -> Done {
    let mut next = 1;
    for (first, last) in ranges(start(it.store())).await? {
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, events_in_all() + 1);
    it.store().wait_past(offset(next - 2)).await?;
    let events = all(&**it.store(), Read::all()).await?;
    assert_eq!(numbers(&events), upto(1, events_in_all()));
    Ok(())
}

#[track_caller]
fn keep_the_order_of_each_appender(events: &[StoredEvent]) {
    let mut latest: HashMap<&str, u64> = HashMap::new();
    for stored in events {
        let id = stored.event.id().to_string();
        let number: u64 = id.trim_start_matches("evt-").parse().expect("a number");
        if let Some(before) = latest.insert(stored.event.source(), number) {
            assert!(before < number, "{} after {before}", stored.event.id());
        }
    }
    assert_eq!(latest.len() as u64, APPENDERS);
}

pub(super) async fn each_appender_keeps_its_order(it: Candidate) -> Done {
    ranges(start(it.store())).await?;
    it.store().wait_past(offset(events_in_all() - 1)).await?;
    keep_the_order_of_each_appender(&all(&**it.store(), Read::all()).await?);
    Ok(())
}

async fn follows(it: Candidate, already: u64, after: u64) -> Done {
    if already > 0 {
        it.store().append(appending(already)).await?;
    }
    let mut followers = JoinSet::new();
    let last = already + events_in_all();
    for page in [1, 7, 256] {
        let mut follow = Follow::new(Arc::clone(it.store()), offset(after)).events(page);
        followers.spawn(async move {
            let mut offsets = Vec::new();
            while offsets.last() != Some(&last) && offsets.len() as u64 <= last {
                offsets.push(follow.next().await?.offset.number());
            }
            Ok::<_, Stop>(offsets)
        });
    }
    ranges(start(it.store())).await?;
    while let Some(offsets) = followers.join_next().await {
        assert_eq!(offsets.expect("it did not panic")?, upto(after + 1, last));
    }
    Ok(())
}

pub(super) async fn followers_from_the_start_miss_nothing(it: Candidate) -> Done {
    follows(it, 0, 0).await
}

pub(super) async fn followers_of_a_past_miss_nothing(it: Candidate) -> Done {
    follows(it, 500, 0).await
}

pub(super) async fn followers_from_the_middle_miss_nothing(it: Candidate) -> Done {
    follows(it, 100, 57).await
}

pub(super) async fn followers_of_what_is_to_come_miss_nothing(it: Candidate) -> Done {
    follows(it, 3, 20).await
}

pub(super) async fn of_many_that_expect_the_same_one_happens(it: Candidate) -> Done {
    let mut appends = JoinSet::new();
    for n in 0..16 {
        let store = Arc::clone(it.store());
        let append = Append::new().keyed_event("k", event(n)).expect_key("k", Expected::Absent);
        appends.spawn(async move { store.append(append).await });
    }
    let mut happened = 0;
    while let Some(appended) = appends.join_next().await {
        match appended.expect("it did not panic") {
            Ok(_) => happened += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!((happened, it.store().bounds().len()), (1, 1));
    Ok(())
}

pub(super) async fn of_many_duplicates_one_happens(it: Candidate) -> Done {
    let mut appends = JoinSet::new();
    for n in 0..16 {
        let store = Arc::clone(it.store());
        appends.spawn(async move { store.append(Append::of(event(n)).idempotency_key("k")).await });
    }
    let mut first = 0;
    while let Some(appended) = appends.join_next().await {
        let appended = appended.expect("it did not panic")?;
        assert_eq!(appended.first, offset(1));
        first += u64::from(!appended.duplicate);
    }
    assert_eq!((first, it.store().bounds().len()), (1, 1));
    Ok(())
}

pub(super) async fn a_counter_loses_no_increment(it: Candidate) -> Done {
    let mut counters = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(it.store());
        counters.spawn(async move {
            for _ in 0..20 {
                while !increments(&*store).await? {}
            }
            Ok::<_, Stop>(())
        });
    }
    while let Some(done) = counters.join_next().await {
        done.expect("it did not panic")?;
    }
    let state = it.store().get("a", b"count").await?.expect("it was put");
    assert_eq!(state.value, [80]);
    Ok(())
}

/// Whether nobody came in between.
async fn increments(store: &dyn EventStore) -> Result<bool, Stop> {
    let state = store.get("a", b"count").await?;
    let (value, version) = state.map_or((0, 0), |state| (state.value[0], state.version));
    let append = Append::new().put_if(Expected::Exact(version), "a", "count", [value + 1]);
    match store.append(append).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn readers_see_whole_appends(it: Candidate) -> Done {
    let store = Arc::clone(it.store());
    let appender = tokio::spawn(async move {
        for _ in 0..50 {
            store.append(appending(3)).await?;
        }
        Ok::<_, Stop>(())
    });
    let mut last = Offset::START;
    while last < offset(150) {
        it.store().wait_past(last).await?;
        let bounds = it.store().bounds();
        assert!(bounds.last >= last, "the last offset went back");
        assert_eq!(bounds.last.number() % 3, 0, "part of an append is shown");
        last = bounds.last;
    }
    appender.await.expect("it did not panic")
}
