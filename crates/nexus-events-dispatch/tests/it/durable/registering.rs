//! The name of a durable handler, while it is being registered.

use std::sync::{Arc, Barrier, Mutex};

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{
    Bus, Called, Context, ErrorKind, Handler, HandlerExt, Result, Subscription, SubscriptionOptions,
};
use nexus_events_model::{Event, Pattern};

use super::{number, open, publish};
use crate::Log;

type Meanwhile = Box<dyn FnOnce(&Bus) -> Result<()> + Send>;

/// A handler that does something while it is registered: after its name was found free, and before
/// it is there.
struct Registered {
    meanwhile: Mutex<Option<Meanwhile>>,
    log: Log,
}

impl Handler for Registered {
    fn check(&self, bus: &Bus, _: &Pattern) -> Result<()> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        meanwhile.map_or(Ok(()), |meanwhile| meanwhile(bus))
    }

    fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
        self.log.add(format!("outer {}", number(event)));
        Called::Ready(Ok(serde_json::Value::Null))
    }
}

fn register(
    bus: &Bus,
    log: &Log,
    group: Option<&'static str>,
    meanwhile: impl FnOnce(&Bus) -> Result<()> + Send + 'static,
) -> Result<Subscription> {
    let meanwhile: Meanwhile = Box::new(meanwhile);
    let handler = Registered { meanwhile: Mutex::new(Some(meanwhile)), log: log.clone() };
    bus.on("order.*", handler.durable("billing").named("outer").with(|options| of(options, group)))
}

fn of(options: SubscriptionOptions, group: Option<&'static str>) -> SubscriptionOptions {
    match group {
        Some(group) => options.group(group),
        None => options,
    }
}

/// Registers another under the same name.
fn another(bus: &Bus, log: &Log, group: Option<&'static str>) -> Result<Subscription> {
    let log = log.clone();
    let handler = move |event: &Event| log.add(format!("inner {}", number(event)));
    bus.on("order.*", handler.durable("billing").named("inner").with(|options| of(options, group)))
}

#[tokio::test]
async fn a_name_is_taken_while_its_first_is_registered() {
    let (bus, log) = (open(&Arc::new(MemoryStore::new())).await, Log::default());
    let inner = log.clone();
    register(&bus, &log, None, move |bus| {
        assert_eq!(another(bus, &inner, None).unwrap_err().kind(), ErrorKind::DuplicateName);
        assert!(bus.consumers().is_empty());
        Ok(())
    })
    .unwrap();
    publish(&bus, 0..2).await;
    bus.idle().await;
    assert_eq!(log.take(), ["outer 0", "outer 1"]);
    assert_eq!(bus.consumers().len(), 1);
}

#[tokio::test]
async fn a_name_is_free_again_when_its_first_is_refused() {
    let (bus, log) = (open(&Arc::new(MemoryStore::new())).await, Log::default());
    let refused = register(&bus, &log, None, |_| Err(nexus_events_dispatch::Error::refused("no")));
    assert!(refused.is_err());
    another(&bus, &log, None).unwrap();
    publish(&bus, 0..2).await;
    bus.idle().await;
    assert_eq!(log.take(), ["inner 0", "inner 1"]);
}

#[tokio::test]
async fn members_of_a_group_that_come_at_once_are_one_consumer() {
    let (bus, log) = (open(&Arc::new(MemoryStore::new())).await, Log::default());
    let inner = log.clone();
    register(&bus, &log, Some("workers"), move |bus| {
        another(bus, &inner, Some("workers")).map(drop)
    })
    .unwrap();
    publish(&bus, 0..4).await;
    bus.idle().await;
    let mut numbers: Vec<_> =
        log.take().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["0", "1", "2", "3"]);
    assert_eq!(bus.consumers().len(), 1);
}

#[tokio::test]
async fn a_member_stays_when_the_first_of_its_group_is_refused() {
    let (bus, log) = (open(&Arc::new(MemoryStore::new())).await, Log::default());
    let inner = log.clone();
    let refused = register(&bus, &log, Some("workers"), move |bus| {
        another(bus, &inner, Some("workers"))?;
        Err(nexus_events_dispatch::Error::refused("no"))
    });
    assert!(refused.is_err());
    publish(&bus, 0..2).await;
    bus.idle().await;
    assert_eq!(log.take(), ["inner 0", "inner 1"]);
}

#[tokio::test]
async fn a_group_that_ends_while_it_is_joined_is_not_joined() {
    let (bus, log) = (open(&Arc::new(MemoryStore::new())).await, Log::default());
    let first = another(&bus, &log, Some("workers")).unwrap();
    let leaving = tokio::runtime::Handle::current();
    let joined = register(&bus, &log, Some("workers"), move |_| {
        // Its end is waited for nowhere: the consumer has not written its cursor yet.
        let mut ending = Box::pin(async move { first.unsubscribe().await });
        let _runtime = leaving.enter();
        let waker = std::task::Waker::noop();
        let _ = ending.as_mut().poll(&mut std::task::Context::from_waker(waker));
        Ok(())
    });
    let error = joined.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateName);
    assert!(error.to_string().contains("still ending"), "{error}");
    bus.idle().await;
    let log_after = log.clone();
    while another(&bus, &log_after, Some("workers")).is_err() {
        tokio::task::yield_now().await;
    }
    publish(&bus, 0..1).await;
    bus.idle().await;
    assert_eq!(log.take(), ["inner 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_register_one_name_one_gets_it() {
    let runtime = tokio::runtime::Handle::current();
    for _ in 0..50 {
        let bus = open(&Arc::new(MemoryStore::new())).await;
        let start = Barrier::new(4);
        let got = std::thread::scope(|threads| {
            let threads: Vec<_> = (0..4)
                .map(|at| {
                    let (bus, start, runtime) = (&bus, &start, &runtime);
                    threads.spawn(move || {
                        let _runtime = runtime.enter();
                        let handler = (|_: &Event| {}).durable("billing").named(format!("h-{at}"));
                        start.wait();
                        bus.on("order.*", handler).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
        assert_eq!(bus.consumers().len(), 1);
    }
}
