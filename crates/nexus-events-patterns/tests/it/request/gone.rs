//! Every way for a responder to be gone is told without waiting.

use std::sync::Arc;

use nexus_events_dispatch::{
    Bus, Context, HandlerExt, Overload,
    layers::{Jitter, Retry},
};
use nexus_events_model::Event;
use nexus_events_patterns::{ErrorKind, Reject, ReplyTo, Requests, responder};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::{ask, ms, number};

/// The request ends with this, and the clock has not moved.
async fn is_gone_at_once(bus: &Bus) {
    let begun = Instant::now();
    let error = number(bus, 10_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponderGone);
    assert_eq!(begun.elapsed(), ms(0));
    assert_eq!(bus.pending_requests(), 0);
    assert_eq!(bus.request_stats().responder_gone, 1);
}

#[tokio::test(start_paused = true)]
async fn when_it_drops_its_reply_to() {
    let bus = Bus::new();
    bus.respond_with("price.asked", async |_: ReplyTo| {}).unwrap();
    is_gone_at_once(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn when_it_never_takes_one() {
    let bus = Bus::new();
    bus.respond_with("price.asked", |_: &Event| {}).unwrap();
    is_gone_at_once(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn when_it_panics_at_once_or_later() {
    let bus = Bus::new();
    bus.respond("price.asked", || -> Result<u64, Reject> { panic!("no price") }).unwrap();
    is_gone_at_once(&bus).await;
    let bus = Bus::new();
    let late = async || -> Result<u64, Reject> {
        tokio::task::yield_now().await;
        panic!("no price")
    };
    bus.respond("price.asked", late).unwrap();
    is_gone_at_once(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn although_another_handler_takes_its_time() {
    let bus = Bus::new();
    bus.on("price.*", async |_: Event| sleep(ms(5_000)).await).unwrap();
    bus.respond_with("price.asked", async |_: ReplyTo| {}).unwrap();
    is_gone_at_once(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn when_its_last_attempt_has_failed_and_not_before() {
    let bus = Bus::new();
    let tries = async |_: ReplyTo| Err::<(), _>("no price");
    let retry = Retry::new().max_attempts(3).base(ms(100)).factor(1.0).jitter(Jitter::None);
    bus.respond_with("price.asked", tries.layer(retry)).unwrap();
    let begun = Instant::now();
    assert_eq!(number(&bus, 10_000).await.unwrap_err().kind(), ErrorKind::ResponderGone);
    assert_eq!(begun.elapsed(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn when_it_is_unsubscribed_with_the_request_queued() {
    let bus = Bus::new();
    let go = Arc::new(Notify::new());
    let going = go.clone();
    let busy = move |reply_to: Option<ReplyTo>| {
        let going = going.clone();
        async move {
            if reply_to.is_none() {
                going.notified().await;
            }
        }
    };
    let subscription = bus.respond_with("price.asked", busy).unwrap();
    bus.publish(ask()).await.unwrap();
    let begun = Instant::now();
    let (answer, ..) = tokio::join!(number(&bus, 10_000), async {
        tokio::task::yield_now().await;
        let ending = subscription.unsubscribe();
        let mut ending = std::pin::pin!(ending);
        // It waits for the run, and the queued request is over already.
        tokio::select! {
            biased;
            _ = &mut ending => panic!("it still runs"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(bus.request_stats().responder_gone, 1);
        go.notify_one();
        ending.await
    });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ResponderGone);
    assert_eq!(begun.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn when_its_queue_is_full() {
    let bus = Bus::new();
    let slow = async || {
        sleep(ms(1_000)).await;
        Ok::<_, Reject>(1_u64)
    };
    let options = |options: nexus_events_dispatch::SubscriptionOptions| {
        options.queue(1).overload(Overload::DropNewest)
    };
    bus.on("price.asked", responder(slow).with(options)).unwrap();
    let (a, b, c) = tokio::join!(number(&bus, 5_000), number(&bus, 5_000), number(&bus, 5_000));
    let kinds: Vec<_> = [a, b, c].into_iter().map(|it| it.map_err(|e| e.kind())).collect();
    assert!(kinds.contains(&Err(ErrorKind::ResponderGone)), "{kinds:?}");
    assert!(kinds.contains(&Ok(1)), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn when_a_higher_wave_cancels_the_request() {
    let bus = Bus::new();
    let guard = |_: &Event, context: &Context| context.cancel("not now");
    bus.on("price.asked", guard.priority(10)).unwrap();
    bus.respond("price.asked", || Ok::<_, Reject>(1_u64)).unwrap();
    is_gone_at_once(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn when_a_task_drops_it_or_is_aborted() {
    let bus = Bus::new();
    bus.respond_with("price.asked", async |reply_to: ReplyTo| {
        let task = tokio::spawn(async move { reply_to.cancelled().await });
        tokio::spawn(async move {
            sleep(ms(300)).await;
            task.abort();
        });
    })
    .unwrap();
    let begun = Instant::now();
    assert_eq!(number(&bus, 10_000).await.unwrap_err().kind(), ErrorKind::ResponderGone);
    assert_eq!(begun.elapsed(), ms(300));
}

#[tokio::test(start_paused = true)]
async fn when_the_bus_stops_at_its_deadline() {
    let bus = Bus::new();
    bus.respond_with("price.asked", async |reply_to: ReplyTo| reply_to.cancelled().await).unwrap();
    let (answer, _) = tokio::join!(number(&bus, 10_000), async {
        tokio::task::yield_now().await;
        bus.shutdown(ms(100)).await
    });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ResponderGone);
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn but_not_while_one_of_several_is_left() {
    let bus = Bus::new();
    bus.respond_with("price.asked", async |_: ReplyTo| {}).unwrap();
    bus.respond("price.asked", || -> Result<u64, Reject> { panic!("no price") }).unwrap();
    let slow = async || {
        sleep(ms(50)).await;
        Ok::<_, Reject>(3_u64)
    };
    bus.respond("price.asked", slow).unwrap();
    assert_eq!(number(&bus, 1_000).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_answers_once() {
    let bus = Bus::new();
    for number in [1_u64, 2] {
        let answer = responder(move || async move { Ok::<_, Reject>(number) });
        bus.on("price.asked", answer.with(|options| options.group("prices"))).unwrap();
    }
    assert!([1, 2].contains(&number(&bus, 1_000).await.unwrap()));
    let plain = (|_: &Event| {})
        .with(|options| options.mode(nexus_events_dispatch::Mode::Queued).group("prices"));
    let error = bus.on("price.asked", plain).unwrap_err();
    assert!(error.to_string().contains("whether they respond"), "{error}");
}
