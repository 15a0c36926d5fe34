//! How many sagas that have ended are kept.

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::{Append, Scan};
use nexus_events_model::Text;
use tokio::sync::Mutex;
use tracing::warn;

use super::instance::{ENDED, prefix};
use crate::error::{Error, Result};
use crate::limits::SAGA_PAGE;

/// Those of one definition.
pub(super) struct Ended {
    saga: Text,
    most: usize,
    /// How many there are, once they were counted.
    count: Mutex<Option<usize>>,
}

impl Ended {
    pub(super) fn new(saga: &Text, most: usize) -> Self {
        Self { saga: saga.clone(), most, count: Mutex::new(None) }
    }

    /// One more has ended; the oldest go, a page of them at a time.
    pub(super) async fn one_more(&self, bus: &Bus) {
        if let Err(error) = self.make_room(bus).await {
            let saga = &*self.saga;
            warn!(saga, %error, "sagas that ended long ago could not be removed; it is tried again when the next one ends");
        }
    }

    async fn make_room(&self, bus: &Bus) -> Result<()> {
        let mut count = self.count.lock().await;
        let now = match *count {
            Some(count) => count + 1,
            None => self.scan(bus, usize::MAX).await?.len(),
        };
        *count = Some(now);
        if now < self.most.saturating_add(SAGA_PAGE) {
            return Ok(());
        }
        let oldest = self.scan(bus, now - self.most).await?;
        *count = Some(now - oldest.len());
        for page in oldest.chunks(SAGA_PAGE) {
            let removed = page.iter().cloned();
            bus.commit(removed.fold(Append::new(), |append, key| append.delete(ENDED, key)))
                .await?;
        }
        Ok(())
    }

    /// The keys of the oldest.
    async fn scan(&self, bus: &Bus, most: usize) -> Result<Vec<Vec<u8>>> {
        let store = bus.store().ok_or_else(Error::no_store)?;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        while keys.len() < most {
            let scan = Scan::of(ENDED).prefix(prefix(&self.saga)).limit(SAGA_PAGE);
            let scan = match keys.last() {
                Some(last) => scan.after(last.clone()),
                None => scan,
            };
            let page = store.scan(scan).await?;
            if page.is_empty() {
                break;
            }
            keys.extend(page.into_iter().map(|entry| entry.key));
        }
        keys.truncate(most);
        Ok(keys)
    }
}
