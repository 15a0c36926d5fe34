//! What the event model costs: matching a pattern, building, encoding and decoding an event.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventBuilder, EventType, Pattern, Payload, Priority, Stamp};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

criterion_group!(benches, pattern, build, json);
criterion_main!(benches);

/// One row per way a pattern can be written.
fn pattern(criterion: &mut Criterion) {
    let event_type = EventType::new("order.payment.card.failed").expect("valid type");
    let mut group = criterion.benchmark_group("pattern");
    for (name, text) in [
        ("exact", "order.payment.card.failed"),
        ("one", "order.*.card.failed"),
        ("many", "order.**.failed"),
        ("all", "**"),
        ("other", "user.payment.card.failed"),
    ] {
        let pattern = Pattern::new(text).expect("valid pattern");
        group.bench_function(name, |b| {
            b.iter(|| black_box(&pattern).matches(black_box(&event_type)));
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event-build");
    group.bench_function("type-only", |b| {
        b.iter(|| stamped(Event::builder(EventType::USER_LOGIN)));
    });
    let shared = Arc::new(vec![7_u8; 200]);
    let lean = || {
        Event::builder(EventType::WORKFLOW_COMPLETED)
            .source("bench")
            .payload(Payload::shared(shared.clone()))
    };
    group.bench_function("shared-payload", |b| b.iter(|| stamped(lean())));
    // With an id made and the clock read, as when it is published.
    let bus = Bus::new();
    group.bench_function("shared-payload-by-bus", |b| b.iter(|| bus.stamp(lean())));
    let payload = payload();
    group.bench_function("typical", |b| {
        b.iter(|| {
            stamped(
                Event::builder(EventType::USER_LOGIN)
                    .source("shop")
                    .payload(payload.clone())
                    .correlation_id("corr_123")
                    .session_id("session_456")
                    .priority(Priority::High),
            )
        });
    });
    group.finish();
}

fn json(criterion: &mut Criterion) {
    let event = event();
    let text = event.encoded().expect("an event encodes").as_str().to_owned();
    let mut group = criterion.benchmark_group("event-json");
    group.bench_function("decode", |b| {
        b.iter(|| Event::from_json(black_box(&text)).expect("valid JSON"));
    });
    // An event keeps its encoding, so each round needs one that was never encoded.
    group.bench_function("encode", |b| {
        b.iter_batched(
            || event.to_builder().build().expect("valid event"),
            |event| event.encoded().expect("an event encodes").as_str().len(),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn event() -> Event {
    stamped(
        Event::builder(EventType::USER_LOGIN)
            .source("shop")
            .payload(payload())
            .correlation_id("corr_123"),
    )
}

/// Builds with a fixed id and time, so that neither a clock nor randomness is measured.
fn stamped(builder: EventBuilder) -> Event {
    let stamp = || Stamp { id: Uuid::from_u128(7).into(), timestamp: OffsetDateTime::UNIX_EPOCH };
    builder.build_with(stamp).expect("valid event")
}

fn payload() -> serde_json::Value {
    json!({"order_id": "o-1", "amount": 129.9, "lines": [{"sku": "A", "count": 2}], "vip": true})
}
