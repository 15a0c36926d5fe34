//! How single events become batches: whoever completes a batch runs it, and the others wait.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_events_dispatch::HandlerResult;
use nexus_events_dispatch::store::Offset;
use nexus_events_model::{Event, EventId, Text};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::handler::BatchHandler;
use crate::window::CloseReason;

/// An event that waits for its batch.
pub(super) struct Member {
    pub(super) event: Event,
    /// Its place in the log, for a durable handler.
    offset: Option<Offset>,
    pub(super) done: oneshot::Sender<HandlerResult>,
}

/// A batch that has room.
struct Gathering {
    members: Vec<Member>,
    bytes: usize,
    number: u64,
    /// `None` where only size and bytes complete it, for the interval is longer than time goes.
    deadline: Option<Instant>,
}

/// The batches of one key.
#[derive(Default)]
struct Group {
    gathering: Option<Gathering>,
    /// Held by the batch that runs, where they are in order.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A batch that is complete.
pub(super) struct Complete {
    pub(super) members: Vec<Member>,
    pub(super) key: Option<Text>,
    pub(super) reason: CloseReason,
    turn: Option<Arc<tokio::sync::Mutex<()>>>,
}

pub(super) struct Collector {
    pub(super) options: BatchHandler,
    groups: Mutex<Groups>,
    permits: Semaphore,
    /// Different for each batch that failed, so that they are not tried again together.
    pub(super) seeds: std::sync::atomic::AtomicU64,
}

#[derive(Default)]
struct Groups {
    by_key: HashMap<Option<Text>, Group>,
    batches: u64,
}

impl Member {
    fn order(&self) -> (Option<Offset>, OffsetDateTime, &EventId) {
        (self.offset, self.event.timestamp(), self.event.id())
    }
}

impl Collector {
    pub(super) fn new(options: BatchHandler) -> Self {
        let permits = Semaphore::new(options.concurrency);
        Self { options, groups: Mutex::default(), permits, seeds: 0.into() }
    }

    /// Puts the event into a batch, and waits until that is done.
    pub(super) async fn handle(&self, event: &Event, offset: Option<Offset>) -> HandlerResult {
        let key = self.options.key.as_ref().and_then(|key| key(event));
        let (done, mut result) = oneshot::channel();
        let (number, deadline, complete) =
            self.join(&key, Member { event: event.clone(), offset, done });
        match complete {
            Some(complete) => self.in_turn(complete).await,
            None => {
                let Some(deadline) = deadline else {
                    return result.await.unwrap_or_else(|_| stopped());
                };
                if let Ok(result) = timeout_at(deadline, &mut result).await {
                    return result.unwrap_or_else(|_| stopped());
                }
                if let Some(complete) = self.take(&key, number) {
                    self.in_turn(complete).await;
                }
            }
        }
        result.await.unwrap_or_else(|_| stopped())
    }

    /// The number of the batch it is in, when that is over, and the batch itself if that is now.
    fn join(&self, key: &Option<Text>, member: Member) -> (u64, Option<Instant>, Option<Complete>) {
        let mut groups = self.groups.lock();
        let next = groups.batches;
        let group = groups.by_key.entry(key.clone()).or_default();
        let gathering = group.gathering.get_or_insert_with(|| Gathering {
            members: Vec::new(),
            bytes: 0,
            number: next,
            deadline: Instant::now().checked_add(self.options.interval),
        });
        gathering.bytes += member.event.size();
        gathering.members.push(member);
        let (number, deadline) = (gathering.number, gathering.deadline);
        let reason = if gathering.members.len() >= self.options.size {
            Some(CloseReason::Size)
        } else {
            (gathering.bytes >= self.options.bytes).then_some(CloseReason::Bytes)
        };
        let complete = reason.and_then(|reason| self.complete(group, key, reason));
        if number == next {
            groups.batches += 1;
        }
        (number, deadline, complete)
    }

    /// The batch with this number, unless somebody else has taken it.
    fn take(&self, key: &Option<Text>, number: u64) -> Option<Complete> {
        let mut groups = self.groups.lock();
        let group = groups.by_key.get_mut(key)?;
        let is_it = group.gathering.as_ref().is_some_and(|it| it.number == number);
        is_it.then(|| self.complete(group, key, CloseReason::Time))?
    }

    fn complete(
        &self,
        group: &mut Group,
        key: &Option<Text>,
        reason: CloseReason,
    ) -> Option<Complete> {
        let mut members = group.gathering.take()?.members;
        // Who does not wait any more, because of a timeout for instance, is not handled.
        members.retain(|member| !member.done.is_closed());
        // They come from as many tasks as there are events, whichever is first.
        members.sort_by(|a, b| a.order().cmp(&b.order()));
        let turn = key.is_some().then(|| group.turn.clone());
        Some(Complete { members, key: key.clone(), reason, turn })
    }

    /// Runs a batch when it may.
    async fn in_turn(&self, mut complete: Complete) {
        let key = complete.key.clone();
        let turn = complete.turn.take();
        {
            let _turn = match &turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            // Nobody closes it.
            let _permit = self.permits.acquire().await;
            self.run(complete).await;
        }
        drop(turn);
        let mut groups = self.groups.lock();
        let is_idle =
            |group: &Group| group.gathering.is_none() && Arc::strong_count(&group.turn) == 1;
        if groups.by_key.get(&key).is_some_and(is_idle) {
            groups.by_key.remove(&key);
        }
    }
}

fn stopped() -> HandlerResult {
    Err("its batch was stopped; it is not known how far it came".into())
}
