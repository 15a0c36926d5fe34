//! Aggregators on a bus.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, Error, HandlerExt, Layer, ManualClock, Next, Published};
use nexus_events_model::{Event, EventBuilder, EventType, Payload};
use nexus_events_patterns::window::{CloseReason, Count, Session, Tumbling};
use nexus_events_patterns::{Aggregate, Aggregator, AggregatorBuilder, Bounds, Late};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

type Sum = Aggregate<String, Vec<u64>>;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What is published, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Event>>>);

impl Seen {
    fn of(bus: &Bus, pattern: &str) -> Self {
        let seen = Self::default();
        let all = seen.clone();
        bus.on(
            pattern,
            (move |event: &Event| all.0.lock().push(event.clone())).named(pattern.to_owned()),
        )
        .unwrap();
        seen
    }

    fn sums(&self) -> Vec<(String, Vec<u64>, CloseReason)> {
        let sum = |event: &Event| {
            let sum = event.payload().decode::<Sum>().unwrap();
            assert_eq!(sum.count, sum.value.len() as u64);
            (sum.key.clone(), sum.value.clone(), sum.reason)
        };
        self.0.lock().iter().map(sum).collect()
    }
}

fn click(user: &str, number: u64) -> EventBuilder {
    Event::builder("click").user_id(user).payload(serde_json::json!(number))
}

fn at(user: &str, number: u64, second: i64) -> EventBuilder {
    click(user, number).timestamp(OffsetDateTime::from_unix_timestamp(second).unwrap())
}

fn numbers() -> AggregatorBuilder<Event, String, Vec<u64>> {
    Aggregator::by(|event: &Event| event.user_id().map(ToString::to_string))
        .fold(Vec::new, |numbers: &mut Vec<u64>, event: &Event| {
            numbers.push(event.payload().value().unwrap().as_u64().unwrap());
        })
        .publish_as("summary")
}

fn closed(user: &str, numbers: &[u64], reason: CloseReason) -> (String, Vec<u64>, CloseReason) {
    (user.to_owned(), numbers.to_vec(), reason)
}

#[tokio::test(start_paused = true)]
async fn s09_sustained_traffic_is_published_at_max_wait_and_quiet_at_the_gap() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let session = Session::gap(secs(5)).max_wait(secs(12));
    let aggregator = numbers().window(session).attach(&bus, "click").unwrap();
    for number in 0..4 {
        bus.publish(click("u1", number)).await.unwrap();
        tokio::time::sleep(secs(4)).await;
    }
    assert_eq!(seen.sums(), [closed("u1", &[0, 1, 2], CloseReason::MaxWait)]);
    tokio::time::sleep(secs(2)).await;
    assert_eq!(seen.sums()[1..], [closed("u1", &[3], CloseReason::Time)]);
    assert_eq!((aggregator.stats().published, aggregator.stats().keys), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_names_its_cause_and_belongs_to_a_conversation_that_all_share() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let _aggregator = numbers().window(Count::of(2)).attach(&bus, "click").unwrap();
    for (user, number, conversation) in
        [("u1", 1, "c1"), ("u1", 2, "c1"), ("u2", 3, "c1"), ("u2", 4, "c2")]
    {
        let event = click(user, number).correlation_id(conversation).id(format!("e{number}"));
        bus.publish(event).await.unwrap();
    }
    bus.idle().await;
    tokio::time::sleep(secs(1)).await;
    let seen = seen.0.lock();
    assert_eq!(seen[0].causation_id().unwrap(), "e2");
    assert_eq!(seen[0].correlation_id().unwrap(), "c1");
    assert_eq!(seen[1].causation_id().unwrap(), "e4");
    assert!(seen[1].correlation_id().is_none_or(|id| id != "c1" && id != "c2"));
    assert_eq!(seen[0].source(), "aggregator");
}

