//! What is done when a bus shuts down, before its handlers end.

use std::time::Duration;

use nexus_events_dispatch::{Bus, Closing, Context, ErrorKind};
use nexus_events_model::Event;

use crate::{Log, event};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn it_comes_after_what_is_on_its_way_and_before_handlers_end() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", log.writes_async("a")).unwrap();
    let last = log.clone();
    let outside = bus.clone();
    bus.at_shutdown(move |closing: Closing| async move {
        last.add("last");
        let refused = outside.publish(event("a")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        let receipt = closing.publish(event("summary")).await.unwrap();
        assert_eq!(receipt.matched, 1);
    });
    let follows = log.clone();
    bus.on("summary", move |_: &Event, context: &Context| {
        follows.add("summary");
        context.publish(event("a")).map(|_| ())
    })
    .unwrap();
    for _ in 0..2 {
        bus.publish(event("a")).await.unwrap();
    }
    assert!(bus.shutdown(LONG).await.is_clean());
    assert_eq!(log.take(), ["a", "a", "last", "summary", "a"]);
}

#[tokio::test(start_paused = true)]
async fn it_happens_once_and_a_panic_is_its_own() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.at_shutdown(|_| async { panic!("oops") });
    let last = log.clone();
    bus.at_shutdown(|_| async move { last.add("last") });
    tokio::join!(bus.shutdown(LONG), bus.shutdown(LONG));
    assert_eq!(log.take(), ["last"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_leaves_it_half_of_the_time() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("hangs", async |_: Event| std::future::pending::<()>().await).unwrap();
    bus.publish(event("hangs")).await.unwrap();
    let last = log.clone();
    bus.at_shutdown(|_| async move { last.add("last") });
    let began = tokio::time::Instant::now();
    let report = bus.shutdown(LONG).await;
    assert_eq!((report.lost, began.elapsed(), log.take()), (1, LONG, vec!["last".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_hangs_in_it_is_stopped_at_the_deadline() {
    let bus = Bus::new();
    bus.at_shutdown(|_| std::future::pending());
    let began = tokio::time::Instant::now();
    bus.shutdown(LONG).await;
    assert_eq!(began.elapsed(), LONG);
}
