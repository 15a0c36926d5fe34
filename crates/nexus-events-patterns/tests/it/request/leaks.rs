//! No way for a request to end leaves anything behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_events_dispatch::Bus;
use nexus_events_model::Event;
use nexus_events_patterns::{ReplyTo, Requests};
use serde_json::Value;

use super::{ask, ms, number};

const EACH: usize = 25_000;

/// Each in its own way, 100,000 requests are left; then nothing is pending.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_requests_leave_nothing_pending() {
    let bus = Bus::builder().history(100).build().unwrap();
    let held = Arc::new(AtomicUsize::new(0));
    let holding = held.clone();
    bus.respond_with("price.asked", move |reply_to: ReplyTo| {
        let held = holding.clone();
        held.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            reply_to.cancelled().await;
            let _ = reply_to.reply(1_u64);
            held.fetch_sub(1, Ordering::SeqCst);
        });
    })
    .unwrap();
    for round in 0..EACH {
        let asking = |bus: &Bus| {
            let bus = bus.clone();
            tokio::spawn(async move { number(&bus, 1_000).await })
        };
        // Aborted on its way.
        let aborted = asking(&bus);
        while bus.pending_requests() == 0 {
            tokio::task::yield_now().await;
        }
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        // Dropped, once before and once after it was polled.
        drop(bus.request::<u64>(ask()).into_future());
        let mut dropped = Box::pin(number(&bus, 1_000));
        let _ = futures_poll(dropped.as_mut()).await;
        drop(dropped);
        if round % 1_000 == 999 {
            // Those that nobody drops time out together.
            let waiting: Vec<_> = (0..1_000).map(|_| asking(&bus)).collect();
            while bus.pending_requests() < 1_000 {
                tokio::task::yield_now().await;
            }
            for one in waiting {
                assert!(one.await.unwrap().is_err());
            }
            assert_eq!(bus.pending_requests(), 0);
        }
    }
    bus.idle().await;
    while held.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let stats = bus.request_stats();
    assert_eq!(stats.pending, 0);
    assert_eq!((stats.requests, stats.timed_out), (3 * EACH as u64, EACH as u64));
    assert_eq!(stats.abandoned, 2 * EACH as u64);
    assert_eq!(stats.late, 3 * EACH as u64);
}

async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|task| std::task::Poll::Ready(future.as_mut().poll(task).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_leaves_nothing_pending() {
    use nexus_events_dispatch::{Error, Layer, Next, Published};
    struct Refuses;
    impl Layer for Refuses {
        fn publish<'a>(&'a self, _: Event, _: Next<'a>) -> Published<'a> {
            Published::Ready(Err(Error::refused("no requests today")))
        }
    }
    let bus = Bus::builder().layer(Refuses).build().unwrap();
    let error = number(&bus, 1_000).await.unwrap_err();
    assert!(error.to_string().contains("no requests today"));
    assert_eq!((bus.pending_requests(), bus.request_stats().refused), (0, 1));
    let error = bus.request::<Value>(ask()).reply_in("price.told").await.unwrap_err();
    assert!(error.to_string().contains("no requests today"));
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_waits_is_under_the_timeout_too() {
    use nexus_events_dispatch::{Layer, Next, Published};
    struct Waits;
    impl Layer for Waits {
        fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
            Published::Pending(Box::pin(async move {
                tokio::time::sleep(ms(5_000)).await;
                next.run(event).wait().await
            }))
        }
    }
    let bus = Bus::builder().layer(Waits).build().unwrap();
    let error = number(&bus, 1_000).await.unwrap_err();
    assert_eq!(error.elapsed(), Some(ms(1_000)));
    assert_eq!(bus.pending_requests(), 0);
    let many = bus.request_many::<u64>(ask()).deadline(ms(1_000)).collect().await;
    assert_eq!(many.unwrap_err().kind(), nexus_events_patterns::ErrorKind::TimedOut);
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_layer_answers_for_has_no_responders() {
    use nexus_events_dispatch::layers::Dedup;
    let bus = Bus::builder().layer(Dedup::on_publish()).build().unwrap();
    bus.respond("price.asked", || Ok::<_, nexus_events_patterns::Reject>(1_u64)).unwrap();
    let event = bus.stamp(ask()).unwrap();
    assert_eq!(bus.request::<u64>(event.clone()).await.unwrap(), 1);
    let error = bus.request::<u64>(event).await.unwrap_err();
    assert_eq!(error.kind(), nexus_events_patterns::ErrorKind::NoResponders);
}
