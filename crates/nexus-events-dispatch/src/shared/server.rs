//! Who runs a shared lane: one task after another, should one not return from a handler.

use super::hand::Hand;
use super::lane::SharedLane;
use super::seat::Seat;
use super::serving::Serving;
use super::stuck::Post;
use crate::bus::Bus;
use crate::desk::Desk;
use crate::entry::Entry;
use crate::stripe::Stripe;
use crate::sync::{AbortHandle, Arc, Mutex, OnceLock};
use crate::watch::Watched;

pub(super) struct Server {
    /// The passes of this task.
    pub(super) stripe: Arc<Stripe>,
    pub(super) hand: Hand,
    /// What it works on instead of shares.
    pub(super) desk: Arc<Desk>,
    /// The handler that it does not return from.
    pub(super) stuck: Mutex<Option<Arc<Entry>>>,
    task: OnceLock<AbortHandle>,
    /// Looked at as long as this is there.
    post: OnceLock<Arc<dyn Watched>>,
}

impl Server {
    pub(super) fn new(bus: &Bus, hand: Hand) -> Arc<Self> {
        Arc::new(Self {
            stripe: bus.0.stripes.take_for_lane(),
            hand,
            desk: Arc::default(),
            stuck: Mutex::default(),
            task: OnceLock::new(),
            post: OnceLock::new(),
        })
    }

    pub(super) fn start(self: &Arc<Self>, bus: &Bus, lane: &Arc<SharedLane>, seat: Seat) {
        let post = self.post.get_or_init(|| Arc::new(Post::new(self, lane)));
        bus.watch().add(Arc::downgrade(post));
        let serving = Serving::new(lane.clone(), self.clone());
        let _ = self.task.set(lane.runtime.spawn(serving.work(seat)).abort_handle());
    }

    pub(super) fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.stuck.lock().is_some()
    }
}
