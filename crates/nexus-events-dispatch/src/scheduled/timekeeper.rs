//! The task of a bus with a store that looks at the clock.

use std::pin::pin;
use std::time::Duration;

use tracing::warn;

use super::jump::Clocks;
use super::plan::Plan;
use crate::bus::{Bus, Inner};
use crate::limits::{CLOCK_CHECK, CONSUMER_PAUSE, DEAD_LETTER_EXPIRY};
use crate::sync::{Arc, Instant, Weak, timeout};

/// Fires what is due, notices when the clock is changed, lets dead letters expire. It holds neither
/// the bus nor the store while it waits, so both go when nobody else has them.
pub(crate) struct Timekeeper {
    bus: Weak<Inner>,
    plan: Arc<Plan>,
    clocks: Clocks,
    expired: Instant,
}

impl Timekeeper {
    pub(crate) fn new(bus: &Bus) -> Self {
        let (plan, clocks) = (bus.0.plan.clone(), Clocks::of(bus));
        Self { bus: Arc::downgrade(&bus.0), plan, clocks, expired: Instant::now() }
    }

    pub(crate) async fn run(mut self) {
        let plan = self.plan.clone();
        loop {
            let mut changed = pin!(plan.changed.notified());
            changed.as_mut().enable();
            let Some(bus) = self.bus.upgrade().map(Bus) else { return };
            if plan.is_stopped() || bus.gate().is_closed() {
                return;
            }
            let wait = self.turn(&bus).await;
            drop(bus);
            // What comes first; either way it looks again.
            let _ = timeout(wait, changed).await;
        }
    }

    /// Does what is to be done now; how long there is nothing to do.
    async fn turn(&mut self, bus: &Bus) -> Duration {
        let Some(durables) = bus.durables() else { return CLOCK_CHECK };
        if let Some(jump) = self.clocks.compare(bus) {
            warn!(?jump, "the clock was changed");
            self.plan.jumped();
            // What refuses it has counted it.
            let _ = bus.publish(jump.event()).await;
        }
        if self.expired.elapsed() >= DEAD_LETTER_EXPIRY {
            self.expired = Instant::now();
            if let Err(error) = durables.letters.expire(bus.now()).await {
                warn!(%error, "dead letters could not be discarded; it is tried again in a minute");
            }
        }
        match bus.fire_due(durables).await {
            Ok(next) => {
                *self.plan.next_due.lock() = next;
                let wait = next.and_then(|due| Duration::try_from(due - bus.now()).ok());
                next.map_or(CLOCK_CHECK, |_| wait.unwrap_or_default()).min(CLOCK_CHECK)
            }
            Err(error) => {
                warn!(%error, "scheduled events could not fire; it is tried again in a second");
                CONSUMER_PAUSE
            }
        }
    }
}
