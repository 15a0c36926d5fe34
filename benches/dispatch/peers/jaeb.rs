//! `jaeb` with synchronous handlers, which it runs inline.

use jaeb::{EventBus, HandlerResult};
use tokio::runtime::{Builder, Runtime};

use crate::carried::{Carried, LeanEvent, OurEvent};
use crate::inline::{Inline, Peer};
use crate::source::Source;

pub(crate) const PEER: Peer = peer::<LeanEvent>("jaeb");
pub(crate) const WITH_OURS: Peer = peer::<OurEvent>("jaeb, our event");

const fn peer<C: Carried<Event: Clone>>(name: &'static str) -> Peer {
    Peer {
        name,
        start: |handlers| {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let bus = runtime.block_on(async {
                let bus = EventBus::builder().build().await.expect("valid settings");
                for _ in 0..handlers {
                    let subscribed = bus.subscribe::<C::Event, _, _>(handle::<C>).await;
                    drop(subscribed.expect("a valid subscription"));
                }
                bus
            });
            Box::new(Jaeb { bus, runtime, make: C::new() })
        },
        runs: |handlers| handlers,
    }
}

struct Jaeb<C> {
    bus: EventBus,
    runtime: Runtime,
    make: C,
}

fn handle<C: Carried>(event: &C::Event, _: &EventBus) -> HandlerResult {
    C::handle(event);
    Ok(())
}

impl<C: Carried<Event: Clone>> Inline for Jaeb<C> {
    fn publish(&self, source: Source, _: usize) {
        self.runtime.block_on(async {
            for given in source {
                self.bus.publish(self.make.make(given)).await.expect("an open bus");
            }
        });
    }
}
