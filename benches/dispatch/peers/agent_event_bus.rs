//! `agent-event-bus`. Its event is a name and a JSON value; the cheapest value that carries id,
//! source and payload is an array.

use agent_event_bus::{Event, EventBus};
use serde_json::Value;

use crate::event::{self, SOURCE, TYPE};
use crate::inline::{Inline, Peer};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "agent-event-bus",
    start: |handlers| {
        let bus = EventBus::new();
        for _ in 0..handlers {
            bus.on(TYPE, handle);
        }
        Box::new(bus)
    },
    runs: |handlers| handlers,
};

fn handle(event: &Event) {
    let number = |index: usize| event.payload[index].as_u64();
    let payload = event.payload[3].as_str().expect("the payload published");
    // A JSON string holds no byte 255: `~` stands for it.
    let first = if payload.starts_with('~') { u8::MAX } else { 0 };
    event::handle((number(0), number(1)), first);
}

impl Inline for EventBus {
    fn publish(&self, source: Source, _: usize) {
        let (marked, plain) = ("~".repeat(200), "7".repeat(200));
        for given in source {
            let id = event::id(given.number).as_u128();
            let payload = if given.data.bytes()[0] == u8::MAX { &marked } else { &plain };
            let parts = [
                ((id >> 64) as u64).into(),
                (id as u64).into(),
                SOURCE.into(),
                payload.as_str().into(),
            ];
            self.emit(TYPE, Value::Array(Vec::from(parts)));
        }
    }
}
