//! Events published later.

mod changes;
mod clock;
mod restart;

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, HandlerExt, ManualClock, ScheduledFilter};
use nexus_events_model::Event;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::Log;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const NOON: OffsetDateTime = datetime!(2026-01-02 12:00:00 UTC);

/// A program with a clock of its own; tokio's time goes on beside it.
struct Program {
    bus: Bus,
    clock: ManualClock,
    log: Log,
}

impl Program {
    async fn open(store: &Arc<MemoryStore>, clock: &ManualClock) -> Self {
        let log = Log::default();
        let builder = Bus::builder().store(store.clone()).clock(clock.clone());
        let bus = builder.open().await.unwrap();
        let write = log.clone();
        let ids = move |event: &Event| write.add(event.id().to_string());
        bus.on("timer.*", ids.named("ids")).unwrap();
        Self { bus, clock: clock.clone(), log }
    }

    async fn new() -> (Arc<MemoryStore>, Self) {
        let store = Arc::new(MemoryStore::new());
        let program = Self::open(&store, &ManualClock::new(NOON)).await;
        (store, program)
    }

    /// Both clocks go on, second by second.
    async fn pass(&self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.clock.advance(SECOND);
            settle(SECOND).await;
        }
    }

    async fn waiting(&self) -> Vec<String> {
        let all = self.bus.scheduled(&ScheduledFilter::new()).await.unwrap();
        all.iter().map(|scheduled| scheduled.id.to_string()).collect()
    }
}

/// Tokio's time goes on alone; everybody gets as far as he can.
async fn settle(time: Duration) {
    crate::durable::pass(time).await;
}

fn timer(id: &str) -> nexus_events_model::EventBuilder {
    Event::builder("timer.rang").id(id)
}
