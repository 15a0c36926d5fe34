//! `tokio::sync::broadcast`. Its sender never waits and overwrites what the slowest receiver has
//! not read, so the producer looks at the backlog every 64 events and yields while there might be
//! no room for the next 64 of every producer. A receiver that lost an event ends the run.

use std::sync::Arc;

use tokio::sync::broadcast::{self, Sender};
use tokio::task::yield_now;

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::source::Source;

const BURST: usize = 64;

pub(crate) const PEER: Peer = Peer {
    name: "tokio broadcast",
    start: |setup| {
        Box::pin(async move {
            let (sender, _) = broadcast::channel::<Arc<Lean>>(QUEUE);
            for sink in setup.sinks {
                let mut receiver = sender.subscribe();
                tokio::spawn(async move {
                    loop {
                        match receiver.recv().await {
                            Ok(event) => sink.lean(&event),
                            Err(broadcast::error::RecvError::Closed) => return,
                            Err(broadcast::error::RecvError::Lagged(lost)) => {
                                panic!("{lost} events lost");
                            }
                        }
                    }
                });
            }
            Box::new(Broadcast { sender, room: QUEUE - setup.producers * BURST }) as Box<dyn Queued>
        })
    },
    one_thread: true,
};

struct Broadcast {
    sender: Sender<Arc<Lean>>,
    /// The largest backlog with which a producer may go on.
    room: usize,
}

impl Queued for Broadcast {
    fn producer(&mut self, source: Source) -> Producer {
        let (sender, room) = (self.sender.clone(), self.room);
        Producer::Task(Box::pin(async move {
            for (sent, given) in source.enumerate() {
                if sent % BURST == 0 {
                    while sender.len() > room {
                        yield_now().await;
                    }
                }
                assert!(sender.send(Arc::new(Lean::new(given))).is_ok(), "receivers have ended");
            }
        }))
    }
}
