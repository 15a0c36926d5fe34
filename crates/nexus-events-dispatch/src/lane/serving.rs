//! The tasks that empty a queue.

use tokio::task::coop::consume_budget;

use super::stuck::Post;
use super::{Lane, Taken};
use crate::desk::Call;
use crate::entry::Entry;
use crate::runtime::{STUCK, Skip, Unfinished, contain, contained, handle};
use crate::sync::{AbortHandle, Arc, Weak};

/// A task, to be ended from outside.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) handle: AbortHandle,
    pub(super) post: Weak<Post>,
}

impl Lane {
    /// Starts a task. Not under the lock: a runtime that ends drops it at once, which ends the
    /// handler.
    pub(super) fn start(&self, serving: Option<Serving>) {
        self.start_with(serving, None);
    }

    /// The same with a call that it goes on with first.
    pub(super) fn start_with(&self, serving: Option<Serving>, call: Option<(Call, Unfinished)>) {
        let Some(serving) = serving else { return };
        let first = call.map(|(call, unfinished)| {
            serving.post.desk.put(call);
            unfinished
        });
        let id = serving.entry.id;
        let Some(home) = serving.entry.runtime.clone() else { return };
        let post = Arc::downgrade(&serving.post);
        let task = Task { handle: home.spawn(serving.work(first)).abort_handle(), post };
        let mut state = self.state.lock();
        if let Some(member) = state.members.iter_mut().find(|member| member.entry.id == id) {
            member.tasks.push(task);
        } else if state.aborted {
            drop(state);
            task.handle.abort();
        }
    }
}

/// One task of one handler.
pub(super) struct Serving {
    lane: Arc<Lane>,
    pub(super) entry: Arc<Entry>,
    post: Arc<Post>,
    /// Whether another task has taken its place.
    replaced: bool,
}

impl Serving {
    pub(super) fn new(lane: &Arc<Lane>, entry: &Arc<Entry>) -> Self {
        let post = Post::new(lane, entry);
        Self { lane: lane.clone(), entry: entry.clone(), post, replaced: false }
    }

    async fn work(mut self, first: Option<Unfinished>) {
        if let Some(unfinished) = first {
            match contain(Box::pin(self.go_on(unfinished))).await {
                Ok(false) => {}
                Ok(true) => {
                    self.replaced = true;
                    return;
                }
                Err(panic) => std::mem::forget(panic),
            }
        }
        loop {
            // A handler's own panics are outcomes. What else panics, such as the drop of a
            // payload, costs its event and not the lane.
            match contain(Box::pin(self.serve())).await {
                Ok(replaced) => {
                    self.replaced = replaced;
                    return;
                }
                Err(panic) => std::mem::forget(panic),
            }
        }
    }

    /// Whether another task has taken its place.
    async fn go_on(&self, unfinished: Unfinished) -> bool {
        let desk = &self.post.desk;
        // Lost when this is dropped half way.
        let _in_hand = desk.in_hand();
        if let Some(bus) = desk.bus() {
            self.post.is_seen(&bus).await;
        }
        let in_time = unfinished.go_on(desk, &self.entry).await;
        !in_time && self.post.returns()
    }

    /// Whether another task has taken its place.
    async fn serve(&self) -> bool {
        while let Some(taken) = self.lane.next(&self.entry).await {
            let Taken { job, since, held, is_stuck } = taken;
            if is_stuck {
                drop(held);
                contained(|| job.give_up(STUCK));
                // Very many may wait behind it.
                consume_budget().await;
                continue;
            }
            self.post.is_seen(&job.delivery.bus).await;
            let (desk, workers) = (&self.post.desk, &self.lane.workers);
            let in_time = handle(desk, &self.entry, job, Some(held), since, workers).await;
            if !in_time && self.post.returns() {
                return true;
            }
            // A queue that is never empty must not keep other tasks from running.
            consume_budget().await;
        }
        false
    }
}

impl Drop for Serving {
    /// The handler has ended, or its runtime has.
    fn drop(&mut self) {
        if self.replaced {
            return;
        }
        // What it was to go on with may never have been taken up.
        drop(self.post.desk.in_hand());
        let reason = if self.entry.has_ended() { Skip::Unsubscribed } else { Skip::Stopped };
        self.lane.end(&self.entry, reason);
    }
}
