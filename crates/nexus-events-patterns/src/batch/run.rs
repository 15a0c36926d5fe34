//! How a batch runs: as a whole, without those that are wrong, and one by one in the end.

use std::sync::atomic::Ordering;

use nexus_events_dispatch::{HandlerError, HandlerResult, Status};
use serde_json::Value;
use tokio::time::sleep;

use super::collect::{Collector, Complete, Member};
use super::contain::contain;
use super::failure::BatchFailure;
use super::handler::Batch;
use crate::window::CloseReason;

impl Collector {
    /// Runs it to the end; each of its events is told what became of it.
    pub(super) async fn run(&self, complete: Complete) {
        let Complete { mut members, key, reason, .. } = complete;
        let seed = self.seeds.fetch_add(1, Ordering::Relaxed);
        let (mut delays, mut failures) = (self.options.backoff.delays(seed), 0);
        while !members.is_empty() {
            let events = members.iter().map(|member| member.event.clone()).collect();
            let failure = match self.call(Batch { events, key: key.clone(), reason }).await {
                Ok(()) => {
                    members.into_iter().for_each(|member| member.tell(Ok(Value::Null)));
                    return;
                }
                Err(failure) => failure,
            };
            if members.len() == 1
                && (failure.whole.is_none() || failure.status() == Status::Permanent)
            {
                members.remove(0).tell(Err(failure.into_error()));
                return;
            }
            if let Some(named) = named(&failure, members.len()) {
                tell_named(&mut members, failure, &named);
                continue;
            }
            failures += 1;
            if failures >= self.options.probe_after || failure.status() == Status::Permanent {
                self.probe(members, key, failure).await;
                return;
            }
            sleep(delays.next().unwrap_or_default()).await;
        }
    }

    /// Tries each event by itself, so that only those fail that are wrong.
    async fn probe(
        &self,
        mut members: Vec<Member>,
        key: Option<nexus_events_model::Text>,
        failure: BatchFailure,
    ) {
        if members.len() == 1 {
            members.remove(0).tell(Err(failure.into_error()));
            return;
        }
        for member in members {
            let events = vec![member.event.clone()];
            let alone = Batch { events, key: key.clone(), reason: CloseReason::Forced };
            let result = self.call(alone).await.map_err(BatchFailure::into_error);
            member.tell(result.map(|()| Value::Null));
        }
    }

    async fn call(&self, batch: Batch) -> Result<(), BatchFailure> {
        let handling = Box::pin(async { (self.options.handles)(batch).await });
        contain(handling).await.unwrap_or_else(|text| Err(BatchFailure::panicked(text)))
    }
}

/// The places that a failure names, the last first; `None` when it is of the whole batch, or names
/// what is not there.
fn named(failure: &BatchFailure, events: usize) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = failure.events.iter().map(|(place, _)| *place).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.dedup();
    let first = places.first()?;
    (failure.whole.is_none() && *first < events).then_some(places)
}

fn tell_named(members: &mut Vec<Member>, failure: BatchFailure, places: &[usize]) {
    let mut errors: Vec<(usize, HandlerError)> = failure.events;
    for place in places {
        let index = errors.iter().position(|(other, _)| other == place);
        let Some((_, error)) = index.map(|index| errors.swap_remove(index)) else { continue };
        members.remove(*place).tell(Err(error));
    }
}

impl Member {
    fn tell(self, result: HandlerResult) {
        // It may not wait any more.
        let _ = self.done.send(result);
    }
}
