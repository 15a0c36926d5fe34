//! Events that nobody takes as long as handlers wait.

use nexus_events_model::Text;

use super::Lane;
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::sync::Arc;

impl Lane {
    /// The events that wait for handlers all of whose runs are held up, or behind a key that is:
    /// `held_up` tells the events of a handler's runs that are.
    pub(crate) fn behind(
        &self,
        held_up: impl Fn(&Entry) -> Vec<Arc<Delivery>>,
    ) -> Vec<Arc<Delivery>> {
        let members: Vec<Arc<Entry>> =
            self.state.lock().members.iter().map(|member| member.entry.clone()).collect();
        let runs: Vec<Vec<Arc<Delivery>>> = members.iter().map(|entry| held_up(entry)).collect();
        // The program's own code.
        let key = |event: &Arc<Delivery>| self.options.key.as_ref()?.of_any(&event.event);
        let keys: Vec<Text> = runs.iter().flatten().filter_map(key).collect();
        let state = self.state.lock();
        let is_busy = |entry: &Entry| {
            let known = members.iter().position(|member| member.id == entry.id);
            known.is_some_and(|at| runs[at].len() >= entry.concurrency)
        };
        let all = state.members.iter().all(|it| it.stuck > 0 || is_busy(&it.entry));
        let queued = state.queue.iter();
        let in_line = state.line.iter().map(|waiter| waiter.job());
        let behind = queued.chain(in_line);
        let behind = behind.filter(|(_, key)| all || key.is_some_and(|key| keys.contains(key)));
        let early = state.early.iter().filter(|_| all).map(|(job, _)| job);
        early.chain(behind.map(|(job, _)| job)).map(|job| job.delivery.clone()).collect()
    }
}
