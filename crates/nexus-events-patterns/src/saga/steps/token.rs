//! Telling a running attempt that its saga does not want it any more.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_events_model::EventId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Told once, heard by all who hold one.
#[derive(Debug, Clone)]
pub(super) struct Token(Arc<watch::Sender<bool>>);

impl Token {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(super) fn tell(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) async fn told(&self) {
        // The sender is held here, so this ends with the word alone.
        let _ = self.0.subscribe().wait_for(|told| *told).await;
    }
}

/// The sagas of which steps run at the moment.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<EventId, Token>>);

/// A saga of which steps run; they do not when it is dropped.
pub(super) struct Run<'a> {
    running: &'a Running,
    saga: &'a EventId,
    pub(super) token: Token,
}

impl Running {
    pub(super) fn begin<'a>(&'a self, saga: &'a EventId) -> Run<'a> {
        let token = Token::new();
        self.0.lock().insert(saga.clone(), token.clone());
        Run { running: self, saga, token }
    }

    pub(super) fn tell(&self, saga: &EventId) {
        if let Some(token) = self.0.lock().get(saga) {
            token.tell();
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.running.0.lock().remove(self.saga);
    }
}
