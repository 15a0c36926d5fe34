use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_events_dispatch::layers::{Jitter, Retry};
use nexus_events_dispatch::store::{EventStore, MemoryStore, Offset, Retention};
use nexus_events_dispatch::{Bus, Durable, ErrorKind, HandlerExt, Mode, Overload, Start};
use nexus_events_model::{Event, Pattern};

use super::{SECOND, consumer, number, numbered, open, process, publish};
use crate::Log;

#[tokio::test(start_paused = true)]
async fn a_handler_goes_on_where_it_was_when_the_bus_was_closed() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    for round in 0..3 {
        let bus = open(&store).await;
        let writes = log.clone();
        let handler = move |event: &Event| writes.add(number(event).to_string());
        bus.on("order.*", handler.durable("billing")).unwrap();
        publish(&bus, round * 4..round * 4 + 4).await;
        bus.idle().await;
        let report = bus.shutdown(SECOND).await;
        assert_eq!((report.lost, report.redelivered), (0, 0));
        // Stored, with nobody there to handle it.
        let bus = open(&store).await;
        bus.publish(numbered(100 + round)).await.unwrap();
        bus.shutdown(SECOND).await;
    }
    let bus = open(&store).await;
    let writes = log.clone();
    let handler = move |event: &Event| writes.add(number(event).to_string());
    bus.on("order.*", handler.durable("billing")).unwrap();
    bus.idle().await;
    let all = [0, 1, 2, 3, 100, 4, 5, 6, 7, 101, 8, 9, 10, 11, 102].map(|n| n.to_string());
    assert_eq!(log.take(), all);
}

#[tokio::test(start_paused = true)]
async fn it_begins_where_it_is_told() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    publish(&bus, 0..5).await;
    let log = Log::default();
    let starts =
        [("all", Start::Earliest), ("rest", Start::After(Offset::new(3))), ("new", Start::Latest)];
    for (name, start) in starts {
        let writes = log.clone();
        let handler = move |event: &Event| writes.add(format!("{name} {}", number(event)));
        bus.on("order.*", handler.durable(Durable::named(name).start(start))).unwrap();
    }
    publish(&bus, 5..6).await;
    bus.idle().await;
    let mut lines = log.take();
    lines.sort();
    let all = [
        "all 0", "all 1", "all 2", "all 3", "all 4", "all 5", "new 5", "rest 3", "rest 4", "rest 5",
    ];
    assert_eq!(lines, all);
}

#[tokio::test(start_paused = true)]
async fn d09_fails_twice_then_handles_each_event() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = move |_: Event, context: nexus_events_dispatch::Context| {
        let counted = counted.clone();
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            if context.attempt() < 3 { Err("not yet") } else { Ok(()) }
        }
    };
    bus.on("order.*", handler.durable("billing")).unwrap();
    publish(&bus, 0..1_000).await;
    bus.idle().await;
    assert_eq!(runs.load(Ordering::Relaxed), 3_000);
    let stats = consumer(&bus, "billing");
    assert_eq!((stats.handled, stats.parked, stats.pending), (1_000, 0, 0));
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 0);
}

