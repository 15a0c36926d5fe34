//! What it costs an event to be handled, or sent, in a batch, beside a handler that takes it alone.

use std::time::{Duration, Instant};

use nexus_events_benches::{Cell, Peer, Report, compare, nanoseconds};
use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventType};
use nexus_events_patterns::{Batch, BatchHandler, Batcher};
use tokio::runtime::{Builder, Runtime};

/// Events in one turn.
const EVENTS: usize = 20_000;

const ORDER: EventType = EventType::from_static("order.created");

pub(crate) fn run(report: &mut Report) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let cells = compare(vec![
        handled(&runtime, "a handler for each", |bus| {
            bus.on(ORDER, async |_: Event| {}).expect("a bus");
        }),
        handled(&runtime, "a handler of batches of 100", |bus| {
            let handler = BatchHandler::of(async |_: Batch| Ok(())).size(100);
            let handler = handler.interval(Duration::from_millis(5)).concurrency(10).build();
            bus.on(ORDER, handler.expect("good options")).expect("a bus");
        }),
        sent(&runtime),
    ]);
    let rows: Vec<(String, Vec<Option<Cell>>)> =
        cells.into_iter().map(|(name, cell)| (name, vec![Some(cell)])).collect();
    report.table("One event in a batch", &["two threads".to_owned()], &rows);
}

fn handled<'a>(runtime: &'a Runtime, name: &str, handler: impl Fn(&Bus)) -> Peer<'a> {
    let bus = Bus::new();
    handler(&bus);
    Peer::timed(name, move || {
        let begun = Instant::now();
        runtime.block_on(async {
            for _ in 0..EVENTS {
                bus.publish(Event::builder(ORDER)).await.expect("it is open");
            }
            bus.idle().await;
        });
        nanoseconds(begun.elapsed()) / EVENTS as f64
    })
}

fn sent(runtime: &Runtime) -> Peer<'_> {
    let batcher = Batcher::to(async |_: Vec<Event>| Ok(())).size(100).build();
    let batcher = batcher.expect("good options");
    let event = Bus::new().stamp(Event::builder(ORDER)).expect("an event");
    Peer::timed("a batcher with batches of 100", move || {
        let begun = Instant::now();
        runtime.block_on(async {
            for _ in 0..EVENTS {
                drop(batcher.push(event.clone()).await.expect("it is open"));
            }
            batcher.flush().await;
        });
        nanoseconds(begun.elapsed()) / EVENTS as f64
    })
}
