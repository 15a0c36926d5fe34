//! What a store that fails does to a bus: errors, and waiting, but no loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{DeadLetterFilter, Timeout};
use nexus_events_dispatch::store::{
    Append, Appended, Bounds, Capabilities, CloseReport, Cursor, EventStore, Integrity,
    MemoryStore, Offset, Page, Progress, Read, Retention, Scan, StateEntry, StateStore, StoreStats,
    Trimmed, Versioned, space,
};
use nexus_events_dispatch::{BoxFuture, Bus, Durable, Error, ErrorKind, HandlerExt, Result};
use nexus_events_model::Event;

use super::{SECOND, consumer, number, numbered, pass, process, publish};
use crate::Log;

/// A store in memory that can be told to refuse what goes to one space, or events.
#[derive(Default)]
struct Failing {
    inner: MemoryStore,
    events: AtomicBool,
    cursors: AtomicBool,
    letters: AtomicBool,
    reads: AtomicBool,
    /// How many events were read.
    read: AtomicUsize,
    /// Another one is stored after each read.
    late: parking_lot::Mutex<Vec<Event>>,
}

impl Failing {
    fn refuses(&self, append: &Append) -> bool {
        let set = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        let writes = |space: &str| append.state.iter().any(|write| write.space == *space);
        (set(&self.events) && !append.events.is_empty())
            || (set(&self.cursors) && writes(space::CURSORS))
            || (set(&self.letters) && writes(space::DEAD_LETTERS))
    }
}

impl StateStore for Failing {
    fn get<'a>(
        &'a self,
        space: &'a str,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Versioned>>> {
        self.inner.get(space, key)
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>> {
        self.inner.scan(scan)
    }
}

