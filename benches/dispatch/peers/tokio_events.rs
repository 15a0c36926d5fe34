//! `tokio-events`, in memory, without its tracing. It clones the event for every handler, so
//! that is an `Arc`.

use std::sync::Arc;

use tokio_events::{Error, Event, EventBus, EventBusBuilder, Result, SubscriptionHandle};

use crate::event::{Lean, TYPE};
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "tokio-events",
    start: |setup| {
        Box::pin(async move {
            let builder = EventBusBuilder::new().configure(|config| {
                let config = config.enable_tracing(false).handler_channel_size(QUEUE);
                config.dispatcher_config(|dispatcher| dispatcher.max_queue_size(QUEUE))
            });
            let bus = builder.build().await.expect("valid settings");
            let mut subscriptions = Vec::new();
            for sink in setup.sinks {
                let handler = move |Completed(event): Completed| {
                    sink.lean(&event);
                    std::future::ready(())
                };
                subscriptions.push(bus.subscribe(handler).await.expect("a valid subscription"));
            }
            Box::new(TokioEvents { bus: Arc::new(bus), _subscriptions: subscriptions })
                as Box<dyn Queued>
        })
    },
    one_thread: true,
};

#[derive(Debug, Clone)]
struct Completed(Arc<Lean>);

impl Event for Completed {
    fn event_type() -> &'static str {
        TYPE
    }

    fn serialize_event(&self) -> Result<Vec<u8>> {
        Err(Error::SerializationError("kept in memory".to_owned()))
    }

    fn deserialize_event(_: &[u8]) -> Result<Self> {
        Err(Error::SerializationError("kept in memory".to_owned()))
    }
}

struct TokioEvents {
    bus: Arc<EventBus>,
    /// A handler ends when its handle is dropped.
    _subscriptions: Vec<SubscriptionHandle>,
}

impl Queued for TokioEvents {
    fn producer(&mut self, source: Source) -> Producer {
        let bus = self.bus.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let event = Completed(Arc::new(Lean::new(given)));
                bus.publish(event).await.expect("an open bus");
            }
        }))
    }
}
