//! What a connection holds in the streamer, given back however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use crate::client::Client;
use crate::close_code::CloseReason;
use crate::queue::ClientQueue;
use crate::streamer::Shared;
use crate::subscriptions::ClientSubscription;

pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Arc<Client>,
    pub(crate) subscriptions: Vec<Arc<ClientSubscription>>,
    reason: Option<CloseReason>,
}

impl Session {
    pub(crate) fn open(shared: Arc<Shared>, uuid: Uuid) -> Self {
        let queue = ClientQueue::new(shared.options.queue_messages, shared.options.queue_bytes);
        let client = Arc::new(Client { uuid, queue });
        shared.clients.lock().insert(uuid, client.clone());
        // A shutdown that began before the line above has not seen this client.
        if shared.closing.load(Ordering::Acquire) {
            client.queue.finish();
        }
        Self { shared, client, subscriptions: Vec::new(), reason: None }
    }

    pub(crate) fn subscribe(&mut self, subscription: Arc<ClientSubscription>) {
        self.shared.subscriptions.add(&subscription);
        self.subscriptions.push(subscription);
    }

    /// Ends one of this client's own subscriptions; `false` when it has no such.
    pub(crate) fn unsubscribe(&mut self, id: &str) -> bool {
        let Some(place) = self.subscriptions.iter().position(|own| own.id() == id) else {
            return false;
        };
        let subscription = self.subscriptions.remove(place);
        self.shared.subscriptions.remove(&[subscription]);
        true
    }

    pub(crate) fn close(mut self, reason: CloseReason) {
        self.reason = Some(reason);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.subscriptions.remove(&self.subscriptions);
        self.shared.clients.lock().remove(&self.client.uuid);
        let is_closing = self.shared.closing.load(Ordering::Acquire);
        let cut_off = if is_closing { CloseReason::GoingAway } else { CloseReason::Lost };
        let left = self.client.queue.clear();
        self.shared.counters.disconnected(self.reason.unwrap_or(cut_off), left);
    }
}
