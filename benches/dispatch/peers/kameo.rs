//! `kameo` pubsub, every handler an actor with a bounded mailbox. The pubsub object lies in the
//! producer's own task, one each; the pubsub actor is one for all producers.

use std::sync::Arc;

use kameo::error::Infallible;
use kameo::prelude::{Actor, ActorRef, Context, Message, Spawn, mailbox};
use kameo_actors::DeliveryStrategy::Guaranteed;
use kameo_actors::pubsub::{PubSub, Publish};

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued, Setup};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "kameo pubsub",
    start: |setup| Box::pin(async move { Box::new(Object(actors(setup))) as Box<dyn Queued> }),
    one_thread: true,
};

pub(crate) const ACTOR: Peer = Peer {
    name: "kameo pubsub actor",
    start: |setup| {
        Box::pin(async move {
            let pubsub = pubsub(&actors(setup));
            let actor = PubSub::spawn_with_mailbox(pubsub, mailbox::bounded(QUEUE));
            Box::new(Shared(actor)) as Box<dyn Queued>
        })
    },
    one_thread: true,
};

struct Receiver(Sink);

impl Actor for Receiver {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(receiver: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(receiver)
    }
}

impl Message<Arc<Lean>> for Receiver {
    type Reply = ();

    async fn handle(&mut self, event: Arc<Lean>, _: &mut Context<Self, ()>) {
        self.0.lean(&event);
    }
}

fn actors(setup: Setup) -> Vec<ActorRef<Receiver>> {
    let spawn = |sink| Receiver::spawn_with_mailbox(Receiver(sink), mailbox::bounded(QUEUE));
    setup.sinks.into_iter().map(spawn).collect()
}

fn pubsub(actors: &[ActorRef<Receiver>]) -> PubSub<Arc<Lean>> {
    let mut pubsub = PubSub::new(Guaranteed);
    actors.iter().for_each(|actor| pubsub.subscribe(actor.clone()));
    pubsub
}

struct Object(Vec<ActorRef<Receiver>>);

impl Queued for Object {
    fn producer(&mut self, source: Source) -> Producer {
        let mut pubsub = pubsub(&self.0);
        Producer::Task(Box::pin(async move {
            for given in source {
                pubsub.publish(Arc::new(Lean::new(given))).await;
            }
        }))
    }
}

struct Shared(ActorRef<PubSub<Arc<Lean>>>);

impl Queued for Shared {
    fn producer(&mut self, source: Source) -> Producer {
        let pubsub = self.0.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let event = Arc::new(Lean::new(given));
                pubsub.tell(Publish(event)).await.expect("a running actor");
            }
        }))
    }
}
