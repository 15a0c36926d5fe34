//! What is stored: for ours an event with all its fields, for the others the bytes of its payload
//! and what their three indexes need, which is less.

use std::sync::Arc;

use nexus_events_dispatch::store::Append;
use nexus_events_model::{Event, Payload, Text};
use time::OffsetDateTime;
use uuid::Uuid;

/// Bytes of a payload.
pub(crate) const PAYLOAD: usize = 400;

/// Event types, and keys.
const TYPES: u64 = 20;
const KEYS: u64 = 1_000;

/// When the first event happened, in microseconds since 1970; each of the others one later.
const BEGAN_MICROS: i128 = 1_790_000_000_000_000;

/// Events of one conversation.
const CONVERSATION: u64 = 8;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) event_type: String,
    pub(crate) key: Text,
    pub(crate) correlation: [u8; 16],
    pub(crate) payload: String,
    pub(crate) event: Event,
}

/// Looks random, and is the same in every run (`SplitMix64`).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn uuid(number: u64) -> Uuid {
    Uuid::from_u64_pair(mixed(number), mixed(!number))
}

/// JSON of exactly so many bytes, which no compression makes much of.
fn payload(number: u64) -> String {
    let mut json = format!("{{\"n\":{number},\"text\":\"");
    let mut at = number << 8;
    while json.len() < PAYLOAD - 2 {
        let mut bits = mixed(at);
        at += 1;
        for _ in 0..10 {
            let digit = (bits % 62) as u8;
            bits /= 62;
            json.push(char::from(match digit {
                0..10 => b'0' + digit,
                10..36 => b'a' + digit - 10,
                _ => b'A' + digit - 36,
            }));
        }
    }
    json.truncate(PAYLOAD - 2);
    json.push_str("\"}");
    json
}

impl Row {
    /// The row of this number, the same in every run.
    pub(crate) fn new(number: u64) -> Self {
        let event_type = format!("order.kind{}.changed", mixed(number) % TYPES);
        let key = Text::from(format!("customer-{}", mixed(number ^ 0xff) % KEYS));
        let correlation = uuid(number / CONVERSATION + (1 << 40));
        let payload = payload(number);
        let time =
            OffsetDateTime::from_unix_timestamp_nanos((BEGAN_MICROS + i128::from(number)) * 1_000);
        let event = Event::builder(event_type.as_str())
            .id(uuid(number))
            .timestamp(time.expect("a time"))
            .source("shop")
            .correlation_id(correlation)
            .payload(Payload::from_checked_json(payload.as_str()))
            .build()
            .expect("an event that is right");
        Self { event_type, key, correlation: *correlation.as_bytes(), payload, event }
    }

    pub(crate) fn put_into(&self, append: Append) -> Append {
        append.keyed_event(self.key.clone(), self.event.clone())
    }
}

/// Rows that are made before the clock runs.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Vec<Arc<Row>>>);

impl Pool {
    pub(crate) fn new(first: u64, rows: usize) -> Self {
        Self(Arc::new((first..).take(rows).map(|number| Arc::new(Row::new(number))).collect()))
    }

    /// Begins anew at its end.
    pub(crate) fn at(&self, index: usize) -> Arc<Row> {
        self.0[index % self.0.len()].clone()
    }

    pub(crate) fn all(&self) -> &[Arc<Row>] {
        &self.0
    }
}
