//! `actix` with `actix-broker`: one system thread with the broker and an actor per handler,
//! producers on arbiters of their own. It has no back-pressure: what does not fit into a mailbox
//! goes in all the same.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix::{Actor, Arbiter, Context, Handler, Message, System};
use actix_broker::{Broker, BrokerSubscribe, SystemBroker};

use crate::event::Lean;
use crate::queued::{Peer, Producer, QUEUE, Queued};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "actix-broker",
    start: |setup| {
        Box::pin(async move {
            let (started, starts) = mpsc::channel();
            let thread = std::thread::spawn(move || run(setup.sinks, &started));
            let system = starts.recv().expect("a system that starts");
            Box::new(Actix { system, thread: Some(thread) }) as Box<dyn Queued>
        })
    },
    one_thread: false,
};

#[derive(Clone)]
struct Completed(Arc<Lean>);

impl Message for Completed {
    type Result = ();
}

struct Receiver(Sink);

impl Actor for Receiver {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(QUEUE);
        self.subscribe_async::<SystemBroker, Completed>(context);
    }
}

impl Handler<Completed> for Receiver {
    type Result = ();

    fn handle(&mut self, Completed(event): Completed, _: &mut Self::Context) {
        self.0.lean(&event);
    }
}

/// Who answers has subscribed.
struct Ready;

impl Message for Ready {
    type Result = ();
}

impl Handler<Ready> for Receiver {
    type Result = ();

    fn handle(&mut self, _: Ready, _: &mut Self::Context) {}
}

/// The system's thread, until the system is stopped.
fn run(sinks: Vec<Sink>, started: &mpsc::Sender<System>) {
    let runner = System::new();
    runner.block_on(async {
        for sink in sinks {
            Receiver(sink).start().send(Ready).await.expect("an actor that runs");
        }
    });
    started.send(System::current()).expect("somebody who waits");
    runner.run().expect("a system that stops");
}

struct Actix {
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl Queued for Actix {
    fn producer(&mut self, source: Source) -> Producer {
        let system = self.system.clone();
        Producer::Thread(Box::new(move || {
            System::set_current(system);
            let arbiter = Arbiter::new();
            arbiter.spawn_fn(move || {
                for given in source {
                    Broker::<SystemBroker>::issue_async(Completed(Arc::new(Lean::new(given))));
                }
                Arbiter::current().stop();
            });
            let _ = arbiter.join();
        }))
    }
}

impl Drop for Actix {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
