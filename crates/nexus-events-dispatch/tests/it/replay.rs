//! A part of the log given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_events_dispatch::store::{EventStore, MemoryStore, Offset, Read, Retention, Select};
use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, ManualClock, Pace, Replay, ReplayCounts, ReplayEnd,
    ReplayStop, ReplayedRange,
};
use nexus_events_model::{Event, Filter, Pattern};
use time::macros::datetime;
use tokio::time::Instant;

use crate::{Log, event};

const SECOND: Duration = Duration::from_secs(1);

/// Events 1 to 10, a minute apart; odd ones are of type `a`, even ones of type `b`.
async fn recorded() -> (Arc<MemoryStore>, Bus) {
    let clock = ManualClock::new(datetime!(2026-01-02 12:00:00 UTC));
    let store = Arc::new(MemoryStore::new().clock(clock.clone()));
    let bus = Bus::builder().store(store.clone()).open().await.unwrap();
    for number in 1..=10 {
        let name = if number % 2 == 1 { "a" } else { "b" };
        bus.publish(event(name).id(number.to_string())).await.unwrap();
        clock.advance(60 * SECOND);
    }
    (store, bus)
}

fn ids(log: &Log) -> impl Fn(&Event) + Send + Sync + 'static {
    let log = log.clone();
    move |event: &Event| log.add(event.id().to_string())
}

fn counts(handled: u64, failed: u64, skipped: u64, cancelled: u64) -> ReplayCounts {
    let mut counts = ReplayCounts::default();
    (counts.handled, counts.failed) = (handled, failed);
    (counts.skipped, counts.cancelled) = (skipped, cancelled);
    counts
}

