//! Handlers that take several events at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::layers::{Backoff, DeadLetterFilter, DeadLetters, Retry};
use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, Durable, HandlerExt, Start};
use nexus_events_model::{Event, EventBuilder, Text};
use nexus_events_patterns::window::CloseReason;
use nexus_events_patterns::{Batch, BatchFailure, BatchHandler};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The batches that came: numbers, reason, key.
type Came = Arc<Mutex<Vec<(Vec<u64>, CloseReason, Option<String>)>>>;

fn number(event: &Event) -> u64 {
    event.payload().value().unwrap().as_u64().unwrap()
}

fn numbered(number: u64) -> EventBuilder {
    Event::builder("order").payload(serde_json::json!(number))
}

/// A handler that notes its batches and answers with what a function says.
fn noting<F>(came: &Came, answer: F) -> BatchHandler
where
    F: Fn(&[u64], usize) -> Result<(), BatchFailure> + Send + Sync + 'static,
{
    let came = came.clone();
    BatchHandler::of(move |batch: Batch| {
        let numbers: Vec<u64> = batch.iter().map(number).collect();
        let mut all = came.lock();
        all.push((numbers.clone(), batch.reason(), batch.key().map(str::to_owned)));
        let answer = answer(&numbers, all.len());
        async move { answer }
    })
}

fn fine(_: &[u64], _: usize) -> Result<(), BatchFailure> {
    Ok(())
}

async fn publish(bus: &Bus, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        bus.publish(numbered(number)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn d22_few_events_are_one_batch_when_the_interval_is_over() {
    let (bus, came) = (Bus::new(), Came::default());
    let handler = noting(&came, fine).size(500).interval(Duration::from_secs(1));
    bus.on("order", handler.build().unwrap()).unwrap();
    let began = Instant::now();
    publish(&bus, 0..4).await;
    bus.idle().await;
    assert_eq!(*came.lock(), [(vec![0, 1, 2, 3], CloseReason::Time, None)]);
    let took = began.elapsed();
    assert!((1_000..=1_002).contains(&took.as_millis()), "{took:?} on a paused clock");
}

#[tokio::test(start_paused = true)]
async fn d22_grouped_by_key_there_is_a_batch_for_each() {
    let (bus, came) = (Bus::new(), Came::default());
    let key = |event: &Event| Some(Text::from(["a", "b", "c"][number(event) as usize % 3]));
    let handler = noting(&came, fine).size(500).group_by(key);
    bus.on("order", handler.build().unwrap()).unwrap();
    publish(&bus, [0, 1, 2, 1, 2, 2]).await;
    bus.idle().await;
    let by_key: BTreeMap<_, _> =
        came.lock().iter().map(|(numbers, _, key)| (key.clone().unwrap(), numbers.len())).collect();
    let expected = [("a", 1), ("b", 2), ("c", 3)].map(|(key, count)| (key.to_owned(), count));
    assert_eq!((by_key, came.lock().len()), (BTreeMap::from(expected), 3));
}

#[tokio::test]
async fn d23_ten_thousand_events_come_once_each() {
    const EVENTS: u64 = 10_000;
    let bus = Bus::new();
    let (seen, running) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new((0, 0))));
    let (all, count) = (seen.clone(), running.clone());
    let handler = BatchHandler::of(move |batch: Batch| {
        let (all, count) = (all.clone(), count.clone());
        async move {
            {
                let mut count = count.lock();
                count.0 += 1;
                count.1 = count.1.max(count.0);
            }
            tokio::task::yield_now().await;
            assert!(batch.len() <= 100);
            all.lock().extend(batch.iter().map(number));
            count.lock().0 -= 1;
            Ok(())
        }
    });
    let handler = handler.size(100).interval(Duration::from_millis(50)).concurrency(10);
    bus.on("order", handler.build().unwrap()).unwrap();
    publish(&bus, 0..EVENTS).await;
    bus.idle().await;
    let mut seen = std::mem::take(&mut *seen.lock());
    seen.sort_unstable();
    assert_eq!(seen, (0..EVENTS).collect::<Vec<_>>());
    assert!(running.lock().1 <= 10, "{:?}", running.lock());
}

