//! Batches on their way to somebody else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::layers::{Backoff, Jitter};
use nexus_events_dispatch::{Bus, HandlerError};
use nexus_events_model::Event;
use nexus_events_patterns::{Batcher, BatcherBuilder, ErrorKind, Unsent, WhenFull};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;

type Came = Arc<Mutex<Vec<Vec<u64>>>>;

fn event(number: u64) -> Event {
    Bus::new().stamp(Event::builder("a").payload(serde_json::json!(number))).unwrap()
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.payload().value().unwrap().as_u64().unwrap()).collect()
}

fn steady() -> Backoff {
    Backoff::new().base(Duration::from_secs(1)).factor(1.0).jitter(Jitter::None)
}

/// Notes what is sent, and answers with what a function says to the number of the attempt.
fn noting(
    came: &Came,
    answer: impl Fn(usize) -> Result<(), HandlerError> + Send + Sync + 'static,
) -> BatcherBuilder {
    let came = came.clone();
    Batcher::to(move |events: Vec<Event>| {
        let mut came = came.lock();
        came.push(numbers(&events));
        let answer = answer(came.len());
        async move { answer }
    })
    .backoff(steady())
}

#[tokio::test(start_paused = true)]
async fn size_bytes_and_interval_send_a_batch() {
    let came = Came::default();
    let size = event(0).size();
    let batcher = noting(&came, |_| Ok(())).size(3).bytes(10 * size).room(10, 1 << 20);
    let batcher = batcher.interval(Duration::from_secs(5)).build().unwrap();
    for number in 0..7 {
        drop(batcher.push(event(number)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(4_990)).await;
    assert_eq!(*came.lock(), [vec![0, 1, 2], vec![3, 4, 5]]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(came.lock()[2], [6]);

    let came = Came::default();
    let batcher = noting(&came, |_| Ok(())).bytes(2 * size).build().unwrap();
    let receipts: Vec<_> = (0..3).map(|number| batcher.try_push(event(number)).unwrap()).collect();
    batcher.flush().await;
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(*came.lock(), [vec![0, 1], vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn s10_what_could_not_be_sent_stays_in_front_of_what_comes_later() {
    let came = Came::default();
    let answer = |call| match call {
        1 => Err("connection lost".into()),
        2 => panic!("oops"),
        _ => Ok(()),
    };
    let batcher = noting(&came, answer).size(2).room(10, 1 << 20).build().unwrap();
    let first = batcher.push(event(0)).await.unwrap();
    for number in 1..4 {
        drop(batcher.push(event(number)).await.unwrap());
    }
    assert_eq!(batcher.stats().waiting, 4, "nothing leaves before it is sent");
    first.await.unwrap();
    batcher.flush().await;
    assert_eq!(*came.lock(), [vec![0, 1], vec![0, 1], vec![0, 1], vec![2, 3]]);
    let stats = batcher.stats();
    assert_eq!((stats.failed_attempts, stats.sent, stats.batches), (2, 4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_given_up_tells_its_receipts() {
    let came = Came::default();
    let answer = |call| match call {
        1 => Err(HandlerError::permanent("no such table")),
        2 | 3 => Err("away".into()),
        _ => Ok(()),
    };
    let batcher = noting(&came, answer).size(1).max_attempts(2).build().unwrap();
    let mut results = Vec::new();
    for number in 0..3 {
        results.push(batcher.push(event(number)).await.unwrap().await);
    }
    let error = results[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsent);
    assert_eq!(error.to_string(), "its batch was given up: no such table");
    assert!(results[1].is_err() && results[2].is_ok());
    assert_eq!(*came.lock(), [vec![0], vec![1], vec![1], vec![2]]);
    assert_eq!(batcher.stats().given_up, 2);
}

/// A batcher of which nothing is sent before the gate has permits.
fn gated(came: &Came, gate: &Arc<Semaphore>) -> BatcherBuilder {
    let (came, gate) = (came.clone(), gate.clone());
    let batcher = Batcher::to(move |events: Vec<Event>| {
        let (came, gate) = (came.clone(), gate.clone());
        async move {
            gate.acquire().await?.forget();
            came.lock().push(numbers(&events));
            Ok(())
        }
    });
    batcher.size(2).room(4, 1 << 20)
}

#[tokio::test(start_paused = true)]
async fn when_it_is_full_one_waits_another_is_refused_and_another_drops_the_oldest() {
    let (came, gate) = (Came::default(), Arc::new(Semaphore::new(0)));
    let batcher = gated(&came, &gate).build().unwrap();
    for number in 0..4 {
        drop(batcher.push(event(number)).await.unwrap());
    }
    assert_eq!(batcher.try_push(event(9)).unwrap_err().kind(), ErrorKind::Full);
    let waits: Vec<_> = (4..8)
        .map(|number| {
            let batcher = batcher.clone();
            tokio::spawn(async move { drop(batcher.push(event(number)).await.unwrap()) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((batcher.stats().waiting, batcher.stats().rejected), (4, 1));
    gate.add_permits(100);
    for wait in waits {
        wait.await.unwrap();
    }
    batcher.flush().await;
    assert_eq!(came.lock().concat(), (0..8).collect::<Vec<_>>(), "in line");

    let (came, gate) = (Came::default(), Arc::new(Semaphore::new(0)));
    let batcher = gated(&came, &gate).when_full(WhenFull::Reject).build().unwrap();
    for number in 0..4 {
        drop(batcher.push(event(number)).await.unwrap());
    }
    assert_eq!(batcher.push(event(4)).await.unwrap_err().kind(), ErrorKind::Full);

    let (came, gate) = (Came::default(), Arc::new(Semaphore::new(0)));
    let batcher = gated(&came, &gate).when_full(WhenFull::DropOldest).build().unwrap();
    let mut receipts = VecDeque::new();
    for number in 0..4 {
        receipts.push_back(batcher.push(event(number)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(batcher.push(event(4)).await.unwrap());
    gate.add_permits(100);
    batcher.flush().await;
    assert_eq!(*came.lock(), [vec![0, 1], vec![3, 4]], "what was being sent is not dropped");
    assert!(receipts.remove(2).unwrap().await.unwrap_err().to_string().contains("make room"));
    assert_eq!(batcher.stats().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn s10_close_sends_what_it_can_and_gives_back_the_rest() {
    let (came, gate) = (Came::default(), Arc::new(Semaphore::new(1)));
    let batcher = gated(&came, &gate).room(100, 1 << 20).build().unwrap();
    let receipts: Vec<_> = (0..5).map(|number| batcher.try_push(event(number)).unwrap()).collect();
    let left = batcher.close(Duration::from_secs(3)).await;
    assert_eq!(*came.lock(), [vec![0, 1]]);
    assert_eq!((numbers(&left.events), left.unknown), (vec![2, 3, 4], 2));
    let mut receipts = receipts.into_iter();
    assert!(receipts.next().unwrap().await.is_ok());
    assert_eq!(receipts.next_back().unwrap().await.unwrap_err().kind(), ErrorKind::Unsent);
    assert_eq!(batcher.push(event(9)).await.unwrap_err().kind(), ErrorKind::Unsent);
    gate.add_permits(100);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(came.lock().len(), 1, "nothing is sent afterwards");
    let Unsent { events, .. } = batcher.close(Duration::from_secs(3)).await;
    assert!(events.is_empty());

    let came = Came::default();
    let batcher = noting(&came, |_| Ok(())).interval(Duration::from_secs(3_600)).build().unwrap();
    drop(batcher.push(event(1)).await.unwrap());
    assert!(
        batcher.close(Duration::from_secs(3)).await.events.is_empty(),
        "it does not wait for more"
    );
}

#[test]
fn an_option_that_is_wrong_is_named() {
    let error = |batcher: BatcherBuilder| batcher.build().unwrap_err().to_string();
    let batcher = || Batcher::to(async |_: Vec<Event>| Ok(()));
    assert_eq!(error(batcher().size(0)), "size of a batcher is at least 1, not 0");
    assert!(error(batcher().bytes(0)).contains("bytes"));
    assert!(error(batcher().room(10_000, 0)).contains("room in bytes"));
    assert!(error(batcher().room(199, 1)).contains("room for 200"));
    assert!(error(batcher().max_attempts(0)).contains("max_attempts"));
    assert!(error(batcher().interval(Duration::ZERO)).contains("interval"));
    assert!(error(batcher().backoff(Backoff::new().factor(f64::NAN))).contains("factor"));
}

#[tokio::test(start_paused = true)]
async fn an_interval_longer_than_time_goes_is_none() {
    let came = Came::default();
    let batcher = noting(&came, |_| Ok(())).size(2).interval(Duration::MAX).build().unwrap();
    let first = batcher.push(event(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    assert!(came.lock().is_empty());
    drop(batcher.push(event(2)).await.unwrap());
    first.await.unwrap();
    drop(batcher.push(event(3)).await.unwrap());
    batcher.flush().await;
    assert_eq!(*came.lock(), [vec![1, 2], vec![3]]);
}

/// Outside of one it says so; in the next one it goes on with what was left.
#[test]
fn a_runtime_that_ends_leaves_its_events_to_the_next_one() {
    let came = Came::default();
    let batcher = noting(&came, |_| Ok(())).size(2).build().unwrap();
    let refused = batcher.try_push(event(0)).unwrap_err();
    assert!(refused.to_string().contains("inside a runtime"), "{refused}");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime().block_on(async {
        drop(batcher.push(event(1)).await.unwrap());
        tokio::task::yield_now().await;
    });
    runtime().block_on(async {
        batcher.push(event(2)).await.unwrap().await.unwrap();
    });
    assert_eq!(*came.lock(), [[1, 2]]);
}

/// One thing that happens to a batcher.
#[derive(Debug, Clone)]
enum Step {
    Push,
    /// The batch in hand comes to an end.
    Answer(Answer),
    Wait,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Succeeds,
    Fails,
    IsGivenUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![3 => Just(Answer::Succeeds), 1 => Just(Answer::Fails), 1 => Just(Answer::IsGivenUp)];
    let step = prop_oneof![4 => Just(Step::Push), 3 => answer.prop_map(Step::Answer), 1 => Just(Step::Wait)];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Beside a queue that does by the book what a batcher does on a task.
    #[test]
    fn it_sends_what_a_plain_queue_sends(steps in steps(), size in 1_usize..4, policy in 0_u8..2) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let when_full = [WhenFull::Reject, WhenFull::DropOldest][usize::from(policy)];
            let room = 3 * size;
            let (asks, mut asked) = tokio::sync::mpsc::unbounded_channel();
            let batcher = Batcher::to(move |events: Vec<Event>| {
                let (answer, answered) = tokio::sync::oneshot::channel();
                asks.send((numbers(&events), answer)).unwrap();
                async move {
                    match answered.await {
                        Ok(Answer::Succeeds) => Ok(()),
                        Ok(Answer::IsGivenUp) => Err(HandlerError::permanent("never")),
                        _ => Err("not now".into()),
                    }
                }
            });
            let batcher = batcher.size(size).room(room, 1 << 30).when_full(when_full);
            let batcher = batcher.interval(Duration::from_secs(60)).backoff(steady()).build().unwrap();
            // The book: those that wait, how many of them are in hand, and since when.
            let (mut book, mut in_hand, mut next) = (VecDeque::<u64>::new(), 0, 0);
            let mut hand = None;
            for step in steps {
                match step {
                    Step::Push => {
                        let pushed = batcher.try_push(event(next));
                        let fits = book.len() < room;
                        if !fits && when_full == WhenFull::DropOldest {
                            book.remove(in_hand);
                        }
                        let goes_in = fits || when_full == WhenFull::DropOldest;
                        assert_eq!(pushed.is_ok(), goes_in);
                        if goes_in {
                            book.push_back(next);
                        }
                        next += 1;
                    }
                    Step::Wait => tokio::time::sleep(Duration::from_secs(61)).await,
                    Step::Answer(answer) => {
                        let Some(sender) = hand.take() else { continue };
                        let sender: tokio::sync::oneshot::Sender<Answer> = sender;
                        sender.send(answer).unwrap();
                        if answer != Answer::Fails {
                            book.drain(..in_hand);
                            in_hand = 0;
                        }
                    }
                }
                // Long enough for another attempt, and too short for the interval.
                tokio::time::sleep(Duration::from_millis(1_100)).await;
                if hand.is_none() && let Ok((events, sender)) = asked.try_recv() {
                    let expected: Vec<u64> = book.iter().take(size).copied().collect();
                    match in_hand {
                        0 => assert_eq!(events, expected),
                        _ => assert_eq!(events, expected[..in_hand], "the same batch again"),
                    }
                    (in_hand, hand) = (events.len(), Some(sender));
                }
                assert!(asked.try_recv().is_err(), "one at a time");
                assert_eq!(batcher.stats().waiting, book.len());
            }
            let left = batcher.close(Duration::ZERO).await;
            assert_eq!((numbers(&left.events), left.unknown), (Vec::from(book), in_hand));
        });
    }
}
