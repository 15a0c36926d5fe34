//! `disruptor`: one thread that spins runs all handlers, events lie in the ring itself. Its
//! producers spin, too, while the ring is full, so they run on threads of their own.

use std::sync::{Arc, Mutex, PoisonError};

use disruptor::{BusySpin, MultiProducer, Producer as _, SingleConsumerBarrier, SingleProducer};

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "disruptor",
    start: |setup| {
        Box::pin(async move {
            let handle = handler(setup.sinks);
            if setup.producers == 1 {
                let builder = disruptor::build_single_producer(QUEUE, || None, BusySpin);
                let single = builder.handle_events_with(handle).build();
                Box::new(Single(Arc::new(Mutex::new(single)))) as Box<dyn Queued>
            } else {
                let builder = disruptor::build_multi_producer(QUEUE, || None, BusySpin);
                Box::new(Multi(builder.handle_events_with(handle).build()))
            }
        })
    },
    one_thread: false,
};

type Slot = Option<Lean>;

fn handler(sinks: Vec<Sink>) -> impl FnMut(&Slot, i64, bool) + Send + 'static {
    move |slot, _, _| {
        if let Some(event) = slot {
            sinks.iter().for_each(|sink| sink.lean(event));
        }
    }
}

/// The mutex is taken once per run.
struct Single(Arc<Mutex<SingleProducer<Slot, SingleConsumerBarrier>>>);

impl Queued for Single {
    fn producer(&mut self, source: Source) -> Producer {
        let ring = self.0.clone();
        Producer::Thread(Box::new(move || {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            for given in source {
                ring.publish(|slot| *slot = Some(Lean::new(given)));
            }
        }))
    }
}

struct Multi(MultiProducer<Slot, SingleConsumerBarrier>);

impl Queued for Multi {
    fn producer(&mut self, source: Source) -> Producer {
        let mut ring = self.0.clone();
        Producer::Thread(Box::new(move || {
            for given in source {
                ring.publish(|slot| *slot = Some(Lean::new(given)));
            }
        }))
    }
}