impl EventStore for Failing {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        match self.refuses(&append) {
            true => Box::pin(async { Err(Error::store("the disk is on fire")) }),
            false => self.inner.append(append),
        }
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page>> {
        Box::pin(async move {
            if self.reads.load(Ordering::SeqCst) {
                return Err(Error::store("the disk cannot be read"));
            }
            let page = self.inner.read(read).await?;
            self.read.fetch_add(page.events.len(), Ordering::SeqCst);
            let late = self.late.lock().pop();
            if let Some(late) = late {
                self.inner.append(Append::of(late)).await?;
            }
            Ok(page)
        })
    }

    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>> {
        self.inner.wait_past(offset)
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>> {
        self.inner.key_version(key)
    }

    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>> {
        self.inner.trim(retention)
    }

    fn compact(&self, progress: Progress) -> BoxFuture<'_, Result<u64>> {
        self.inner.compact(progress)
    }

    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>> {
        self.inner.verify(progress)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<CloseReport>> {
        self.inner.close()
    }
}

async fn open(store: &Arc<Failing>) -> Bus {
    Bus::builder().store(store.clone()).open().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_stored_is_not_dispatched() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    bus.on("order.*", log.writes("live")).unwrap();
    bus.on("order.*", log.writes("durable").durable("billing")).unwrap();
    store.events.store(true, Ordering::SeqCst);
    let error = bus.publish(numbered(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("on fire"));
    store.events.store(false, Ordering::SeqCst);
    bus.publish(numbered(1)).await.unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["live", "durable"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_cursor_cannot_be_written_waits_for_the_store() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    store.cursors.store(true, Ordering::SeqCst);
    bus.on("order.*", log.writes("handled").durable("billing")).unwrap();
    publish(&bus, 0..3).await;
    pass(60 * SECOND).await;
    assert!(log.take().is_empty());
    assert!(failing(&bus).unwrap().contains("on fire"));
    store.cursors.store(false, Ordering::SeqCst);
    bus.idle().await;
    assert_eq!(log.take(), ["handled"; 3]);
    assert_eq!(failing(&bus), None);
    // Handlers go on when the place of what they have handled cannot be written.
    store.cursors.store(true, Ordering::SeqCst);
    publish(&bus, 3..4).await;
    bus.idle().await;
    pass(10 * SECOND).await;
    assert_eq!(log.take(), ["handled"]);
    let why = failing(&bus).unwrap();
    assert!(why.contains("where it is cannot be written") && why.contains("on fire"), "{why}");
    store.cursors.store(false, Ordering::SeqCst);
    pass(10 * SECOND).await;
    assert_eq!(failing(&bus), None);
}

fn failing(bus: &Bus) -> Option<String> {
    let failing = consumer(bus, "billing").failing.map(|why| why.to_string());
    let line = format!(
        "\nnexus_events_consumer_failing{{consumer=\"billing\"}} {}\n",
        u8::from(failing.is_some())
    );
    let metrics = bus.stats().to_prometheus();
    assert!(metrics.contains(&line), "{metrics}");
    failing
}

#[tokio::test(start_paused = true)]
async fn a_consumer_says_why_it_cannot_read() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    bus.on("order.*", log.writes("handled").durable("billing")).unwrap();
    bus.idle().await;
    assert_eq!(failing(&bus), None);
    store.reads.store(true, Ordering::SeqCst);
    publish(&bus, 0..1).await;
    pass(10 * SECOND).await;
    assert!(failing(&bus).unwrap().contains("cannot be read"));
    store.reads.store(false, Ordering::SeqCst);
    bus.idle().await;
    assert_eq!(log.take(), ["handled"]);
    pass(SECOND).await;
    assert_eq!(failing(&bus), None);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_says_that_its_cursor_cannot_be_read() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    store.append(Append::new().put(space::CURSORS, "billing", "{}")).await.unwrap();
    let bus = open(&store).await;
    publish(&bus, 0..1).await;
    bus.on("order.*", log.writes("handled").durable("billing")).unwrap();
    pass(10 * SECOND).await;
    let why = failing(&bus).unwrap();
    assert!(why.contains("`pending`") && why.contains("Append::cursor"), "{why}");
    let cursor = Cursor::at(Offset::START);
    store.append(Append::new().cursor("billing", &cursor)).await.unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["handled"]);
    pass(SECOND).await;
    assert_eq!(failing(&bus), None);
}

#[tokio::test(start_paused = true)]
async fn d20_what_cannot_be_parked_is_not_acknowledged() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    store.letters.store(true, Ordering::SeqCst);
    let writes = log.clone();
    let fails = move |_: &Event| {
        writes.add("run");
        Err::<(), _>(nexus_events_dispatch::HandlerError::permanent("no such account"))
    };
    bus.on("order.*", fails.durable("billing")).unwrap();
    publish(&bus, 0..1).await;
    pass(10 * SECOND).await;
    let stats = consumer(&bus, "billing");
    assert_eq!((stats.acked, stats.pending, stats.parked), (Offset::START, 1, 0));
    let why = failing(&bus).unwrap();
    assert!(why.contains("offset 1") && why.contains("could not be parked"), "{why}");
    assert!(log.take().len() > 2, "it is tried again as long as it cannot be parked");
    let report = bus.stats();
    assert!(report.handler("billing").unwrap().error_count > 0);
    store.letters.store(false, Ordering::SeqCst);
    bus.idle().await;
    assert_eq!(consumer(&bus, "billing").parked, 1);
    assert_eq!(failing(&bus), None);
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 1);
}

#[tokio::test(start_paused = true)]
async fn d12_a_durable_handler_that_hangs_holds_up_no_other() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    let hangs = async |_: Event| std::future::pending::<()>().await;
    let once = nexus_events_dispatch::layers::Retry::new().max_attempts(1);
    let hangs = hangs
        .durable(Durable::named("hangs").retry(once))
        .layer(Timeout::new(Duration::from_millis(200)));
    bus.on("order.*", hangs).unwrap();
    for healthy in 0..9 {
        bus.on("order.*", log.writes("done").durable(format!("healthy-{healthy}"))).unwrap();
    }
    publish(&bus, 0..1_000).await;
    let begun = tokio::time::Instant::now();
    bus.idle().await;
    assert_eq!(log.take().len(), 9_000);
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 1_000);
    let took = begun.elapsed();
    assert!((200 * SECOND..300 * SECOND).contains(&took), "{took:?}");
}

