//! Stopping a replay that is on its way.

use std::pin::pin;

use crate::sync::{Arc, AtomicBool, Notify, Ordering};

/// Stops replays. Clones stop the same ones.
///
/// ```
/// use nexus_events_dispatch::{Replay, ReplayStop};
/// let stop = ReplayStop::new();
/// let replay = Replay::all().stop_with(stop.clone());
/// stop.stop();
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReplayStop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    told: Notify,
}

impl ReplayStop {
    /// One that was not used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the replay after the event that is being handled.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    pub(super) async fn stopped(&self) {
        let mut told = pin!(self.0.told.notified());
        told.as_mut().enable();
        if !self.is_stopped() {
            told.await;
        }
    }
}
