//! Dead letters in the state of an event store, which several programs may use.

use std::collections::{BTreeSet, HashMap};

use super::record::DeadLetter;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, EventStore, Expected, Scan, space};
use crate::sync::{Arc, Mutex};

/// Keeps dead letters in an event store, beside its log. What somebody else has changed meanwhile
/// is never overwritten: that is [`ErrorKind::Conflict`].
pub(super) struct Stored {
    store: Arc<dyn EventStore>,
    /// Which state of each dead letter is known here.
    versions: Mutex<HashMap<u64, u64>>,
}

/// How a dead letter is, beside what was known of it.
pub(super) enum Now {
    Same,
    Changed(Box<DeadLetter>),
    Gone,
}

impl Stored {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, versions: Mutex::default() }
    }

    /// Those that are not known as they are now, and the ids of all.
    pub(super) async fn read_all(&self) -> Result<(Vec<DeadLetter>, BTreeSet<u64>)> {
        let (mut changed, mut ids) = (Vec::new(), BTreeSet::new());
        let mut scan = Scan::of(space::DEAD_LETTERS);
        loop {
            let entries = self.store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { return Ok((changed, ids)) };
            scan.after = Some(last.key.clone());
            for entry in &entries {
                let id = entry.key.as_slice().try_into().map(u64::from_be_bytes);
                let (version, known) = (entry.state.version, id.ok().and_then(|id| self.known(id)));
                ids.extend(id);
                if known != Some(version) {
                    let letter = read(&entry.state.value)?;
                    self.versions.lock().insert(letter.id, version);
                    changed.push(letter);
                }
            }
        }
    }

    /// Those that were there and are not among these ids any more; they are not known from now on.
    pub(super) fn forget_others(&self, ids: &BTreeSet<u64>) -> Vec<u64> {
        let mut versions = self.versions.lock();
        let gone: Vec<u64> = versions.keys().filter(|id| !ids.contains(id)).copied().collect();
        for id in &gone {
            versions.remove(id);
        }
        gone
    }

    /// How it is in the store now.
    pub(super) async fn get(&self, id: u64) -> Result<Now> {
        let Some(state) = self.store.get(space::DEAD_LETTERS, &id.to_be_bytes()).await? else {
            // One that was never there may be on its way there.
            let was_there = self.versions.lock().remove(&id).is_some();
            return Ok(if was_there { Now::Gone } else { Now::Same });
        };
        if self.known(id) == Some(state.version) {
            return Ok(Now::Same);
        }
        let letter = read(&state.value)?;
        self.versions.lock().insert(id, state.version);
        Ok(Now::Changed(Box::new(letter)))
    }

    /// Writes a dead letter and removes others, in one commit.
    pub(super) async fn put(&self, letter: &DeadLetter, gone: &[u64]) -> Result<()> {
        let id = letter.id;
        let json = letter.to_json().to_string();
        let put =
            Append::new().put_if(self.expected(id), space::DEAD_LETTERS, id.to_be_bytes(), json);
        let append = gone
            .iter()
            .fold(put, |append, gone| append.delete(space::DEAD_LETTERS, gone.to_be_bytes()));
        let appended = self.store.append(append).await?;
        let mut versions = self.versions.lock();
        versions.insert(id, appended.version);
        for gone in gone {
            versions.remove(gone);
        }
        Ok(())
    }

    pub(super) async fn remove(&self, id: u64) -> Result<()> {
        let expected = match self.expected(id) {
            // Nothing is known of it, so nothing was seen that somebody may have changed.
            Expected::Absent => Expected::Any,
            known => known,
        };
        let append = Append::new().delete_if(expected, space::DEAD_LETTERS, id.to_be_bytes());
        self.store.append(append).await?;
        self.versions.lock().remove(&id);
        Ok(())
    }

    fn expected(&self, id: u64) -> Expected {
        self.known(id).map_or(Expected::Absent, Expected::Exact)
    }

    fn known(&self, id: u64) -> Option<u64> {
        self.versions.lock().get(&id).copied()
    }
}

fn read(value: &[u8]) -> Result<DeadLetter> {
    let json = serde_json::from_slice(value).map_err(|error| {
        let message =
            "a stored dead letter is no JSON; `nexus store verify` says what else is damaged";
        Error::new(ErrorKind::Corrupt, message).caused_by(error)
    })?;
    DeadLetter::from_json(&json)
}
