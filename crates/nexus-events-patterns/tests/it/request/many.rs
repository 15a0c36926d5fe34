//! Requests for many answers.

use nexus_events_dispatch::Bus;
use nexus_events_patterns::{ErrorKind, Reject, ReplyTo, Requests, limits};
use tokio::time::{Instant, sleep};

use super::{ask, ms};

/// Answers these, each after so many milliseconds, and holds on to the request.
fn answers(bus: &Bus, answers: &'static [(u64, Result<u64, i64>)]) {
    bus.respond_with("price.asked", move |reply_to: ReplyTo| async move {
        tokio::spawn(async move {
            for (delay, answer) in answers {
                sleep(ms(*delay)).await;
                let _ = match answer {
                    Ok(number) => reply_to.reply(*number),
                    Err(code) => reply_to.reject(Reject::new(*code, "no")),
                };
            }
            reply_to.cancelled().await;
        });
    })
    .unwrap();
}

fn codes(all: &[Result<u64, nexus_events_patterns::Error>]) -> Vec<Result<u64, i64>> {
    let code = |error: &nexus_events_patterns::Error| error.reject().unwrap().code();
    all.iter().map(|one| one.as_ref().copied().map_err(code)).collect()
}

#[tokio::test(start_paused = true)]
async fn d15_three_replies_in_order_then_the_end_after_idle() {
    let bus = Bus::new();
    answers(&bus, &[(1, Err(1)), (1, Err(2)), (1, Ok(3))]);
    let begun = Instant::now();
    let all = bus.request_many::<u64>(ask()).idle(ms(200)).collect().await.unwrap();
    assert_eq!(codes(&all), [Err(1), Err(2), Ok(3)]);
    assert_eq!(begun.elapsed(), ms(203));
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn as_many_are_taken_as_were_asked_for() {
    let bus = Bus::new();
    answers(&bus, &[(1, Ok(1)), (1, Ok(2)), (1, Ok(3))]);
    let all = bus.request_many::<u64>(ask()).take(2).collect().await.unwrap();
    assert_eq!(codes(&all), [Ok(1), Ok(2)]);
    bus.idle().await;
    sleep(ms(10)).await;
    assert_eq!((bus.pending_requests(), bus.request_stats().late), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_it_with_what_came() {
    let bus = Bus::new();
    answers(&bus, &[(100, Ok(1)), (100, Ok(2)), (100, Ok(3))]);
    let begun = Instant::now();
    let all = bus.request_many::<u64>(ask()).deadline(ms(250)).collect().await.unwrap();
    assert_eq!((codes(&all), begun.elapsed()), (vec![Ok(1), Ok(2)], ms(250)));
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_all_have_gone() {
    let bus = Bus::new();
    for number in [1_u64, 2, 3] {
        let slow = move || async move {
            sleep(ms(10 * number)).await;
            Ok::<_, Reject>(number)
        };
        bus.respond("price.asked", slow).unwrap();
    }
    let begun = Instant::now();
    let all = bus.request_many::<u64>(ask()).collect().await.unwrap();
    assert_eq!((codes(&all), begun.elapsed()), (vec![Ok(1), Ok(2), Ok(3)], ms(30)));
    // Gone without a word is an end too, not an error.
    let bus = Bus::new();
    bus.respond_with("price.asked", |_: ReplyTo| {}).unwrap();
    assert!(bus.request_many::<u64>(ask()).collect().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_to_ask_is_an_error_at_once() {
    let bus = Bus::new();
    let error = bus.request_many::<u64>(ask()).collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponders);
    assert_eq!((bus.pending_requests(), bus.request_stats().no_responders), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_counted() {
    let bus = Bus::new();
    bus.respond_with("price.asked", |reply_to: ReplyTo| {
        for number in 0..limits::REPLIES_WAITING_MAX as u64 {
            reply_to.reply(number).unwrap();
        }
        assert_eq!(reply_to.reply(0_u64).unwrap_err().kind(), ErrorKind::Overloaded);
    })
    .unwrap();
    let mut replies = bus.request_many::<u64>(ask()).send().await.unwrap();
    assert_eq!(replies.next().await.unwrap().unwrap(), 0);
    assert_eq!(bus.pending_requests(), 1);
    drop(replies);
    let stats = bus.request_stats();
    assert_eq!((stats.pending, stats.overflowed, stats.abandoned), (0, 1, 1));
    assert_eq!(stats.untaken, limits::REPLIES_WAITING_MAX as u64 - 1);
}

#[tokio::test(start_paused = true)]
async fn no_reply_is_lost_when_a_wait_is_dropped() {
    let bus = Bus::new();
    answers(&bus, &[(10, Ok(1)), (10, Ok(2))]);
    let mut replies = bus.request_many::<u64>(ask()).take(2).send().await.unwrap();
    for expected in [None, Some(1), None, Some(2), None] {
        let next = tokio::time::timeout(ms(7), replies.next()).await.ok().flatten();
        assert_eq!(next.map(Result::unwrap), expected);
    }
    assert!(replies.next().await.is_none());
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let bus = Bus::new();
    for many in [
        bus.request_many::<u64>(ask()).take(0),
        bus.request_many::<u64>(ask()).take(limits::REPLIES_TAKEN_MAX + 1),
        bus.request_many::<u64>(ask()).idle(ms(0)),
        bus.request_many::<u64>(ask()).deadline(ms(0)),
    ] {
        assert_eq!(many.collect().await.unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    assert_eq!(bus.request_stats().requests, 0);
}
