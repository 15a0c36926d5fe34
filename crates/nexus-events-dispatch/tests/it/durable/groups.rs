use std::sync::Arc;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, ErrorKind, HandlerExt, Mode, Result, Subscription};
use nexus_events_model::Event;

use super::{SECOND, number, open, pass, publish};
use crate::Log;

#[tokio::test(start_paused = true)]
async fn one_consumer_of_a_group_gets_each_event() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    for round in 0..2 {
        let bus = open(&store).await;
        for member in 0..3 {
            let log = log.clone();
            let handler = move |event: Event| {
                let log = log.clone();
                async move {
                    tokio::time::sleep(SECOND).await;
                    log.add(format!("{} {member}", number(&event)));
                }
            };
            let handler = handler.durable("billing").named(format!("billing-{member}"));
            bus.on("order.*", handler.with(|options| options.group("workers"))).unwrap();
        }
        publish(&bus, round * 30..round * 30 + 30).await;
        bus.idle().await;
        let mut lines = log.take();
        let members: std::collections::HashSet<_> =
            lines.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(members.len(), 3);
        lines.sort_by_key(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap());
        assert_eq!(lines.len(), 30);
        assert_eq!(bus.consumers().len(), 1);
        bus.shutdown(SECOND).await;
    }
}

#[tokio::test]
async fn a_handler_that_blocks_is_durable_too() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    bus.on("order.*", log.writes("blocked").mode(Mode::Blocking).durable("billing")).unwrap();
    publish(&bus, 0..3).await;
    bus.idle().await;
    assert_eq!(log.take(), ["blocked"; 3]);
}

/// A handler that takes a second, as a member of a group.
fn member(bus: &Bus, log: &Log, name: &'static str) -> Result<Subscription> {
    let log = log.clone();
    let handler = move |event: Event| {
        let log = log.clone();
        async move {
            tokio::time::sleep(SECOND).await;
            log.add(number(&event).to_string());
        }
    };
    let handler = handler.durable("billing").named(name);
    bus.on("order.*", handler.with(|options| options.group("workers")))
}

#[tokio::test(start_paused = true)]
async fn what_a_member_leaves_goes_to_the_others() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let first = member(&bus, &log, "one").unwrap();
    member(&bus, &log, "two").unwrap();
    publish(&bus, 0..20).await;
    pass(SECOND * 5 / 2).await;
    assert!(first.unsubscribe().await);
    bus.idle().await;
    let mut handled: Vec<u64> = log.take().iter().map(|line| line.parse().unwrap()).collect();
    handled.sort_unstable();
    assert_eq!(handled, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_group_begins_anew_only_when_the_old_one_has_ended() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    let first = member(&bus, &log, "one").unwrap();
    publish(&bus, 0..2).await;
    pass(SECOND / 2).await;
    let leaving = tokio::spawn(async move { first.unsubscribe().await });
    tokio::task::yield_now().await;
    let error = member(&bus, &log, "two").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateName);
    assert!(error.to_string().contains("still ending"), "{error}");
    leaving.await.unwrap();
    member(&bus, &log, "two").unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["0", "1"]);
}

fn kind(subscribed: Result<Subscription>) -> ErrorKind {
    subscribed.unwrap_err().kind()
}

#[tokio::test]
async fn a_consumer_belongs_to_one_group_and_a_group_to_one_consumer() {
    let bus = open(&Arc::new(MemoryStore::new())).await;
    let handler = async |_: Event| {};
    let plain = |name: &'static str| handler.named(name);
    let of = |name: &'static str, reads_as: &'static str| plain(name).durable(reads_as);
    bus.on("order.*", of("one", "billing").with(|options| options.group("workers"))).unwrap();
    bus.on("order.*", of("single", "audit")).unwrap();
    bus.on("order.*", plain("live").with(|options| options.group("live"))).unwrap();

    let another = of("two", "billing").with(|options| options.group("others"));
    assert_eq!(kind(bus.on("order.*", another)), ErrorKind::DuplicateName);
    let another = of("two", "audit").with(|options| options.group("others"));
    assert_eq!(kind(bus.on("order.*", another)), ErrorKind::DuplicateName);
    let another = of("two", "shipping").with(|options| options.group("workers"));
    assert_eq!(kind(bus.on("order.*", another)), ErrorKind::InvalidOption);
    let another = of("two", "shipping").with(|options| options.group("live"));
    assert_eq!(kind(bus.on("order.*", another)), ErrorKind::InvalidOption);
    let another = plain("two").with(|options| options.group("workers"));
    assert_eq!(kind(bus.on("order.*", another)), ErrorKind::InvalidOption);
    assert_eq!(bus.consumers().len(), 2);
}