#[test]
fn d18_a_store_that_fails_is_no_crash() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let handler = || {
        let log = log.clone();
        move |event: Event| {
            let log = log.clone();
            async move {
                log.add(number(&event).to_string());
                if number(&event) == 1 {
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    for crash in 0..4 {
        process().block_on(async {
            store.letters.store(crash == 3, Ordering::SeqCst);
            let bus = open(&store).await;
            bus.on("order.*", handler().durable("billing")).unwrap();
            if crash == 0 {
                publish(&bus, 0..4).await;
            }
            pass(30 * SECOND).await;
            if crash == 3 {
                store.letters.store(false, Ordering::SeqCst);
                bus.idle().await;
                let letters = bus.dead_letters().unwrap().list(&DeadLetterFilter::new(), 10);
                assert_eq!(letters.len(), 1);
                assert!(letters[0].error.contains("ended 3 times"), "{}", letters[0].error);
            }
        });
    }
    assert_eq!(log.take(), ["0", "1", "1", "1", "2", "3"]);
}

#[test]
fn what_was_handled_behind_one_that_is_not_is_not_read_again() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let hangs = |event: Event| async move {
        if number(&event) == 0 {
            std::future::pending::<()>().await;
        }
    };
    process().block_on(async {
        let bus = open(&store).await;
        let two = hangs.durable("billing").with(|options| options.concurrency(2));
        bus.on("order.*", two).unwrap();
        publish(&bus, 0..2_000).await;
        pass(60 * SECOND).await;
        assert_eq!(consumer(&bus, "billing").pending, 1);
        bus.shutdown(SECOND).await;
    });
    process().block_on(async {
        let bus = open(&store).await;
        store.read.store(0, Ordering::SeqCst);
        bus.on("order.*", log.writes("again").durable("billing")).unwrap();
        bus.idle().await;
        assert_eq!(log.take(), ["again"]);
        assert_eq!(store.read.load(Ordering::SeqCst), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_for_the_one_that_cannot_be_parked() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let bus = open(&store).await;
    store.letters.store(true, Ordering::SeqCst);
    let writes = log.clone();
    let handler = move |event: &Event| {
        writes.add(super::number(event).to_string());
        match super::number(event) {
            0 => Err(nexus_events_dispatch::HandlerError::permanent("no such account")),
            _ => Ok(()),
        }
    };
    let by_third = |event: &Event| Some((super::number(event) % 3).to_string().into());
    let keyed = handler.durable("billing");
    bus.on("order.*", keyed.with(|it| it.ordered_by(by_third).concurrency(4))).unwrap();
    publish(&bus, 0..9).await;
    pass(5 * SECOND).await;
    let early = log.take();
    assert!(early.iter().all(|line| !["3", "6"].contains(&&**line)), "{early:?}");
    for other in ["1", "2", "4", "5", "7", "8"] {
        assert_eq!(early.iter().filter(|line| *line == other).count(), 1, "{early:?}");
    }
    store.letters.store(false, Ordering::SeqCst);
    bus.idle().await;
    // Those behind it are parked behind it.
    assert_eq!(log.take(), ["0"]);
    assert_eq!(consumer(&bus, "billing").parked, 3);
}

#[test]
fn what_is_stored_while_a_handler_finds_its_place_is_not_passed_over() {
    let (store, log) = (Arc::new(Failing::default()), Log::default());
    let life = |hangs: bool| {
        process().block_on(async {
            let bus = Bus::builder().store(store.clone()).open().await.unwrap();
            let log = log.clone();
            let handler = move |event: Event| {
                let log = log.clone();
                async move {
                    log.add(number(&event).to_string());
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let stamped = |number| bus.stamp(numbered(number)).unwrap();
            if !hangs {
                *store.late.lock() = vec![stamped(4), stamped(3)];
            }
            bus.on("order.*", handler.durable("billing")).unwrap();
            if hangs {
                publish(&bus, 0..3).await;
            }
            pass(SECOND).await;
        });
    };
    life(true);
    log.take();
    life(false);
    assert_eq!(log.take(), ["0", "1", "2", "3", "4"]);
}
