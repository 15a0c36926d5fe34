//! The time of day is set to another one.

use nexus_events_dispatch::layers::DeadLetters;
use nexus_events_dispatch::store::{EventStore, MemoryStore};
use nexus_events_dispatch::{
    Bus, Context, Durable, HandlerError, HandlerExt, ManualClock, Misfire, Schedule,
};
use nexus_events_model::Event;
use std::sync::Arc;
use time::macros::datetime;

use super::{HOUR, NOON, Program, SECOND, settle, timer};

/// A timer that rings every ten seconds: what it does is to set itself again.
fn every_ten_seconds(program: &Program) {
    let again = async |event: Event, context: Context| {
        let number: u32 = event.id().to_string().parse().unwrap();
        let next = timer(&format!("{}", number + 1));
        context.bus().publish_after(next, 10 * SECOND).await.map(drop)
    };
    program.bus.on("timer.rang", again.named("again")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn d19_an_hour_back_fires_nothing_again_and_a_day_ahead_fires_once() {
    let (store, program) = Program::new().await;
    every_ten_seconds(&program);
    program.bus.publish_after(timer("1"), 10 * SECOND).await.unwrap();
    let gone = Schedule::at(NOON + 12 * HOUR).misfire(Misfire::Skip { grace: HOUR });
    program.bus.schedule(timer("100"), gone).await.unwrap();
    program.bus.publish_at(timer("200"), NOON + 12 * HOUR).await.unwrap();
    program.pass(35 * SECOND).await;
    assert_eq!(program.log.take(), ["1", "2", "3"]);

    program.clock.set(NOON - HOUR);
    settle(3 * SECOND).await;
    let stats = program.bus.scheduled_stats();
    assert_eq!((stats.clock_jumps, program.log.take().len()), (1, 0));
    // The next one waits for the time at which it is due.
    program.pass(30 * SECOND).await;
    assert_eq!(program.log.take().len(), 0);

    program.clock.set(NOON + 24 * HOUR);
    settle(3 * SECOND).await;
    assert_eq!(program.log.take(), ["4", "200"]);
    let stats = program.bus.scheduled_stats();
    assert_eq!((stats.clock_jumps, stats.skipped), (2, 1));
    program.pass(11 * SECOND).await;
    let mut rang = program.log.take();
    rang.sort();
    assert_eq!(rang, ["201", "5"]);
    assert!(store.bounds().last.number() >= 8);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_clock_is_published() {
    let (_, program) = Program::new().await;
    let log = program.log.clone();
    let seen = move |event: &Event| log.add(event.payload().value().unwrap().to_string());
    program.bus.on("system.clock_jump", seen).unwrap();
    program.pass(20 * SECOND).await;
    program.clock.set(datetime!(2026-01-02 12:00:24 UTC));
    settle(3 * SECOND).await;
    assert_eq!(program.log.take().len(), 0);
    program.clock.set(datetime!(2026-01-02 11:00:24 UTC));
    settle(2 * SECOND).await;
    let lines = program.log.take();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(r#""now":"2026-01-02T11:00:24+00:00""#), "{}", lines[0]);
    assert!(lines[0].contains(r#""seconds":-360"#), "{}", lines[0]);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_expire_by_themselves() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::new(NOON));
    let builder = DeadLetters::builder().expire_after(HOUR);
    let letters = builder.stored(store.clone() as Arc<dyn EventStore>).await.unwrap();
    let builder = Bus::builder().store(store).dead_letters(letters.clone()).clock(clock.clone());
    let bus = builder.open().await.unwrap();
    let fails = async |_: Event| Err::<(), _>(HandlerError::permanent("no"));
    bus.on("a", fails.durable(Durable::named("billing"))).unwrap();
    bus.publish(Event::builder("a")).await.unwrap();
    bus.idle().await;
    settle(120 * SECOND).await;
    assert_eq!(letters.stats().letters, 1);
    clock.advance(2 * HOUR);
    settle(70 * SECOND).await;
    assert_eq!((letters.stats().letters, letters.stats().expired), (0, 1));
}
