//! What a publish costs: handlers inline and on tasks, beside the bare loop they are compared with.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nexus_events_dispatch::{Bus, HandlerExt, Mode, PatternIndex};
use nexus_events_model::{Event, EventType, Pattern, Payload};
use tokio::runtime::Runtime;

criterion_group!(benches, inline, queued, index);
criterion_main!(benches);

const HANDLERS: [usize; 3] = [1, 10, 100];
const QUEUED_EVENTS: u64 = 1_000;

type Bare = Box<dyn Fn(&Event)>;

/// Reads the id and one byte of the payload.
fn work(event: &Event) {
    let first = event.payload().downcast_ref::<Vec<u8>>().map(|bytes| bytes[0]);
    black_box((event.id(), first));
}

fn payload() -> Arc<Vec<u8>> {
    Arc::new(vec![7; 200])
}

fn event(bus: &Bus, payload: &Arc<Vec<u8>>) -> Event {
    let builder =
        Event::builder(EventType::WORKFLOW_COMPLETED).payload(Payload::shared(payload.clone()));
    bus.stamp(builder).expect("a valid event")
}

fn inline(criterion: &mut Criterion) {
    let payload = payload();
    let mut group = criterion.benchmark_group("inline");
    for handlers in HANDLERS {
        let bus = Bus::new();
        let without_history = Bus::builder().history(0).build().expect("valid settings");
        let mut bare: Vec<Bare> = Vec::new();
        for _ in 0..handlers {
            bus.on("workflow.*", work).expect("a valid subscription");
            without_history.on("workflow.*", work).expect("a valid subscription");
            bare.push(Box::new(work));
        }
        group.bench_function(format!("bare-loop/{handlers}"), |b| {
            b.iter(|| {
                let event = event(&bus, &payload);
                bare.iter().for_each(|handler| handler(&event));
            });
        });
        for (name, bus) in [("bus", &bus), ("bus-without-history", &without_history)] {
            group.bench_function(format!("{name}/{handlers}"), |b| {
                b.iter(|| bus.try_publish(event(bus, &payload)).expect("an open bus"));
            });
        }
    }
    group.finish();
}

fn queued(criterion: &mut Criterion) {
    let payload = payload();
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("queued");
    group.throughput(Throughput::Elements(QUEUED_EVENTS));
    group.sample_size(20);
    for handlers in HANDLERS {
        let bus = Bus::new();
        let seen = Arc::new(AtomicU64::new(0));
        runtime.block_on(async {
            for _ in 0..handlers {
                let seen = seen.clone();
                let handler = move |event: &Event| {
                    work(event);
                    seen.fetch_add(1, Ordering::Relaxed);
                };
                bus.on("workflow.*", handler.mode(Mode::Queued)).expect("a valid subscription");
            }
        });
        group.bench_function(format!("bus/{handlers}"), |b| {
            b.iter(|| {
                runtime.block_on(async {
                    for _ in 0..QUEUED_EVENTS {
                        bus.publish(event(&bus, &payload)).await.expect("an open bus");
                    }
                    bus.idle().await;
                });
            });
        });
    }
    group.finish();
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    for patterns in [10_usize, 1_000, 100_000] {
        let mut index = PatternIndex::new();
        for number in 0..patterns {
            let text = match number % 4 {
                0 => format!("a{number}.created"),
                1 => format!("a{number}.*"),
                2 => format!("*.b{number}"),
                _ => format!("a{number}.**"),
            };
            index.insert(&Pattern::new(text).expect("a valid pattern"), number);
        }
        let name = EventType::new("a1.created").expect("a valid type");
        group.bench_function(format!("match/{patterns}"), |b| {
            b.iter(|| {
                let mut found = 0;
                index.for_each_match(black_box(&name), |number| found += number);
                found
            });
        });
    }
    group.finish();
}
