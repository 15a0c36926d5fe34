//! Giving dead letters up for good: by hand, and by age.

use time::OffsetDateTime;

use super::filter::DeadLetterFilter;
use super::letters::{DeadLetters, unknown};
use super::record::DeadLetter;
use crate::error::Result;
use crate::sync::Ordering;

impl DeadLetters {
    /// Gives one up for good; what it was.
    ///
    /// ```
    /// use nexus_events_dispatch::{ErrorKind, layers::DeadLetters};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let error = DeadLetters::new().discard(7).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::UnknownDeadLetter);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownDeadLetter`](crate::ErrorKind::UnknownDeadLetter); those of the store, then it stays.
    pub async fn discard(&self, id: u64) -> Result<DeadLetter> {
        let letter = self.remove(id).await?.ok_or_else(|| unknown(id))?;
        self.counts().discarded.fetch_add(1, Ordering::Relaxed);
        Ok(letter)
    }

    /// Gives up all that match, for good; how many. Those that are replayed now are given up too,
    /// which does not stop the replay.
    ///
    /// ```
    /// use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let billing = DeadLetterFilter::new().handler("billing");
    /// assert_eq!(DeadLetters::new().discard_all(&billing).await?, 0);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store; those discarded before are gone then.
    pub async fn discard_all(&self, filter: &DeadLetterFilter) -> Result<usize> {
        self.refresh().await?;
        let mut discarded = 0;
        for id in self.list_ids(filter) {
            if self.remove(id).await?.is_some() {
                self.counts().discarded.fetch_add(1, Ordering::Relaxed);
                discarded += 1;
            }
        }
        Ok(discarded)
    }

    /// Discards those that are too old at this time, as
    /// [`expire_after`](super::DeadLettersBuilder::expire_after) says; how many. A bus with a store
    /// does it every minute.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, layers::DeadLetters};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// assert_eq!(DeadLetters::new().expire(Bus::new().now()).await?, 0);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store; those discarded before are gone then.
    pub async fn expire(&self, now: OffsetDateTime) -> Result<usize> {
        let mut expired = 0;
        for id in self.too_old(now) {
            if self.remove(id).await?.is_some() {
                self.counts().expired.fetch_add(1, Ordering::Relaxed);
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// The same for those in memory only.
    pub(super) fn expire_in_memory(&self, now: OffsetDateTime) {
        for id in self.too_old(now) {
            let gone = self.state(|state| state.remove(id));
            self.counts().expired.fetch_add(u64::from(gone.is_some()), Ordering::Relaxed);
        }
    }

    fn too_old(&self, now: OffsetDateTime) -> Vec<u64> {
        let age = self.bounds().expire_after.and_then(|age| age.try_into().ok());
        let limit = age.and_then(|age: time::Duration| now.checked_sub(age));
        limit.map(|limit| self.state(|state| state.older_than(limit))).unwrap_or_default()
    }
}
