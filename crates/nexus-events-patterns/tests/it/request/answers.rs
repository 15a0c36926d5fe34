//! What reaches the requester, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::{Bus, HandlerExt, Mode, Payload};
use nexus_events_model::Event;
use nexus_events_patterns::{ErrorKind, Reject, ReplyTo, Requests, Status, limits, responder};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ask, ms, number};

#[tokio::test(start_paused = true)]
async fn d11_without_a_responder_there_is_no_wait() {
    let bus = Bus::new();
    bus.on("price.*", |_: &Event| {}).unwrap();
    let begun = Instant::now();
    let error = number(&bus, 1_000).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::NoResponders, Status::Temporary));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(bus.pending_requests(), 0);
    // Other handlers have seen it, as any event.
    assert_eq!(bus.stats().events.total_events, 1);
    assert_eq!(bus.history(10, None).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn d11_a_responder_whose_filter_refuses_is_none() {
    let bus = Bus::new();
    let filter = "payload.sku == 'pen'".parse().unwrap();
    bus.on("price.asked", responder(|| Ok::<_, Reject>(1_u64)).filter(filter)).unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap_err().kind(), ErrorKind::NoResponders);
    let pen = ask().payload(json!({"sku": "pen"}));
    assert_eq!(bus.request::<u64>(pen).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn d12_a_slow_responder_times_the_request_out() {
    let bus = Bus::new();
    let slow = async || {
        sleep(ms(1_000)).await;
        Ok::<_, Reject>(1_u64)
    };
    bus.respond("price.asked", slow).unwrap();
    let error = number(&bus, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.elapsed().unwrap() >= ms(10));
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn d13_a_late_reply_is_counted_and_told() {
    let bus = Bus::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    bus.tell_late_replies(move |late| {
        let reply = late.reply.as_ref().unwrap().json().unwrap().to_owned();
        tell.lock().push((late.request.event_type().to_string(), reply, late.after));
    });
    bus.respond_with("price.asked", async |reply_to: ReplyTo| {
        sleep(ms(1_500)).await;
        assert_eq!(reply_to.reply(7_u64).unwrap_err().kind(), ErrorKind::RequesterGone);
    })
    .unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap_err().kind(), ErrorKind::TimedOut);
    bus.idle().await;
    let stats = bus.request_stats();
    assert_eq!((stats.timed_out, stats.late, stats.pending, stats.replies), (1, 1, 0, 0));
    assert_eq!(*told.lock(), [("price.asked".to_owned(), "7".to_owned(), ms(1_500))]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_what_is_told_of_late_replies_is_no_matter_of_the_responder() {
    let bus = Bus::new();
    bus.tell_late_replies(|_| panic!("told"));
    let heard = Arc::new(Mutex::new(None));
    let hear = heard.clone();
    bus.respond_with("price.asked", move |reply_to: ReplyTo| {
        let hear = hear.clone();
        async move {
            sleep(ms(1_500)).await;
            let error = reply_to.reply(7_u64).unwrap_err();
            *hear.lock() = Some(error.kind());
        }
    })
    .unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap_err().kind(), ErrorKind::TimedOut);
    bus.idle().await;
    assert_eq!(*heard.lock(), Some(ErrorKind::RequesterGone));
}

#[tokio::test]
async fn d14_a_typed_failure_arrives_as_it_was() {
    let text: String = "Zählwerk 計器 🧾 ".chars().cycle().take(1_000).collect();
    let reject = Reject::new(123, text.clone()).details(json!({"left": [0, "ж"]}));
    let bus = Bus::new();
    let said = reject.clone();
    bus.respond("price.asked", move || Err::<u64, _>(said.clone())).unwrap();
    let error = number(&bus, 1_000).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Failed, Status::Permanent));
    assert_eq!(error.reject(), Some(&reject));
    assert_eq!(error.reject().unwrap().message().chars().count(), 1_000);
    assert_eq!(bus.request_stats().rejected, 1);
}

/// Cannot be written as JSON, so it arrives only if nobody tries.
#[derive(Debug)]
struct Unwritable(u64);

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it was written"))
    }
}

impl<'de> Deserialize<'de> for Unwritable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it was read"))
    }
}

#[tokio::test]
async fn a_value_arrives_without_serialisation_both_ways() {
    let bus = Bus::new();
    let add = async |number: Payload<Unwritable>| Ok::<_, Reject>(Unwritable(number.0.0 + 1));
    bus.respond("price.asked", add).unwrap();
    let answer: Unwritable = bus.request(ask().typed(Unwritable(41))).await.unwrap();
    assert_eq!(answer.0, 42);
}

#[tokio::test]
async fn an_answer_of_another_type_is_read_by_way_of_json() {
    let bus = Bus::new();
    bus.respond("price.asked", || Ok::<_, Reject>(json!({"amount": 5}))).unwrap();
    #[derive(Deserialize)]
    struct Price {
        amount: u64,
    }
    let price: Price = bus.request(ask()).await.unwrap();
    assert_eq!(price.amount, 5);
    let error = bus.request::<Vec<u8>>(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidReply);
    assert!(error.to_string().contains("ask for what the responder gives"), "{error}");
}

#[tokio::test]
async fn an_answer_that_others_hold_too_is_copied() {
    let bus = Bus::new();
    let payload = nexus_events_model::Payload::typed(5_u64);
    let kept = payload.clone();
    bus.respond_with("price.asked", move |reply_to: ReplyTo| {
        reply_to.reply_payload(kept.clone()).unwrap();
    })
    .unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 5);
    assert_eq!(payload.downcast_ref::<u64>(), Some(&5));
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_with_a_no() {
    let bus = Bus::new();
    bus.respond("price.asked", async |sku: Payload<String>| Ok::<_, Reject>(sku.len())).unwrap();
    let error = bus.request::<usize>(ask().payload(json!({"no": "text"}))).await.unwrap_err();
    assert_eq!(error.reject().unwrap().code(), Reject::INVALID);
    assert!(error.to_string().contains("invalid type: map"), "{error}");
}

