//! Scheduling, listing, cancelling, moving.

use std::sync::Arc;

use nexus_events_dispatch::limits::SCHEDULED_MAX;
use nexus_events_dispatch::store::{
    Append, EventStore, MemoryStore, Read, Retention, StateStore, space,
};
use nexus_events_dispatch::{
    Bus, Context, ErrorKind, HandlerExt, ManualClock, Misfire, Persist, Schedule, ScheduledFilter,
};
use nexus_events_model::{Event, Pattern};

use super::{HOUR, NOON, Program, SECOND, settle, timer};

#[tokio::test(start_paused = true)]
async fn an_event_fires_when_it_is_due_and_is_stored_then() {
    let (store, program) = Program::new().await;
    program.bus.publish_after(timer("b"), 20 * SECOND).await.unwrap();
    program.bus.publish_at(timer("a"), NOON + 10 * SECOND).await.unwrap();
    assert_eq!(program.waiting().await, ["a", "b"]);
    program.pass(9 * SECOND).await;
    assert_eq!((program.log.take().len(), store.bounds().last.number()), (0, 0));
    let stats = program.bus.scheduled_stats();
    assert_eq!((stats.waiting, stats.next_due), (2, Some(NOON + 10 * SECOND)));
    program.pass(SECOND).await;
    assert_eq!(program.log.take(), ["a"]);
    program.pass(60 * SECOND).await;
    assert_eq!(program.log.take(), ["b"]);
    let stats = program.bus.scheduled_stats();
    assert_eq!((stats.waiting, stats.fired, stats.next_due), (0, 2, None));
    let page = store.read(Read::all()).await.unwrap();
    assert_eq!(page.events[0].event.timestamp(), NOON + 10 * SECOND);
    assert_eq!(page.events.len(), 2);
    assert!(store.get(space::SCHEDULED_IDS, b"a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_past_fires_at_once() {
    let (_, program) = Program::new().await;
    for (id, ago) in [("c", 1), ("a", 3), ("b", 2)] {
        program.bus.publish_at(timer(id), NOON - ago * HOUR).await.unwrap();
    }
    settle(SECOND).await;
    assert_eq!(program.log.take().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_durable_handler_gets_it() {
    let (_, program) = Program::new().await;
    let log = program.log.clone();
    program.bus.on("timer.*", log.writes_async("durable").durable("durable")).unwrap();
    program.bus.publish_after(timer("a"), 10 * SECOND).await.unwrap();
    program.pass(12 * SECOND).await;
    assert_eq!(program.log.take(), ["a", "durable"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_or_moved_does_not_fire_then() {
    let (_, program) = Program::new().await;
    let bus = &program.bus;
    let mut ids = Vec::new();
    for id in ["a", "b", "c"] {
        ids.push(bus.publish_after(timer(id), 10 * SECOND).await.unwrap());
    }
    assert_eq!(bus.cancel_scheduled(&ids[0]).await.unwrap().id, ids[0]);
    let moved = bus.reschedule(&ids[1], NOON + 30 * SECOND).await.unwrap();
    assert_eq!((&moved.id, moved.due, moved.scheduled), (&ids[1], NOON + 30 * SECOND, NOON));
    program.pass(20 * SECOND).await;
    assert_eq!(
        (program.log.take(), program.waiting().await),
        (vec!["c".to_owned()], vec!["b".to_owned()])
    );
    // To an earlier time, and to where it is.
    bus.reschedule(&ids[1], NOON + 25 * SECOND).await.unwrap();
    bus.reschedule(&ids[1], NOON + 25 * SECOND).await.unwrap();
    program.pass(6 * SECOND).await;
    assert_eq!(program.log.take(), ["b"]);
    for id in &ids {
        assert_eq!(bus.cancel_scheduled(id).await.unwrap_err().kind(), ErrorKind::UnknownScheduled);
        let error = bus.reschedule(id, NOON).await.unwrap_err();
        assert!(error.to_string().contains(&format!("nothing is scheduled as `{id}`")), "{error}");
    }
    let stats = bus.scheduled_stats();
    assert_eq!((stats.fired, stats.cancelled, stats.waiting), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_same_id_is_scheduled_once() {
    let (_, program) = Program::new().await;
    program.bus.publish_after(timer("a"), HOUR).await.unwrap();
    let error = program.bus.publish_after(timer("a"), 2 * HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`a` is scheduled already; `reschedule` it"), "{error}");
    assert_eq!(program.bus.scheduled_stats().waiting, 1);
    // One that was published before does not come again.
    program.bus.publish_after(timer("b"), 10 * SECOND).await.unwrap();
    program.bus.publish(timer("b")).await.unwrap();
    program.pass(12 * SECOND).await;
    assert_eq!(program.log.take(), ["b"]);
    let stats = program.bus.scheduled_stats();
    assert_eq!((stats.waiting, stats.skipped, stats.fired), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_list_is_read_page_by_page_and_by_pattern() {
    let (_, program) = Program::new().await;
    for number in 0..600_u32 {
        let name = if number % 2 == 0 { "timer.even" } else { "timer.odd" };
        let event = Event::builder(name).id(format!("{number:03}"));
        program.bus.publish_at(event, NOON + HOUR + number % 7 * SECOND).await.unwrap();
    }
    let odd = ScheduledFilter::new().pattern(Pattern::new("*.odd").unwrap()).limit(70);
    let (mut all, mut filter) = (Vec::new(), odd.clone());
    loop {
        let page = program.bus.scheduled(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 70);
        filter = odd.clone().after(last);
        all.extend(page);
    }
    assert_eq!(all.len(), 300);
    assert!(all.is_sorted_by_key(|one| (one.due, one.id.to_string())));
    assert!(all.iter().all(|one| one.event.event_type() == "timer.odd"));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_schedules_belongs_to_its_conversation() {
    let (_, program) = Program::new().await;
    let remind = async |_: Event, context: Context| {
        context.bus().publish_after(timer("later"), 10 * SECOND).await.map(drop)
    };
    program.bus.on("order.created", remind).unwrap();
    let order = Event::builder("order.created").id("evt-1").correlation_id("c-1");
    program.bus.publish_and_wait(order).await.unwrap();
    let all = program.bus.scheduled(&ScheduledFilter::new()).await.unwrap();
    assert_eq!(all[0].event.correlation_id().unwrap().to_string(), "c-1");
    assert_eq!(all[0].event.causation_id().unwrap().to_string(), "evt-1");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_fires_all_the_same() {
    let store = Arc::new(MemoryStore::new());
    let persist = Persist::to(store.clone()).only(Pattern::new("order.*").unwrap());
    let clock = ManualClock::new(NOON);
    let bus = Bus::builder().store(persist).clock(clock.clone()).open().await.unwrap();
    let log = crate::Log::default();
    bus.on("timer.*", log.writes("timer")).unwrap();
    bus.publish_at(timer("a"), NOON - HOUR).await.unwrap();
    settle(SECOND).await;
    assert_eq!((log.take().len(), store.bounds().last.number()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn bad_times_and_buses_are_refused() {
    let (store, program) = Program::new().await;
    let bus = &program.bus;
    let check = |result: nexus_events_dispatch::Result<_>, kind, text: &str| {
        let error = result.map(drop).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    };
    let far = bus.publish_after(timer("a"), std::time::Duration::MAX).await;
    check(far, ErrorKind::InvalidOption, "beyond every calendar");
    let long = bus.publish_after(timer(&"x".repeat(256)), SECOND).await;
    check(long, ErrorKind::TooLarge, "256 bytes");
    let none = Bus::new();
    check(none.publish_after(timer("a"), SECOND).await, ErrorKind::Unsupported, "has no store");
    assert_eq!(
        none.scheduled(&ScheduledFilter::new()).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    // What cannot be read stays, and holds up nothing.
    let broken = Append::new().put(space::SCHEDULED, vec![0], "no JSON");
    store.append(broken).await.unwrap();
    bus.publish_at(timer("a"), NOON).await.unwrap();
    settle(SECOND).await;
    assert_eq!(program.log.take(), ["a"]);
    assert!(store.get(space::SCHEDULED, &[0]).await.unwrap().is_some());
    bus.shutdown(SECOND).await;
    check(bus.publish_after(timer("b"), SECOND).await, ErrorKind::Closed, "shut down");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_scheduled_than_may_be() {
    let store = Arc::new(MemoryStore::keeping(Retention::new()));
    let ids =
        |append: Append, number: usize| append.put(space::SCHEDULED_IDS, format!("{number}"), "");
    store.append((1..SCHEDULED_MAX).fold(Append::new(), ids)).await.unwrap();
    let program = Program::open(&store, &ManualClock::new(NOON)).await;
    let bus = &program.bus;
    bus.publish_after(timer("last"), HOUR).await.unwrap();
    let error = bus.publish_after(timer("none"), HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(bus.scheduled_stats().waiting, SCHEDULED_MAX);
    // Another bus makes room.
    store.append(Append::new().delete(space::SCHEDULED_IDS, "1")).await.unwrap();
    bus.publish_after(timer("none"), HOUR).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_one_is_skipped_where_that_is_wanted() {
    let (_, program) = Program::new().await;
    let within = |grace| Misfire::Skip { grace };
    for (id, misfire) in [("a", within(HOUR)), ("b", within(3 * HOUR)), ("c", Misfire::PublishOnce)]
    {
        let schedule = Schedule::at(NOON - 2 * HOUR).misfire(misfire);
        program.bus.schedule(timer(id), schedule).await.unwrap();
    }
    settle(SECOND).await;
    let mut fired = program.log.take();
    fired.sort();
    assert_eq!(
        (fired, program.bus.scheduled_stats().skipped),
        (vec!["b".to_owned(), "c".to_owned()], 1)
    );
    assert_eq!(program.waiting().await.len(), 0);
}
