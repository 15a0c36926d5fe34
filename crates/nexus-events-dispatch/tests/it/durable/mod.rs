//! Durable handlers: every stored event at least once, through failures, crashes and restarts.

mod commit;
mod crashes;
mod failing;
mod groups;
mod registering;
mod restart;
mod shutdown;
mod store;
mod waves;

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, ConsumerStats};
use nexus_events_model::{Event, EventBuilder};
use tokio::runtime::{Builder, Runtime};

/// A runtime of its own, which ends like a process that is killed when it is dropped.
fn process() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// So much time passes, in which everybody gets as far as he can.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn open(store: &Arc<MemoryStore>) -> Bus {
    Bus::builder().store(store.clone()).open().await.unwrap()
}

/// An event with a number as its payload and its id.
fn numbered(number: usize) -> EventBuilder {
    Event::builder("order.created").id(format!("evt-{number}")).payload(serde_json::json!(number))
}

fn number(event: &Event) -> u64 {
    event.payload().value().unwrap().as_u64().unwrap()
}

async fn publish(bus: &Bus, numbers: std::ops::Range<usize>) {
    for number in numbers {
        bus.publish(numbered(number)).await.unwrap();
    }
}

fn consumer(bus: &Bus, name: &str) -> ConsumerStats {
    bus.consumers().into_iter().find(|it| it.name == *name).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);
