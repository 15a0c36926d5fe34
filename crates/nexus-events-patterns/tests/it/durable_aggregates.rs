//! Aggregators whose windows are in the store of the bus.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::{EventStore, MemoryStore, Read, Scan, StateStore};
use nexus_events_model::{Event, EventBuilder, EventType};
use nexus_events_patterns::window::{CloseReason, Count, Session, Tumbling};
use nexus_events_patterns::{Aggregate, Aggregator, AggregatorBuilder, Late};
use tokio::runtime::{Builder, Runtime};

type Sum = Aggregate<String, Vec<u64>>;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn click(user: &str, number: u64) -> EventBuilder {
    Event::builder("click").user_id(user).payload(serde_json::json!(number))
}

fn numbers() -> AggregatorBuilder<Event, String, Vec<u64>> {
    Aggregator::by(|event: &Event| event.user_id().map(ToString::to_string))
        .fold(Vec::new, |numbers: &mut Vec<u64>, event: &Event| {
            numbers.push(event.payload().value().unwrap().as_u64().unwrap());
        })
        .publish_as("summary")
        .durable("clicks")
}

async fn open(store: &Arc<MemoryStore>) -> Bus {
    Bus::builder().store(store.clone()).open().await.unwrap()
}

/// What was published, in the order of the log.
async fn sums(store: &MemoryStore) -> Vec<(String, Vec<u64>, CloseReason)> {
    let events = store.read(Read::all()).await.unwrap().events;
    let sums = events.iter().filter(|it| it.event.event_type() == "summary");
    sums.map(|it| it.event.payload().decode::<Sum>().unwrap())
        .map(|it| (it.key.clone(), it.value.clone(), it.reason))
        .collect()
}

fn closed(user: &str, numbers: &[u64], reason: CloseReason) -> (String, Vec<u64>, CloseReason) {
    (user.to_owned(), numbers.to_vec(), reason)
}

#[tokio::test(start_paused = true)]
async fn a_window_stays_open_through_a_restart() {
    let store = Arc::new(MemoryStore::new());
    for number in 0..3 {
        let bus = open(&store).await;
        let aggregator = numbers().window(Count::of(3)).attach(&bus, "click").unwrap();
        bus.publish(click("u1", number)).await.unwrap();
        bus.idle().await;
        assert_eq!(aggregator.stats().keys, usize::from(number < 2));
        assert!(bus.shutdown(secs(5)).await.is_clean());
    }
    assert_eq!(sums(&store).await, [closed("u1", &[0, 1, 2], CloseReason::Size)]);
    let left = store.scan(Scan::of("aggregate.clicks")).await.unwrap();
    assert!(left.iter().all(|entry| entry.key.is_empty()), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_clock_closes_what_is_due_also_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let session = Session::gap(secs(5)).max_wait(secs(30));
    let _aggregator = numbers().window(session).attach(&bus, "click").unwrap();
    for (user, number) in [("u1", 1), ("u1", 2), ("u2", 3)] {
        bus.publish(click(user, number)).await.unwrap();
    }
    tokio::time::sleep(secs(8)).await;
    let mut got = sums(&store).await;
    got.sort_by(|a, b| a.0.cmp(&b.0));
    let time = CloseReason::Time;
    assert_eq!(got, [closed("u1", &[1, 2], time), closed("u2", &[3], time)]);

    bus.publish(click("u1", 4)).await.unwrap();
    bus.idle().await;
    bus.shutdown(secs(5)).await;
    assert_eq!(sums(&store).await.len(), 2, "a shutdown closes nothing");
    let bus = open(&store).await;
    let _aggregator = numbers().window(session).attach(&bus, "click").unwrap();
    // The wall clock of this bus has not seen the seconds that were slept through.
    tokio::time::sleep(secs(30)).await;
    assert_eq!(sums(&store).await[2..], [closed("u1", &[4], time)]);
}

#[tokio::test(start_paused = true)]
async fn event_time_and_late_events_are_in_the_store_too() {
    let store = Arc::new(MemoryStore::new());
    let at = |number: u64| {
        let time = time::OffsetDateTime::from_unix_timestamp(number as i64).unwrap();
        click("u1", number).timestamp(time)
    };
    for numbers_of_run in [[1, 15], [2, 16], [17, 30]] {
        let bus = open(&store).await;
        let late = Late::SideEvent(EventType::new("too-late").unwrap());
        let aggregator = numbers().window(Tumbling::of(secs(10))).event_time(secs(0)).late(late);
        let _aggregator = aggregator.attach(&bus, "click").unwrap();
        for number in numbers_of_run {
            bus.publish(at(number)).await.unwrap();
        }
        bus.idle().await;
        bus.shutdown(secs(5)).await;
    }
    let time = CloseReason::Time;
    let expected = [closed("u1", &[1], time), closed("u1", &[15, 16, 17], time)];
    assert_eq!(sums(&store).await, expected);
    let log = store.read(Read::all()).await.unwrap().events;
    let late: Vec<_> = log.iter().filter(|it| it.event.event_type() == "too-late").collect();
    assert_eq!(late[0].event.payload().value().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn flush_closes_everything_in_one_commit() {
    let store = Arc::new(MemoryStore::new());
    let bus = open(&store).await;
    let aggregator = numbers().window(Count::of(3)).attach(&bus, "click").unwrap();
    bus.publish(click("u1", 1)).await.unwrap();
    bus.idle().await;
    aggregator.flush().await;
    assert_eq!(sums(&store).await, [closed("u1", &[1], CloseReason::Forced)]);
}

#[tokio::test]
async fn a_bus_without_a_store_and_a_second_pattern_are_refused() {
    let error = numbers().window(Count::of(3)).attach(&Bus::new(), "click").unwrap_err();
    assert!(error.to_string().contains("no store"), "{error}");
    let bus = open(&Arc::new(MemoryStore::new())).await;
    let aggregator = numbers().window(Count::of(3)).attach(&bus, "click").unwrap();
    assert!(aggregator.attach(&bus, "tap").unwrap_err().to_string().contains("one pattern"));
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Ends the process, as far as its tasks are concerned, after so many steps of them.
#[test]
fn wherever_it_crashes_each_event_is_in_one_aggregate() {
    const EVENTS: u64 = 12;
    for crash_after in 0..120 {
        let store = Arc::new(MemoryStore::new());
        let mut published = 0;
        let first = runtime();
        first.block_on(async {
            let bus = open(&store).await;
            let _aggregator = numbers().window(Count::of(2)).attach(&bus, "click").unwrap();
            for step in 0..crash_after {
                if step % 3 == 0 && published < EVENTS {
                    bus.publish(click(["u1", "u2"][published as usize % 2], published))
                        .await
                        .unwrap();
                    published += 1;
                }
                tokio::task::yield_now().await;
            }
            // Its tasks end where they are.
            std::mem::forget(bus);
        });
        drop(first);
        let second = runtime();
        second.block_on(async {
            let bus = open(&store).await;
            let _aggregator = numbers().window(Count::of(2)).attach(&bus, "click").unwrap();
            for number in published..EVENTS {
                bus.publish(click(["u1", "u2"][number as usize % 2], number)).await.unwrap();
            }
            bus.idle().await;
            bus.shutdown(secs(5)).await;
            let mut all: Vec<u64> = sums(&store).await.into_iter().flat_map(|it| it.1).collect();
            all.sort_unstable();
            assert_eq!(all, (0..EVENTS).collect::<Vec<_>>(), "after {crash_after} steps");
        });
    }
}
