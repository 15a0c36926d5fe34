//! Handlers that wait for another one to end, so that two never wait for each other.

use std::collections::HashMap;

use nexus_events_model::SubscriptionId;

use crate::sync::Mutex;

#[derive(Default)]
pub(crate) struct Endings(Mutex<HashMap<SubscriptionId, SubscriptionId>>);

impl Endings {
    /// Notes that `waiter` waits for `ending`, until the result is dropped; `None` when `ending`
    /// waits, itself or through others, for `waiter`.
    pub(crate) fn begin(
        &self,
        waiter: SubscriptionId,
        ending: SubscriptionId,
    ) -> Option<Waits<'_>> {
        let mut waits = self.0.lock();
        let mut next = Some(ending);
        // A chain has no more links than there are waits.
        for _ in 0..=waits.len() {
            match next {
                Some(id) if id == waiter => return None,
                Some(id) => next = waits.get(&id).copied(),
                None => break,
            }
        }
        waits.insert(waiter, ending);
        Some(Waits { endings: self, waiter })
    }
}

pub(crate) struct Waits<'a> {
    endings: &'a Endings,
    waiter: SubscriptionId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.endings.0.lock().remove(&self.waiter);
    }
}
