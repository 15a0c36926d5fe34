//! Waiting for room in a shared lane.

use std::pin::pin;

use super::lane::SharedLane;
use crate::delivery::Wait;
use crate::limits::{QUEUE_LINE_EVENTS_MAX, QUEUE_WAIT_MAX, SHARED_LANE_EVENTS};
use crate::runtime::{Job, Skip};
use crate::sync::Instant;
use crate::timer::in_time;

impl SharedLane {
    /// Whether there is room by then, or nobody to have room for.
    pub(crate) async fn has_room(&self, until: Instant) -> bool {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            if !self.is_blocked() {
                return true;
            }
            if in_time([self.runtime.clone()], until, room).await.is_none() {
                return false;
            }
        }
    }

    /// Queues one handler's turn, or gives it back where the handler has a lane of its own by now.
    /// Those that can not wait may go beyond the bound, up to a bound of their own.
    pub(crate) async fn push(&self, job: Job, wait: Wait) -> Result<Option<Job>, Skip> {
        let since = Instant::now();
        let until = since + QUEUE_WAIT_MAX;
        let bytes = job.delivery.event.size();
        loop {
            {
                let mut state = self.state.lock();
                if let Some(reason) = state.over {
                    return Err(reason);
                }
                if job.delivery.entry(job.place).own_lane.get().is_some() {
                    return Ok(Some(job));
                }
                let beyond = wait == Wait::Apart
                    && state.queue.len() < SHARED_LANE_EVENTS + QUEUE_LINE_EVENTS_MAX;
                if !self.is_blocked() || beyond {
                    let bus = job.delivery.bus.clone();
                    self.push_job(&mut state, job, bytes, since);
                    drop(state);
                    // It may stand behind a handler that waits for all other events.
                    bus.gate().left();
                    return Ok(None);
                }
            }
            if wait != Wait::Here || !self.has_room(until).await {
                return Err(Skip::QueueFull);
            }
        }
    }
}