#[test]
fn attempts_before_a_crash_count() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let handler = |log: &Log| {
        let log = log.clone();
        let handler = move |_: Event, context: nexus_events_dispatch::Context| {
            let log = log.clone();
            async move {
                log.add(context.attempt().to_string());
                Err::<(), _>("down")
            }
        };
        let retry = Retry::new().base(100 * SECOND).cap(100 * SECOND).jitter(Jitter::None);
        handler.durable(Durable::named("billing").retry(retry.max_attempts(3)))
    };
    process().block_on(async {
        let bus = open(&store).await;
        bus.on("order.*", handler(&log)).unwrap();
        publish(&bus, 0..1).await;
        tokio::time::sleep(150 * SECOND).await;
    });
    assert_eq!(log.take(), ["1", "2"]);
    process().block_on(async {
        let bus = open(&store).await;
        bus.on("order.*", handler(&log)).unwrap();
        bus.idle().await;
        assert_eq!(bus.dead_letters().unwrap().stats().letters, 1);
    });
    assert_eq!(log.take(), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_waits_in_the_log() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = handled.clone();
    let slow = move |_: Event| {
        let counted = counted.clone();
        async move {
            tokio::time::sleep(SECOND).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    bus.on("order.*", slow.durable("billing")).unwrap();
    publish(&bus, 0..5_000).await;
    tokio::time::sleep(10 * SECOND).await;
    let stats = consumer(&bus, "billing");
    assert!(stats.pending <= 257 && stats.lag > 4_900, "{stats:?}");
    bus.idle().await;
    assert_eq!(handled.load(Ordering::Relaxed), 5_000);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_key_stay_in_order_through_retries_and_parking() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let writes = log.clone();
    let handler = move |event: Event, context: nexus_events_dispatch::Context| {
        let writes = writes.clone();
        async move {
            let number = number(&event);
            if number == 7 || (number.is_multiple_of(5) && context.attempt() < 3) {
                return Err("not yet");
            }
            writes.add(number.to_string());
            Ok(())
        }
    };
    let by_rest = |event: &Event| Some((number(event) % 3).to_string().into());
    let keyed = handler.durable("billing").with(|options| options.ordered_by(by_rest));
    bus.on("order.*", keyed).unwrap();
    publish(&bus, 0..30).await;
    bus.idle().await;
    let handled: Vec<u64> = log.take().iter().map(|line| line.parse().unwrap()).collect();
    for rest in 0..3 {
        let of_key: Vec<u64> = handled.iter().copied().filter(|n| n % 3 == rest).collect();
        let expected = (0..30).filter(|n| n % 3 == rest && (rest != 1 || *n < 7));
        assert_eq!(of_key, expected.collect::<Vec<_>>());
    }
    // What came behind the parked one is parked behind it.
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 8);
    assert_eq!(consumer(&bus, "billing").parked, 8);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_from_the_log_is_counted() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let stop = async |_: Event| {};
    bus.on("order.*", stop.durable("billing")).unwrap().unsubscribe().await;
    bus.idle().await;
    publish(&bus, 0..10).await;
    let all = Retention::new().events(4).held(nexus_events_dispatch::store::Held::Remove);
    assert_eq!(store.trim(all).await.unwrap().lost, [("billing".to_owned(), 6)]);
    bus.on("order.*", (async |_: Event| {}).durable("billing")).unwrap();
    bus.idle().await;
    let stats = consumer(&bus, "billing");
    assert_eq!((stats.handled, stats.trimmed), (4, 6));
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribed_handler_goes_on_when_it_comes_back() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let handler = |log: &Log| {
        let log = log.clone();
        (move |event: &Event| log.add(number(event).to_string())).durable("billing")
    };
    let subscription = bus.on("order.*", handler(&log)).unwrap();
    publish(&bus, 0..2).await;
    bus.idle().await;
    assert!(subscription.unsubscribe().await);
    bus.idle().await;
    publish(&bus, 2..4).await;
    assert_eq!(log.take(), ["0", "1"]);
    bus.on("order.*", handler(&log)).unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["2", "3"]);
}

#[tokio::test]
async fn options_that_have_no_meaning_are_refused() {
    let store = Arc::new(MemoryStore::new());
    let handler = || async |_: Event| {};
    let plain = Bus::new();
    let error = plain.on("a", handler().durable("a")).unwrap_err();
    assert!(error.to_string().contains("`.store(..)`"), "{error}");
    let bus = open(&store).await;
    let refused = [
        handler().durable("a").with(|options| options.overload(Overload::DropOldest)),
        handler().durable("a").with(|options| options.queue(7)),
        handler().durable("a").mode(Mode::Inline),
        handler().durable(""),
    ];
    for handler in refused {
        assert_eq!(bus.on("a", handler).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    bus.on("a", handler().durable("a")).unwrap();
    let second = bus.on("a", handler().durable("a").named("other")).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::DuplicateName);
    let unread = Bus::builder().store(store).build().unwrap_err();
    assert!(unread.to_string().contains(".open().await"), "{unread}");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_meant_is_stored() {
    let store = Arc::new(MemoryStore::new());
    let persist = nexus_events_dispatch::Persist::to(store.clone());
    let persist = persist.only(Pattern::new("order.*").unwrap());
    let bus = Bus::builder().store(persist).open().await.unwrap();
    assert_eq!(bus.publish(Event::builder("tick")).await.unwrap().offset, None);
    assert_eq!(bus.publish(numbered(1)).await.unwrap().offset, Some(Offset::new(1)));
    assert!(bus.publish(numbered(1)).await.unwrap().duplicate);
    let again = bus.publish_and_wait(numbered(1)).await.unwrap();
    assert_eq!((again.offset, again.duplicate), (Some(1), true));
    let report = bus.publish_and_wait(numbered(2)).await.unwrap();
    assert_eq!((report.offset, report.duplicate), (Some(2), false));
    assert_eq!(store.bounds().len(), 2);
}
