//! `kanal`, one bounded queue per handler.

use std::sync::Arc;

use kanal::AsyncSender;

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "kanal",
    start: |setup| {
        Box::pin(async move {
            let open = |sink: crate::sink::Sink| {
                let (sender, receiver) = kanal::bounded_async::<Arc<Lean>>(QUEUE);
                tokio::spawn(async move {
                    while let Ok(event) = receiver.recv().await {
                        sink.lean(&event);
                    }
                });
                sender
            };
            Box::new(Kanal(setup.sinks.into_iter().map(open).collect())) as Box<dyn Queued>
        })
    },
    one_thread: true,
};

struct Kanal(Vec<AsyncSender<Arc<Lean>>>);

impl Queued for Kanal {
    fn producer(&mut self, source: Source) -> Producer {
        let senders = self.0.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let event = Arc::new(Lean::new(given));
                for sender in &senders {
                    let sent = sender.send(event.clone()).await;
                    assert!(sent.is_ok(), "a receiver has ended");
                }
            }
        }))
    }
}
