//! `tokio::sync::mpsc`, one queue per handler.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::event::Lean;
use crate::queued::{Future, Peer, Producer, QUEUE, Queued, Setup};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "tokio mpsc",
    start: |setup| start(setup, |receiver, sink| Box::pin(one_by_one(receiver, sink))),
    one_thread: true,
};

pub(crate) const RECV_MANY: Peer = Peer {
    name: "tokio mpsc, recv_many",
    start: |setup| start(setup, |receiver, sink| Box::pin(many(receiver, sink))),
    one_thread: true,
};

type Queue = Receiver<Arc<Lean>>;

fn start(setup: Setup, receive: fn(Queue, Sink) -> Future<()>) -> Future<Box<dyn Queued>> {
    Box::pin(async move {
        let open = |sink| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(receive(receiver, sink));
            sender
        };
        Box::new(Mpsc(setup.sinks.into_iter().map(open).collect())) as Box<dyn Queued>
    })
}

async fn one_by_one(mut receiver: Queue, sink: Sink) {
    while let Some(event) = receiver.recv().await {
        sink.lean(&event);
    }
}

async fn many(mut receiver: Queue, sink: Sink) {
    let mut events = Vec::with_capacity(QUEUE);
    while receiver.recv_many(&mut events, QUEUE).await > 0 {
        events.drain(..).for_each(|event| sink.lean(&event));
    }
}

struct Mpsc(Vec<Sender<Arc<Lean>>>);

impl Queued for Mpsc {
    fn producer(&mut self, source: Source) -> Producer {
        let senders = self.0.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let event = Arc::new(Lean::new(given));
                for sender in &senders {
                    assert!(sender.send(event.clone()).await.is_ok(), "a receiver has ended");
                }
            }
        }))
    }
}
