//! Handlers that wait for another one to end, so that two never wait for each other.

use nexus_events_model::SubscriptionId;

use crate::sync::Mutex;

/// Who waits for whom. A handler that runs several times at once may wait for several.
#[derive(Default)]
pub(crate) struct Endings(Mutex<Vec<(SubscriptionId, SubscriptionId)>>);

impl Endings {
    /// Notes that `waiter` waits for `ending`, until the result is dropped; `None` when `ending`
    /// waits, itself or through others, for `waiter`.
    pub(crate) fn begin(
        &self,
        waiter: SubscriptionId,
        ending: SubscriptionId,
    ) -> Option<Waits<'_>> {
        let mut waits = self.0.lock();
        let mut reached = vec![ending];
        let mut at = 0;
        while let Some(id) = reached.get(at).copied() {
            if id == waiter {
                return None;
            }
            let next = waits.iter().filter(|(from, to)| *from == id && !reached.contains(to));
            let next: Vec<_> = next.map(|(_, to)| *to).collect();
            reached.extend(next);
            at += 1;
        }
        waits.push((waiter, ending));
        Some(Waits { endings: self, wait: (waiter, ending) })
    }
}

pub(crate) struct Waits<'a> {
    endings: &'a Endings,
    wait: (SubscriptionId, SubscriptionId),
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waits = self.endings.0.lock();
        if let Some(at) = waits.iter().position(|wait| *wait == self.wait) {
            waits.swap_remove(at);
        }
    }
}
