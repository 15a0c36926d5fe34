//! `async-broadcast`: its sender waits for the slowest receiver.

use std::sync::Arc;

use async_broadcast::{Sender, broadcast};

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "async-broadcast",
    start: |setup| {
        Box::pin(async move {
            let (sender, first) = broadcast::<Arc<Lean>>(QUEUE);
            for sink in setup.sinks {
                let mut receiver = first.clone();
                tokio::spawn(async move {
                    while let Ok(event) = receiver.recv_direct().await {
                        sink.lean(&event);
                    }
                });
            }
            Box::new(AsyncBroadcast(sender)) as Box<dyn Queued>
        })
    },
    one_thread: true,
};

struct AsyncBroadcast(Sender<Arc<Lean>>);

impl Queued for AsyncBroadcast {
    fn producer(&mut self, source: Source) -> Producer {
        let sender = self.0.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let sent = sender.broadcast_direct(Arc::new(Lean::new(given))).await;
                assert!(sent.is_ok(), "receivers have ended");
            }
        }))
    }
}