#[tokio::test(start_paused = true)]
async fn bytes_complete_a_batch() {
    let (bus, came) = (Bus::new(), Came::default());
    let size = bus.stamp(numbered(0)).unwrap().size();
    bus.on("order", noting(&came, fine).bytes(2 * size).build().unwrap()).unwrap();
    publish(&bus, 0..4).await;
    bus.idle().await;
    let batches: Vec<_> = came.lock().iter().map(|it| (it.0.len(), it.1)).collect();
    assert_eq!(batches, [(2, CloseReason::Bytes); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_named_event_fails_alone_and_the_others_go_on_without_it() {
    let (bus, came, letters) = (Bus::new(), Came::default(), DeadLetters::new());
    let handler = noting(&came, |numbers, _| match numbers.iter().position(|it| it % 10 == 3) {
        Some(place) => Err(BatchFailure::event(place, "three")),
        None => Ok(()),
    });
    let handler = handler.size(5).build().unwrap();
    bus.on("order", handler.layer(letters.layer()).layer(Retry::new())).unwrap();
    publish(&bus, [1, 3, 4, 13, 5]).await;
    bus.idle().await;
    let batches: Vec<_> = came.lock().iter().map(|it| it.0.clone()).collect();
    assert_eq!(batches, [vec![1, 3, 4, 13, 5], vec![1, 4, 13, 5], vec![1, 4, 5]]);
    let parked = letters.list(&DeadLetterFilter::new(), 10);
    assert_eq!(parked.iter().map(|it| number(&it.event)).collect::<Vec<_>>(), [3, 13]);
    assert!(parked.iter().all(|it| it.attempts.len() == 1 && &*it.error == "three"));
}

#[tokio::test(start_paused = true)]
async fn after_failures_of_the_whole_batch_its_events_are_tried_alone() {
    let (bus, came, letters) = (Bus::new(), Came::default(), DeadLetters::new());
    let handler = noting(&came, |numbers, _| match numbers.contains(&2) {
        true => Err(BatchFailure::from("something is wrong")),
        false => Ok(()),
    });
    let handler = handler.size(3).probe_after(2).build().unwrap();
    bus.on("order", handler.layer(letters.layer())).unwrap();
    publish(&bus, [1, 2, 3]).await;
    bus.idle().await;
    let batches: Vec<_> = came.lock().iter().map(|it| (it.0.clone(), it.1)).collect();
    let whole = || (vec![1, 2, 3], CloseReason::Size);
    let alone = |number| (vec![number], CloseReason::Forced);
    assert_eq!(batches, [whole(), whole(), alone(1), alone(2), alone(3)]);
    assert_eq!(letters.stats().letters, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_failed_succeeds_as_a_whole_the_next_time() {
    let (bus, came) = (Bus::new(), Came::default());
    let handler = noting(&came, |_, call| match call {
        1 => Err("connection lost".into()),
        2 => panic!("oops"),
        _ => Ok(()),
    });
    bus.on("order", handler.size(2).build().unwrap().named("batch")).unwrap();
    let reports =
        tokio::join!(bus.publish_and_wait(numbered(1)), bus.publish_and_wait(numbered(2)));
    assert!(reports.0.unwrap().is_success() && reports.1.unwrap().is_success());
    assert_eq!(came.lock().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_batch_of_a_key_is_handled_at_a_time_while_others_go_on() {
    let bus = Bus::new();
    let running = Arc::new(Mutex::new((Vec::<String>::new(), 0)));
    let (all, seen) = (running.clone(), Arc::new(Mutex::new(0)));
    let count = seen.clone();
    let handler = BatchHandler::of(move |batch: Batch| {
        let (all, count) = (all.clone(), count.clone());
        async move {
            let key = batch.key().unwrap().to_owned();
            {
                let mut all = all.lock();
                assert!(!all.0.contains(&key), "{key} is handled already");
                all.0.push(key.clone());
                all.1 = all.1.max(all.0.len());
            }
            assert!(batch.iter().map(number).is_sorted());
            tokio::time::sleep(Duration::from_secs(1)).await;
            all.lock().0.retain(|other| *other != key);
            *count.lock() += batch.len();
            Ok(())
        }
    });
    let key = |event: &Event| event.user_id().map(|user| user.to_string().into());
    let handler = handler.size(2).concurrency(6).group_by(key).build().unwrap();
    bus.on("order", handler).unwrap();
    for number in 0..12 {
        bus.publish(numbered(number).user_id(format!("u{}", number % 3))).await.unwrap();
    }
    bus.idle().await;
    assert_eq!((*seen.lock(), running.lock().1), (12, 3));
}

#[tokio::test(start_paused = true)]
async fn a_durable_handler_takes_batches_and_acks_what_has_succeeded() {
    let (store, came) = (Arc::new(MemoryStore::new()), Came::default());
    let bus = Bus::builder().store(store.clone()).open().await.unwrap();
    // It hangs with the second batch, as if the process had ended there.
    let noted = came.clone();
    let handler = BatchHandler::of(move |batch: Batch| {
        let numbers: Vec<u64> = batch.iter().map(number).collect();
        let hangs = numbers.contains(&3);
        noted.lock().push((numbers, batch.reason(), None));
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let durable = || Durable::named("orders").start(Start::Earliest);
    bus.on("order", handler.size(3).build().unwrap().durable(durable())).unwrap();
    publish(&bus, 0..6).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bus.shutdown(Duration::from_secs(1)).await;

    let again = Came::default();
    let bus = Bus::builder().store(store).open().await.unwrap();
    bus.on("order", noting(&again, fine).size(3).build().unwrap().durable(durable())).unwrap();
    bus.idle().await;
    assert_eq!(came.lock()[0].0, [0, 1, 2]);
    let mut numbers: Vec<u64> = again.lock().iter().flat_map(|it| it.0.clone()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4, 5], "those that had not succeeded");
    assert_eq!(bus.consumers()[0].acked.number(), 6);
}

#[test]
fn an_option_that_is_wrong_is_named() {
    let error = |handler: BatchHandler| handler.build().map(drop).unwrap_err().to_string();
    let handler = || BatchHandler::of(async |_: Batch| Ok(()));
    assert_eq!(error(handler().size(0)), "size of a batch is at least 1, not 0");
    assert!(error(handler().bytes(0)).contains("bytes"));
    assert!(error(handler().concurrency(0)).contains("concurrency"));
    assert!(error(handler().probe_after(0)).contains("probe_after"));
    assert!(error(handler().interval(Duration::ZERO)).contains("interval"));
    assert!(error(handler().backoff(Backoff::new().factor(0.5))).contains("factor"));
    assert!(error(handler().size(1_000).concurrency(100)).contains("lower size"));
}

#[tokio::test(start_paused = true)]
async fn an_interval_longer_than_time_goes_is_none() {
    let (bus, came) = (Bus::new(), Came::default());
    let handler = noting(&came, fine).size(2).interval(Duration::MAX);
    bus.on("order", handler.build().unwrap()).unwrap();
    publish(&bus, [1]).await;
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    assert!(came.lock().is_empty());
    publish(&bus, [2]).await;
    bus.idle().await;
    assert_eq!(came.lock().len(), 1);
}
