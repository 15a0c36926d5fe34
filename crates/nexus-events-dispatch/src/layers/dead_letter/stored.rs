//! Dead letters in the state of an event store.

use super::record::DeadLetter;
use super::store::DeadLetterStore;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::BoxFuture;
use crate::store::{Append, EventStore, Scan, space};
use crate::sync::Arc;

/// Keeps dead letters in an event store, beside its log.
pub(super) struct Stored(pub(super) Arc<dyn EventStore>);

impl DeadLetterStore for Stored {
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        Box::pin(async move {
            let (mut letters, mut scan) = (Vec::new(), Scan::of(space::DEAD_LETTERS));
            loop {
                let entries = self.0.scan(scan.clone()).await?;
                let Some(last) = entries.last() else { return Ok(letters) };
                scan.after = Some(last.key.clone());
                for entry in &entries {
                    let json = serde_json::from_slice(&entry.state.value).map_err(|error| {
                        let message = "a stored dead letter is no JSON; `nexus store verify` says what else is damaged";
                        Error::new(ErrorKind::Corrupt, message).caused_by(error)
                    })?;
                    letters.push(DeadLetter::from_json(&json)?);
                }
            }
        })
    }

    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<()>> {
        let json = letter.to_json().to_string();
        let append = Append::new().put(space::DEAD_LETTERS, letter.id.to_be_bytes(), json);
        self.commit(append)
    }

    fn remove(&self, id: u64) -> BoxFuture<'_, Result<()>> {
        self.commit(Append::new().delete(space::DEAD_LETTERS, id.to_be_bytes()))
    }
}

impl Stored {
    fn commit(&self, append: Append) -> BoxFuture<'_, Result<()>> {
        let appended = self.0.append(append);
        Box::pin(async move { appended.await.map(drop) })
    }
}