#[tokio::test(start_paused = true)]
async fn event_time_closes_by_events_and_by_the_clock_when_none_come() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let late = Seen::of(&bus, "click.late");
    let aggregator = numbers()
        .window(Tumbling::of(secs(10)))
        .event_time(secs(3))
        .idle_close(secs(60))
        .late(Late::SideEvent(EventType::new("click.late").unwrap()))
        .attach(&bus, "click")
        .unwrap();
    for (user, second) in [("u1", 1), ("u1", 11), ("u1", 9), ("u2", 13), ("u1", 2)] {
        bus.publish(at(user, second, second as i64).id(format!("e{second}"))).await.unwrap();
    }
    tokio::time::sleep(secs(59)).await;
    assert_eq!(seen.sums(), [closed("u1", &[1, 9], CloseReason::Time)]);
    let side = late.0.lock().clone();
    assert_eq!((side.len(), side[0].causation_id().unwrap().to_string()), (1, "e2".to_owned()));
    assert_eq!(side[0].timestamp().unix_timestamp(), 2);
    tokio::time::sleep(secs(2)).await;
    let mut rest = seen.sums().split_off(1);
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        rest,
        [closed("u1", &[11], CloseReason::Idle), closed("u2", &[13], CloseReason::Idle)]
    );
    let stats = aggregator.stats();
    assert_eq!((stats.events, stats.late, stats.published), (4, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn one_event_far_ahead_of_the_clock_does_not_make_the_others_late() {
    let clock = ManualClock::new(OffsetDateTime::from_unix_timestamp(100).unwrap());
    for (most, late, ahead) in [(secs(600), 0, 1), (Duration::MAX, 3, 0)] {
        let bus = Bus::builder().clock(clock.clone()).build().unwrap();
        let seen = Seen::of(&bus, "summary");
        let numbers = numbers().window(Tumbling::of(secs(10))).event_time(secs(3)).ahead(most);
        let aggregator = numbers.attach(&bus, "click").unwrap();
        // The last one is ahead too, but not by much.
        for second in [91, 4_000_000_000, 92, 93, 700] {
            bus.publish(at("u1", second, second as i64)).await.unwrap();
        }
        bus.idle().await;
        let stats = aggregator.stats();
        assert_eq!((stats.events, stats.late, stats.ahead), (5 - late, late, ahead));
        bus.shutdown(secs(1)).await;
        if late == 0 {
            let expected = [
                closed("u1", &[91, 92, 93], CloseReason::Time),
                closed("u1", &[700], CloseReason::Shutdown),
                closed("u1", &[4_000_000_000], CloseReason::Shutdown),
            ];
            assert_eq!(seen.sums(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_publishes_what_is_open_after_all_that_is_on_its_way() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let aggregator = numbers().window(Tumbling::of(secs(3_600))).attach(&bus, "click").unwrap();
    // A handler that still has events in its queue when the shutdown begins.
    bus.on("order", async |_: Event, context: nexus_events_dispatch::Context| {
        tokio::time::sleep(secs(1)).await;
        context.publish(click("u1", 7)).map(|_| ())
    })
    .unwrap();
    bus.publish(click("u1", 6)).await.unwrap();
    bus.publish(Event::builder("order")).await.unwrap();
    assert!(bus.shutdown(secs(30)).await.is_clean());
    assert_eq!(seen.sums(), [closed("u1", &[6, 7], CloseReason::Shutdown)]);
    assert_eq!((aggregator.stats().published, aggregator.stats().cut_off), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_shutdown_publishes_is_published_too() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let _aggregator = numbers().window(Tumbling::of(secs(3_600))).attach(&bus, "click").unwrap();
    bus.on(
        "summary",
        (|event: &Event, context: &nexus_events_dispatch::Context| match event
            .payload()
            .decode::<Sum>()
            .unwrap()
            .value[0]
        {
            number if number < 3 => context.publish(click("u1", number + 1)).map(|_| ()),
            _ => Ok(()),
        })
        .named("again"),
    )
    .unwrap();
    bus.publish(click("u1", 1)).await.unwrap();
    assert!(bus.shutdown(secs(30)).await.is_clean());
    let numbers = [1, 2, 3].map(|number| closed("u1", &[number], CloseReason::Shutdown));
    assert_eq!(seen.sums(), numbers);
}

#[tokio::test(start_paused = true)]
async fn close_and_flush_publish_what_is_open() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let aggregator = numbers().window(Tumbling::of(secs(3_600))).attach(&bus, "click").unwrap();
    bus.publish(click("u1", 1)).await.unwrap();
    bus.idle().await;
    aggregator.flush().await;
    assert_eq!(seen.sums(), [closed("u1", &[1], CloseReason::Forced)]);
    bus.publish(click("u1", 2)).await.unwrap();
    bus.idle().await;
    aggregator.close().await;
    assert_eq!(seen.sums()[1..], [closed("u1", &[2], CloseReason::Shutdown)]);
    bus.publish(click("u1", 3)).await.unwrap();
    bus.shutdown(secs(1)).await;
    assert_eq!((seen.sums().len(), aggregator.stats().events), (2, 2));
}

/// Lets no summary through before it is told, and counts them.
struct Held(Arc<Semaphore>, Arc<Mutex<Vec<String>>>);

impl Layer for Held {
    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        if event.event_type() != "summary" {
            return next.run(event);
        }
        Published::Pending(Box::pin(async move {
            self.1.lock().push(event.id().to_string());
            if self.0.acquire().await.is_err() {
                return Err(Error::overloaded("not now"));
            }
            next.run(event).wait().await
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn s09_a_timer_while_a_flush_publishes_neither_doubles_nor_loses() {
    let (gate, tried) = (Arc::new(Semaphore::new(0)), Arc::default());
    let bus = Bus::builder().layer(Held(gate.clone(), Arc::clone(&tried))).build().unwrap();
    let seen = Seen::of(&bus, "summary");
    let aggregator = numbers().window(Session::gap(secs(5))).attach(&bus, "click").unwrap();
    bus.publish(click("u1", 1)).await.unwrap();
    bus.publish(click("u2", 2)).await.unwrap();
    bus.idle().await;
    let flush = tokio::spawn({
        let aggregator = aggregator.clone();
        async move { aggregator.flush().await }
    });
    tokio::time::sleep(secs(1)).await;
    // Meanwhile the same key goes on, and its timer comes.
    bus.publish(click("u1", 3)).await.unwrap();
    tokio::time::sleep(secs(20)).await;
    assert_eq!((seen.sums().len(), tried.lock().len()), (0, 1), "one at a time");
    // Whoever publishes is stopped: what he had in hand is not lost.
    flush.abort();
    tokio::time::sleep(secs(20)).await;
    gate.add_permits(100);
    tokio::time::sleep(secs(20)).await;
    let mut sums = seen.sums();
    assert_eq!(sums.pop().unwrap(), closed("u1", &[3], CloseReason::Time));
    sums.sort_by(|a, b| a.0.cmp(&b.0));
    let forced = |user, number| closed(user, &[number], CloseReason::Forced);
    assert_eq!(sums, [forced("u1", 1), forced("u2", 2)]);
    let tried = tried.lock();
    assert_eq!((tried.len(), &tried[0]), (4, &tried[1]), "tried again under the same id");
    assert_eq!(aggregator.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_cannot_take_now_is_tried_again_and_what_it_refuses_is_counted() {
    struct Picky(Mutex<u32>);
    impl Layer for Picky {
        fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
            let mut tries = self.0.lock();
            *tries += u32::from(event.event_type() == "summary");
            match *tries {
                1 | 2 if event.event_type() == "summary" => {
                    Published::Ready(Err(Error::overloaded("not now")))
                }
                4 if event.event_type() == "summary" => {
                    Published::Ready(Err(Error::refused("never")))
                }
                _ => next.run(event),
            }
        }
    }
    let bus = Bus::builder().layer(Picky(Mutex::new(0))).build().unwrap();
    let seen = Seen::of(&bus, "summary");
    let aggregator = numbers().window(Count::of(1)).attach(&bus, "click").unwrap();
    for number in 1..4 {
        bus.publish(click("u1", number)).await.unwrap();
    }
    tokio::time::sleep(secs(10)).await;
    assert_eq!(seen.sums().into_iter().map(|it| it.1[0]).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((aggregator.stats().published, aggregator.stats().refused), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn payloads_are_aggregated_as_their_type_and_published_in_any_shape() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Activity {
        user: u32,
        seconds: u32,
    }
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let aggregator = Aggregator::by_payload(|it: &Activity| (it.user > 0).then_some(it.user))
        .window(Count::of(2))
        .fold(|| 0, |total: &mut u32, it: &Activity| *total += it.seconds)
        .publish_as("summary")
        .source("usage")
        .shape(|it: Aggregate<u32, u32>| {
            Payload::from(serde_json::json!({"u": it.key, "s": it.value}))
        })
        .attach(&bus, "activity")
        .unwrap();
    for (user, seconds) in [(1, 5), (0, 9), (1, 6)] {
        let event = Event::builder("activity").typed(Activity { user, seconds });
        bus.publish(event).await.unwrap();
    }
    let report = bus.publish_and_wait(Event::builder("activity")).await.unwrap();
    assert!(report.outcome("usage").unwrap().error.as_deref().unwrap().contains("Activity"));
    tokio::time::sleep(secs(1)).await;
    let payload = seen.0.lock()[0].payload().value().unwrap().clone();
    assert_eq!(payload, serde_json::json!({"u": 1, "s": 11}));
    assert_eq!(aggregator.stats().unkeyed, 1);
}

#[test]
fn a_part_that_is_missing_or_wrong_is_named() {
    let error = |builder: AggregatorBuilder<Event, String, Vec<u64>>| {
        builder.build().unwrap_err().to_string()
    };
    let hour = || numbers().window(Tumbling::of(secs(3_600)));
    assert_eq!(error(numbers()), "an aggregator needs a window; add `.window(..)`");
    assert!(error(hour().publish_as("a..b")).contains("a..b"));
    assert!(error(numbers().window(Tumbling::of(secs(0)))).contains("tumbling window's size"));
    assert!(error(hour().bounds(Bounds::per_key(0))).contains("per_key"));
    assert!(error(hour().bounds(Bounds::default().total_keys(0))).contains("total_keys"));
    assert!(error(hour().bounds(Bounds::default().bytes(0))).contains("bytes"));
    assert!(error(hour().idle_close(secs(1))).contains("event_time"));
    assert!(error(hour().event_time(secs(1)).idle_close(secs(0))).contains("more than 0"));
    assert!(error(hour().ahead(secs(1))).contains("ahead is for event time"));
    let session = numbers().window(Session::gap(secs(1)));
    assert!(error(session.event_time(secs(1))).contains(".merge(..)"));
}

#[tokio::test(start_paused = true)]
async fn what_it_publishes_itself_does_not_go_round() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let late = Late::SideEvent(EventType::new("late").unwrap());
    let builder = numbers().window(Tumbling::of(secs(10))).event_time(secs(0)).late(late);
    let aggregator = builder.attach(&bus, "**").unwrap();
    for second in [1, 11, 2, 21] {
        bus.publish(at("u1", second, second as i64)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    assert_eq!(seen.sums().len(), 2);
    let stats = aggregator.stats();
    assert_eq!((stats.events, stats.late, stats.unkeyed), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn several_patterns_of_one_bus_go_into_the_same_windows() {
    let bus = Bus::new();
    let seen = Seen::of(&bus, "summary");
    let aggregator = numbers().window(Count::of(2)).attach(&bus, "click").unwrap();
    aggregator.attach(&bus, "tap").unwrap();
    bus.publish(click("u1", 1)).await.unwrap();
    bus.publish(click("u1", 2).event_type("tap")).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    let mut sums = seen.sums();
    sums[0].1.sort_unstable();
    assert_eq!(sums, [closed("u1", &[1, 2], CloseReason::Size)]);
    assert!(aggregator.attach(&Bus::new(), "tap").unwrap_err().to_string().contains("one bus"));
}

#[tokio::test]
async fn a_million_keys_through_a_capped_aggregator_are_each_in_one_aggregate() {
    const KEYS: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let bus = Bus::new();
    let total = Arc::new(Mutex::new((0_u64, 0_u64, 0_u64)));
    let add = total.clone();
    bus.on("summary", move |event: &Event| {
        let sum: &Aggregate<u64, u64> = event.payload().downcast_ref().unwrap();
        let mut total = add.lock();
        *total = (total.0 + 1, total.1 + sum.count, total.2 + sum.value);
    })
    .unwrap();
    let aggregator = Aggregator::by(|event: &Event| event.payload().downcast_ref::<u64>().copied())
        .window(Tumbling::of(secs(3_600_000)))
        .bounds(Bounds::default().total_keys(10_000))
        .fold(
            || 0,
            |sum: &mut u64, event: &Event| *sum += event.payload().downcast_ref::<u64>().unwrap(),
        )
        .publish_as("summary")
        .attach(&bus, "click")
        .unwrap();
    for key in 0..KEYS {
        bus.publish(Event::builder("click").typed(key)).await.unwrap();
        if key % 1_000 == 0 {
            let stats = aggregator.stats();
            assert!(stats.keys <= 10_000 && stats.waiting <= 1_026, "{stats:?}");
        }
    }
    bus.shutdown(secs(60)).await;
    assert_eq!(*total.lock(), (KEYS, KEYS, KEYS * (KEYS - 1) / 2));
    assert_eq!(aggregator.stats().published, KEYS);
}
