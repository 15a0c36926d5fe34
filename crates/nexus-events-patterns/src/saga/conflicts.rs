//! Two changes of one saga that meet: one of them is made again. That is nobody's failure, so it
//! has a budget of its own.

use std::time::Duration;

use nexus_events_dispatch::layers::{Backoff, Delays, Jitter};
use tokio::time::sleep;

use crate::limits::{SAGA_CONFLICT_PAUSE_MAX, SAGA_CONFLICT_PAUSE_MIN, SAGA_CONFLICTS_MAX};

/// What is left of the budget for one change.
pub(super) struct Conflicts {
    left: u32,
    delays: Delays,
}

impl Conflicts {
    pub(super) fn new(seed: u64) -> Self {
        let backoff = Backoff::new()
            .base(SAGA_CONFLICT_PAUSE_MIN)
            .cap(SAGA_CONFLICT_PAUSE_MAX)
            .jitter(Jitter::Decorrelated);
        Self { left: SAGA_CONFLICTS_MAX, delays: backoff.delays(seed) }
    }

    /// Waits a moment; `false` when the budget is used up.
    pub(super) async fn pause(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let delay = self.delays.next().unwrap_or(Duration::ZERO);
        sleep(delay).await;
        true
    }
}
