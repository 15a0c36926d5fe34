//! `disruptor`: one thread that spins runs all handlers, events lie in the ring itself. Its
//! producers spin, too, while the ring is full, so they run on threads of their own.

use std::sync::{Arc, Mutex, PoisonError};

use disruptor::{BusySpin, MultiProducer, Producer as _, SingleConsumerBarrier, SingleProducer};

use crate::carried::{Carried, LeanEvent, OurEvent};
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = peer::<LeanEvent>("disruptor");
pub(crate) const WITH_OURS: Peer = peer::<OurEvent>("disruptor, our event");

const fn peer<C: Carried>(name: &'static str) -> Peer {
    Peer {
        name,
        start: |setup| {
            Box::pin(async move {
                let (handle, make) = (handler::<C>(setup.sinks), Arc::new(C::new()));
                if setup.producers == 1 {
                    let builder = disruptor::build_single_producer(QUEUE, || None, BusySpin);
                    let ring = builder.handle_events_with(handle).build();
                    let ring = Arc::new(Mutex::new(ring));
                    Box::new(Single { ring, make }) as Box<dyn Queued>
                } else {
                    let builder = disruptor::build_multi_producer(QUEUE, || None, BusySpin);
                    Box::new(Multi { ring: builder.handle_events_with(handle).build(), make })
                }
            })
        },
        one_thread: false,
    }
}

type Slot<C> = Option<<C as Carried>::Event>;

fn handler<C: Carried>(sinks: Vec<Sink>) -> impl FnMut(&Slot<C>, i64, bool) + Send + 'static {
    move |slot, _, _| {
        if let Some(event) = slot {
            sinks.iter().for_each(|sink| C::report(sink, event));
        }
    }
}

/// The mutex is taken once per run.
struct Single<C: Carried> {
    ring: Arc<Mutex<SingleProducer<Slot<C>, SingleConsumerBarrier>>>,
    make: Arc<C>,
}

impl<C: Carried> Queued for Single<C> {
    fn producer(&mut self, source: Source) -> Producer {
        let (ring, make) = (self.ring.clone(), self.make.clone());
        Producer::Thread(Box::new(move || {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            for given in source {
                ring.publish(|slot| *slot = Some(make.make(given)));
            }
        }))
    }
}

struct Multi<C: Carried> {
    ring: MultiProducer<Slot<C>, SingleConsumerBarrier>,
    make: Arc<C>,
}

impl<C: Carried> Queued for Multi<C> {
    fn producer(&mut self, source: Source) -> Producer {
        let (mut ring, make) = (self.ring.clone(), self.make.clone());
        Producer::Thread(Box::new(move || {
            for given in source {
                ring.publish(|slot| *slot = Some(make.make(given)));
            }
        }))
    }
}
