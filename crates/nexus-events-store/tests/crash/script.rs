//! What a random program does with a store.

use std::time::Duration;

use nexus_events_dispatch::store::{Ack, Append, Cursor, Expected, Held, Offset, Retention};
use nexus_events_model::Event;
use serde_json::json;

use crate::model::Model;
use crate::random::Random;
use crate::view::KEYS;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The first is committed alone; the others wait meanwhile and are committed together.
    Appends(Vec<Append>),
    Trim(Retention),
    Compact,
    /// So much time passes.
    Time(Duration),
}

impl Step {
    pub(crate) fn random(random: &mut Random, model: &Model) -> Self {
        match random.below(20) {
            0 => Self::Trim(retention(random)),
            1 => Self::Compact,
            2 => Self::Time(Duration::from_secs(random.pick(&[1, 60, 601]))),
            3..=7 => {
                let count = 2 + random.below(4);
                Self::Appends((0..count).map(|_| append(random, model)).collect())
            }
            _ => Self::Appends(vec![append(random, model)]),
        }
    }
}

fn retention(random: &mut Random) -> Retention {
    // Not by bytes: how many an event has is each store's own affair.
    let retention = match random.below(2) {
        0 => Retention::new().events(random.below(8) as u64),
        _ => Retention::new().age(Duration::from_secs(30)),
    };
    retention.held(random.pick(&[Held::Keep, Held::Remove]))
}

fn append(random: &mut Random, model: &Model) -> Append {
    let mut append = Append::new();
    if random.percent(80) {
        for _ in 0..1 + random.below(4) {
            append = one_event(append, random);
        }
    }
    if append.events.is_empty() {
        // So that each append can be seen.
        append = append.put("saga", "d", vec![1]);
    }
    if append.events.is_empty() || random.percent(40) {
        for _ in 0..1 + random.below(3) {
            append = one_state(append, random, model);
        }
    }
    if random.percent(20) {
        let acked = Offset::new(random.below(12) as u64);
        append = append.cursor(random.pick(&["billing", "mail"]), &Cursor::at(acked));
    }
    if random.percent(25) {
        append = append.idempotency_key(format!("once-{}", random.below(8)));
    }
    if random.percent(20) {
        let key = random.pick(&KEYS);
        let version = model.key_version(key);
        let expected = [Expected::Exact(version), Expected::Exact(version + 1), Expected::Present];
        append = append.expect_key(key, random.pick(&expected));
    }
    append.ack(random.pick(&[Ack::Synced, Ack::Synced, Ack::Synced, Ack::Buffered, Ack::Memory]))
}

fn one_event(append: Append, random: &mut Random) -> Append {
    let event = event(random);
    match random.percent(60) {
        true => append.keyed_event(random.pick(&KEYS), event),
        false => append.event(event),
    }
}

pub(crate) fn event(random: &mut Random) -> Event {
    let bytes = match random.below(20) {
        0 => 5_000 + random.below(40_000),
        _ => random.below(300),
    };
    let text: String = (0..bytes).map(|_| random.pick(&['a', 'b', 'c', 'd'])).collect();
    Event::builder(random.pick(&["order.created", "order.paid", "stock.low"]))
        .id(format!("{:016x}", random.next()))
        .timestamp_text("2026-01-02T03:04:05.678Z")
        .source(random.pick(&["shop", "till"]))
        .payload(json!({ "number": random.below(1_000_000), "text": text }))
        .build()
        .unwrap()
}

fn one_state(append: Append, random: &mut Random, model: &Model) -> Append {
    let space = random.pick(&["orders", "outbox", "saga"]);
    let key = random.pick(&["a", "b", "c"]);
    let expected = match random.below(4) {
        0 => Expected::Exact(model.state_version(space, key)),
        1 => random.pick(&[Expected::Absent, Expected::Present]),
        _ => Expected::Any,
    };
    if random.percent(25) {
        return append.delete_if(expected, space, key);
    }
    let bytes = if random.percent(5) { 6_000 } else { random.below(60) };
    append.put_if(expected, space, key, vec![random.next() as u8; bytes])
}
