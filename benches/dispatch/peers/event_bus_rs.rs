//! `event_bus_rs`. It takes bytes and copies them once: id, time of publish, the rest of the
//! payload. Publishing into a full queue is an error, so the producer yields and tries again.

use std::pin::pin;
use std::sync::atomic::Ordering;

use event_bus_rs::{EventBus, PublishError};
use futures_util::StreamExt;
use tokio::task::yield_now;

use crate::event::{self, Given, TYPE};
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "event_bus_rs",
    start: |setup| {
        Box::pin(async move {
            let bus = EventBus::new_with_topic_capacity(QUEUE);
            for sink in setup.sinks {
                let subscription = bus.subscribe(TYPE);
                tokio::spawn(async move {
                    let mut events = pin!(subscription);
                    while let Some(bytes) = events.next().await {
                        read(&bytes, &sink);
                    }
                });
            }
            Box::new(Bytes(bus)) as Box<dyn Queued>
        })
    },
    one_thread: true,
};

const ID: usize = 16;
const SENT: usize = ID + 8;
const LENGTH: usize = ID + 200;

fn read(bytes: &[u8], sink: &Sink) {
    let id: [u8; ID] = bytes[..ID].try_into().expect("an id");
    let sent = u64::from_be_bytes(bytes[ID..SENT].try_into().expect("a time"));
    sink.handle(id, bytes[SENT], sent);
}

fn write(given: &Given) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..ID].copy_from_slice(event::id(given.number).as_bytes());
    bytes[ID..SENT].copy_from_slice(&given.data.sent.load(Ordering::Relaxed).to_be_bytes());
    bytes[SENT..].copy_from_slice(given.data.bytes());
    bytes
}

struct Bytes(EventBus);

impl Queued for Bytes {
    fn producer(&mut self, source: Source) -> Producer {
        let bus = self.0.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let bytes = write(&given);
                while let Err(error) = bus.publish(TYPE, &bytes) {
                    assert!(matches!(error, PublishError::CapacityOverflow(_)), "{error}");
                    yield_now().await;
                }
            }
        }))
    }
}
