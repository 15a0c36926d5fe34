//! `jaeb` with synchronous handlers, which it runs inline.

use jaeb::{EventBus, HandlerResult};
use tokio::runtime::{Builder, Runtime};

use crate::event::{Lean, handle_lean};
use crate::inline::{Inline, Peer};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "jaeb",
    start: |handlers| {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let bus = runtime.block_on(async {
            let bus = EventBus::builder().build().await.expect("valid settings");
            for _ in 0..handlers {
                let subscribed = bus.subscribe::<Lean, _, _>(handle).await;
                drop(subscribed.expect("a valid subscription"));
            }
            bus
        });
        Box::new(Jaeb { bus, runtime })
    },
    runs: |handlers| handlers,
};

struct Jaeb {
    bus: EventBus,
    runtime: Runtime,
}

fn handle(event: &Lean, _: &EventBus) -> HandlerResult {
    handle_lean(event);
    Ok(())
}

impl Inline for Jaeb {
    fn publish(&self, source: Source, _: usize) {
        self.runtime.block_on(async {
            for given in source {
                self.bus.publish(Lean::new(given)).await.expect("an open bus");
            }
        });
    }
}
