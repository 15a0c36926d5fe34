//! `tokio::sync::broadcast`. Its sender never waits and overwrites what the slowest receiver has
//! not read, so the producer looks at the backlog every 64 events and yields while there might be
//! no room for the next 64 of every producer. A receiver that lost an event ends the run.

use std::borrow::Borrow;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Sender};
use tokio::task::yield_now;

use crate::carried::{Carried, LeanEvent, OurEvent};
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::source::Source;

const BURST: usize = 64;

pub(crate) const PEER: Peer = peer::<LeanEvent>("tokio broadcast");
pub(crate) const WITH_OURS: Peer = peer::<OurEvent>("tokio broadcast, our event");

const fn peer<C: Carried>(name: &'static str) -> Peer {
    Peer {
        name,
        start: |setup| {
            Box::pin(async move {
                let (sender, _) = broadcast::channel::<C::Shared>(QUEUE);
                for sink in setup.sinks {
                    let mut receiver = sender.subscribe();
                    tokio::spawn(async move {
                        loop {
                            match receiver.recv().await {
                                Ok(event) => C::report(&sink, event.borrow()),
                                Err(RecvError::Closed) => return,
                                Err(RecvError::Lagged(lost)) => panic!("{lost} events lost"),
                            }
                        }
                    });
                }
                let (make, room) = (Arc::new(C::new()), QUEUE - setup.producers * BURST);
                Box::new(Broadcast { sender, make, room }) as Box<dyn Queued>
            })
        },
        one_thread: true,
    }
}

struct Broadcast<C: Carried> {
    sender: Sender<C::Shared>,
    make: Arc<C>,
    /// The largest backlog with which a producer may go on.
    room: usize,
}

impl<C: Carried> Queued for Broadcast<C> {
    fn producer(&mut self, source: Source) -> Producer {
        let (sender, make, room) = (self.sender.clone(), self.make.clone(), self.room);
        Producer::Task(Box::pin(async move {
            for (sent, given) in source.enumerate() {
                if sent % BURST == 0 {
                    while sender.len() > room {
                        yield_now().await;
                    }
                }
                assert!(sender.send(make.make(given).into()).is_ok(), "receivers have ended");
            }
        }))
    }
}
