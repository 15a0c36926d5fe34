//! The one event that all peers carry: a 16-byte id, a type, a source and 200 bytes of payload
//! behind an `Arc`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventBuilder, EventType, Payload};
use serde::{Serialize, Serializer};
use uuid::{Builder, Uuid};

pub(crate) const TYPE: &str = "workflow.completed";
pub(crate) const SOURCE: &str = "bench";

/// The first payload byte of events that the handlers count, see [`counted`].
const MARK: u8 = 255;
const PLAIN: u8 = 7;

static MARKED: AtomicU64 = AtomicU64::new(0);

/// The payload, 200 bytes in all.
#[derive(Debug)]
pub(crate) struct Data {
    /// When it was published, for the latency runs; see [`crate::source`].
    pub(crate) sent: AtomicU64,
    bytes: [u8; 192],
}

impl Data {
    pub(crate) fn plain() -> Self {
        Self { sent: AtomicU64::new(0), bytes: [PLAIN; 192] }
    }

    pub(crate) fn marked() -> Self {
        Self { sent: AtomicU64::new(0), bytes: [MARK; 192] }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

/// What a source gives out: the payload of an event and its number.
pub(crate) struct Given {
    pub(crate) number: u64,
    pub(crate) data: Arc<Data>,
}

/// The event of the peers that have none of their own: no more than the fields that are read.
#[derive(Debug, Clone)]
#[expect(
    dead_code,
    reason = "every event carries a type and a source, handlers need not read them"
)]
pub(crate) struct Lean {
    pub(crate) id: Uuid,
    event_type: &'static str,
    source: &'static str,
    pub(crate) payload: Arc<Data>,
}

impl Lean {
    /// With a UUIDv7 from a counter, the cheapest there is.
    pub(crate) fn new(given: Given) -> Self {
        Self { id: id(given.number), event_type: TYPE, source: SOURCE, payload: given.data }
    }
}

pub(crate) fn id(number: u64) -> Uuid {
    const MILLIS: u64 = 1_767_225_600_000;
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&number.to_be_bytes());
    Builder::from_unix_timestamp_millis(MILLIS, &rest).into_uuid()
}

/// Ours; the bus stamps it.
pub(crate) fn builder(given: Given) -> EventBuilder {
    Event::builder(EventType::WORKFLOW_COMPLETED)
        .source(SOURCE)
        .payload(Payload::shared(given.data))
}

/// Ours, stamped by a bus that does nothing else.
pub(crate) fn stamped(bus: &Bus, given: Given) -> Event {
    bus.stamp(builder(given)).expect("a valid event")
}

/// What every handler does with a lean event.
pub(crate) fn handle_lean(event: &Lean) {
    handle(event.id, event.payload.bytes[0]);
}

/// What every handler does with one of ours.
pub(crate) fn handle_ours(event: &Event) {
    handle(event.id().as_uuid(), data(event).bytes[0]);
}

pub(crate) fn data(event: &Event) -> &Data {
    event.payload().downcast_ref().expect("the payload published")
}

/// Reads the id and one byte of the payload.
pub(crate) fn handle(id: impl Copy, first: u8) {
    black_box(id);
    if black_box(first) == MARK {
        mark();
    }
}

#[cold]
fn mark() {
    MARKED.fetch_add(1, Ordering::Relaxed);
}

/// How many handlers ran for the marked events that were published meanwhile.
pub(crate) fn counted(publish: impl FnOnce()) -> u64 {
    let before = MARKED.load(Ordering::Relaxed);
    publish();
    MARKED.load(Ordering::Relaxed) - before
}