async fn replay(bus: &Bus, replay: Replay) -> ReplayedRange {
    bus.replay(replay).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_range_is_given_to_one_handler() {
    let (store, bus) = recorded().await;
    let (log, other) = (Log::default(), Log::default());
    bus.on("a", ids(&log).named("one")).unwrap();
    bus.on("**", ids(&other).named("other")).unwrap();
    let range = Replay::after(Offset::new(2)).until(Offset::new(8)).to_handler("one");
    let report = replay(&bus, range.clone()).await;
    assert_eq!((log.take().join(" "), other.take().len()), ("3 5 7".into(), 0));
    assert_eq!((report.events, report.total), (6, counts(3, 0, 0, 0)));
    assert_eq!(
        (report.last, report.until, report.is_success()),
        (Offset::new(8), Offset::new(8), true)
    );
    // Nothing is stored again.
    assert_eq!((store.bounds().last, bus.history(99, None).len()), (Offset::new(10), 10));
    let late = Select::new().since(datetime!(2026-01-02 12:06:00 UTC));
    replay(&bus, range.select(late)).await;
    assert_eq!(log.take(), ["7"]);
}

#[tokio::test(start_paused = true)]
async fn a_range_is_given_to_all_in_the_order_of_their_turns() {
    let (_, bus) = recorded().await;
    let log = Log::default();
    bus.on("a", log.writes("low").named("low").priority(-1)).unwrap();
    bus.on("a", log.writes_async("high").named("high").priority(1)).unwrap();
    bus.on("a", log.writes_async("durable").durable("durable")).unwrap();
    let fails = |_: &Event| Err::<(), _>("no");
    bus.on("b", fails.named("fails")).unwrap();
    let odd = Filter::parse("event_id == \"1\"").unwrap();
    bus.on("a", log.writes("filtered").named("filtered").with(|it| it.filter(odd))).unwrap();
    let report = replay(&bus, Replay::all().until(Offset::new(4))).await;
    assert_eq!(log.take().join(" "), "high filtered durable low high durable low");
    assert_eq!(report.total, counts(7, 2, 1, 0));
    assert_eq!(report.handlers["fails"], counts(0, 2, 0, 0));
    assert_eq!(report.handlers["filtered"], counts(1, 0, 1, 0));
    assert!(!report.is_success());
    // Where the durable handler is in the log does not change.
    bus.idle().await;
    assert_eq!((log.take().len(), bus.consumers()[0].handled), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn handlers_see_that_it_is_a_replay() {
    let (store, bus) = recorded().await;
    let log = Log::default();
    for (name, mode) in [("inline", false), ("queued", true)] {
        let log = log.clone();
        let tell = move |_: &Event, context: &Context| log.add(context.is_replay().to_string());
        let mode = if mode {
            nexus_events_dispatch::Mode::Queued
        } else {
            nexus_events_dispatch::Mode::Inline
        };
        bus.on("a", tell.named(name).mode(mode)).unwrap();
    }
    replay(&bus, Replay::all().until(Offset::new(1))).await;
    assert_eq!(log.take(), ["true", "true"]);
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(log.take(), ["false", "false"]);
    // What a handler publishes then is no replay.
    bus.on("b", |_: &Event, context: &Context| context.publish(event("a")).map(drop)).unwrap();
    replay(&bus, Replay::after(Offset::new(1)).until(Offset::new(2))).await;
    bus.idle().await;
    assert_eq!((log.take().join(" "), store.bounds().last.number()), ("false false".into(), 12));
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_is_not_given_to_those_below() {
    let store = Arc::new(MemoryStore::new());
    let bus = Bus::builder().store(store.clone()).open().await.unwrap();
    let on = Arc::new(AtomicBool::new(true));
    let (log, is_on) = (Log::default(), on.clone());
    let validate = move |event: &Event, context: &Context| {
        if is_on.load(Ordering::Relaxed) && *event.id() == "2" {
            context.cancel("invalid");
        }
    };
    bus.on("a", validate.named("validate").priority(10)).unwrap();
    bus.on("a", ids(&log).named("above").priority(20)).unwrap();
    bus.on("a", ids(&log).named("below")).unwrap();
    for number in 1..=3 {
        bus.publish(event("a").id(number.to_string())).await.unwrap();
    }
    assert_eq!(log.take(), ["1", "1", "2", "3", "3"]);
    on.store(false, Ordering::Relaxed);
    for dry in [true, false] {
        let all = Replay::all();
        let report = replay(&bus, if dry { all.dry_run() } else { all }).await;
        assert_eq!(report.handlers["below"], counts(2, 0, 0, 1));
        assert_eq!(report.handlers["validate"], counts(3, 0, 0, 0));
    }
    assert_eq!(log.take(), ["1", "1", "2", "3", "3"]);
    // One that is cancelled in a replay is so in that replay alone.
    on.store(true, Ordering::Relaxed);
    let before = store.stats().appends;
    let report = replay(&bus, Replay::all()).await;
    assert_eq!((report.total.cancelled, store.stats().appends), (1, before));
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_kept() {
    let (_, bus) = recorded().await;
    let check = async |pace, expected: u64| {
        let started = Instant::now();
        assert_eq!(replay(&bus, Replay::all().pace(pace)).await.events, 10);
        assert_eq!(started.elapsed().as_secs(), expected);
    };
    check(Pace::Full, 0).await;
    check(Pace::Speed(1.0), 540).await;
    check(Pace::Speed(60.0), 9).await;
    check(Pace::PerSecond(0.5), 18).await;
    let error = bus.replay(Replay::all().pace(Pace::Speed(0.0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    // A dry run waits for nothing.
    let started = Instant::now();
    replay(&bus, Replay::all().pace(Pace::Speed(0.001)).dry_run()).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_who_would_get_what() {
    let (_, bus) = recorded().await;
    let log = Log::default();
    bus.on("a", ids(&log).named("one")).unwrap();
    let filter = Filter::parse("event_id == \"1\"").unwrap();
    bus.on("**", ids(&log).named("other").with(|it| it.filter(filter))).unwrap();
    let report = replay(&bus, Replay::all().dry_run()).await;
    assert_eq!(
        (report.handlers["one"], report.handlers["other"]),
        (counts(5, 0, 0, 0), counts(1, 0, 9, 0))
    );
    assert_eq!((report.last, log.take().len()), (Offset::new(10), 0));
}

#[tokio::test(start_paused = true)]
async fn it_stops_on_request_and_goes_on_where_it_was() {
    let (_, bus) = recorded().await;
    let (log, stop) = (Log::default(), ReplayStop::new());
    bus.on("**", ids(&log)).unwrap();
    let (stops, seen) = (stop.clone(), Log::default());
    let tell = seen.clone();
    let progress = move |report: &ReplayedRange| {
        tell.add(format!("{}/{}", report.last, report.until));
        if report.events == 4 {
            stops.stop();
        }
    };
    let report = replay(&bus, Replay::all().progress(progress).stop_with(stop)).await;
    assert!(matches!(report.end, ReplayEnd::Stopped));
    assert_eq!((log.take().join(" "), report.last), ("1 2 3 4".into(), Offset::new(4)));
    assert_eq!(seen.take(), ["1/10", "2/10", "3/10", "4/10"]);
    let report = replay(&bus, Replay::after(report.last)).await;
    assert_eq!((log.take().join(" "), report.events), ("5 6 7 8 9 10".into(), 6));
    // While it waits for the next one, too.
    let stop = ReplayStop::new();
    let slow = Replay::all().pace(Pace::PerSecond(1e-9)).stop_with(stop.clone());
    let (report, ()) = tokio::join!(replay(&bus, slow), async {
        tokio::time::advance(SECOND).await;
        stop.stop();
    });
    assert_eq!((report.events, log.take().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_it_with_what_was_done() {
    let (_, bus) = recorded().await;
    let closing = bus.clone();
    let third = async move |event: Event, context: Context| {
        if *event.id() == "3" {
            context.bus().shutdown(Duration::ZERO).await;
        }
    };
    bus.on("**", third).unwrap();
    let report = replay(&closing, Replay::all()).await;
    assert!(matches!(&report.end, ReplayEnd::Failed(error) if error.kind() == ErrorKind::Closed));
    assert!(report.last < Offset::new(4));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replayed_is_refused() {
    let error = async |bus: &Bus, replay: Replay| bus.replay(replay).await.unwrap_err();
    assert_eq!(error(&Bus::new(), Replay::all()).await.kind(), ErrorKind::Unsupported);
    let (_, bus) = recorded().await;
    assert_eq!(error(&bus, Replay::all().to_handler("x")).await.kind(), ErrorKind::UnknownHandler);
    assert_eq!(replay(&bus, Replay::after(Offset::new(99))).await.events, 0);
    let store = Arc::new(MemoryStore::keeping(Retention::new().events(3)));
    let bus = Bus::builder().store(store.clone()).open().await.unwrap();
    for _ in 0..9 {
        bus.publish(event("a")).await.unwrap();
    }
    assert_eq!(error(&bus, Replay::after(Offset::new(1))).await.kind(), ErrorKind::Trimmed);
    assert_eq!(replay(&bus, Replay::all()).await.events, 3);
    let pattern = Select::new().pattern(Pattern::new("none").unwrap());
    let report = replay(&bus, Replay::all().select(pattern)).await;
    assert_eq!((report.events, report.last), (0, Offset::new(9)));
    assert_eq!(store.read(Read::all()).await.unwrap().events.len(), 3);
}