#[tokio::test]
async fn the_second_reply_is_told_so_and_the_first_one_wins() {
    let bus = Bus::new();
    bus.respond_with("price.asked", |reply_to: ReplyTo| {
        reply_to.reply(1_u64).unwrap();
        assert_eq!(reply_to.reply(2_u64).unwrap_err().kind(), ErrorKind::AlreadyReplied);
        assert_eq!(reply_to.reject("no").unwrap_err().kind(), ErrorKind::AlreadyReplied);
    })
    .unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 1);
    let stats = bus.request_stats();
    assert_eq!((stats.replies, stats.duplicate, stats.late), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn of_several_responders_the_first_answer_counts() {
    let bus = Bus::new();
    for (number, delay) in [(1_u64, 30), (2, 10), (3, 20)] {
        let slow = move || async move {
            sleep(ms(delay)).await;
            Ok::<_, Reject>(number)
        };
        bus.respond("price.asked", slow).unwrap();
    }
    assert_eq!(number(&bus, 1_000).await.unwrap(), 2);
    bus.idle().await;
    assert_eq!(bus.request_stats().duplicate, 2);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_is_thirty_seconds_and_has_bounds() {
    let bus = Bus::new();
    bus.respond_with("price.asked", async |reply_to: ReplyTo| reply_to.cancelled().await).unwrap();
    let begun = Instant::now();
    let error = bus.request::<u64>(ask()).await.unwrap_err();
    assert_eq!(error.elapsed(), Some(Duration::from_secs(30)));
    assert_eq!(begun.elapsed(), limits::REQUEST_TIMEOUT_DEFAULT);
    for timeout in [Duration::ZERO, Duration::MAX] {
        let error = bus.request::<u64>(ask()).timeout(timeout).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains("at most 86400 s"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_responder_sees_that_the_requester_has_gone() {
    let bus = Bus::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let saw = seen.clone();
    bus.respond_with("price.asked", move |reply_to: ReplyTo| {
        let saw = saw.clone();
        async move {
            assert!(!reply_to.is_cancelled());
            reply_to.cancelled().await;
            assert!(reply_to.is_cancelled());
            saw.fetch_add(1, Ordering::SeqCst);
        }
    })
    .unwrap();
    assert!(number(&bus, 5).await.is_err());
    bus.idle().await;
    let asking = tokio::spawn({
        let bus = bus.clone();
        async move { number(&bus, 1_000).await }
    });
    tokio::task::yield_now().await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    bus.idle().await;
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(bus.request_stats().abandoned, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_requester_has_gone_is_not_begun() {
    let bus = Bus::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let slow = move || {
        runs.fetch_add(1, Ordering::SeqCst);
        async {
            sleep(ms(100)).await;
            Ok::<_, Reject>(1_u64)
        }
    };
    bus.respond("price.asked", slow).unwrap();
    let (first, second) = tokio::join!(number(&bus, 1_000), number(&bus, 50));
    assert_eq!((first.unwrap(), second.unwrap_err().kind()), (1, ErrorKind::TimedOut));
    bus.idle().await;
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_mode_answers() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let bus = Bus::new();
        bus.on("price.asked", responder(|| Ok::<_, Reject>(1_u64)).mode(mode)).unwrap();
        assert_eq!(number(&bus, 1_000).await.unwrap(), 1, "{mode:?}");
    }
}

#[tokio::test]
async fn what_is_accepted_travels_as_metadata() {
    let bus = Bus::new();
    bus.respond_with("price.asked", |event: &Event, reply_to: ReplyTo| {
        assert_eq!(event.metadata().get(ReplyTo::ACCEPT), Some(&json!(["a", "b"])));
        reply_to.reply([reply_to.accepts("a"), reply_to.accepts("c")].to_vec()).unwrap();
    })
    .unwrap();
    let accepted: Vec<bool> = bus.request(ask()).accept(["a", "b"]).await.unwrap();
    assert_eq!(accepted, [true, false]);
}

#[tokio::test]
async fn a_closed_bus_takes_no_request() {
    let bus = Bus::new();
    bus.respond("price.asked", || Ok::<_, Reject>(1_u64)).unwrap();
    bus.shutdown(ms(100)).await;
    assert_eq!(number(&bus, 1_000).await.unwrap_err().kind(), ErrorKind::Closed);
    let stats = bus.request_stats();
    assert_eq!((stats.refused, stats.pending), (1, 0));
}

#[tokio::test]
async fn an_unmarked_handler_is_told_how_to_be_registered() {
    let bus = Bus::new();
    bus.on("price.asked", (|_: ReplyTo| {}).named("wrong")).unwrap();
    let report = bus.publish_and_wait(ask()).await.unwrap();
    let error = report.outcome("wrong").unwrap().error.clone().unwrap();
    assert!(error.contains("`respond_with`"), "{error}");
}

#[tokio::test]
async fn a_responder_is_never_durable() {
    let bus = Bus::builder()
        .store(Arc::new(nexus_events_dispatch::store::MemoryStore::new()))
        .open()
        .await
        .unwrap();
    let durable = responder(async || Ok::<_, Reject>(1_u64)).durable("answers");
    let error = bus.on("price.asked", durable).unwrap_err();
    assert!(error.to_string().contains("leave .durable(..) out"), "{error}");
    bus.respond("price.asked", async || Ok::<_, Reject>(1_u64)).unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 1);
}
