//! State as a commit finds and changes it.

use foldhash::HashMap;
use nexus_events_dispatch::Error;
use nexus_events_dispatch::store::{Append, Expected, StateWrite};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Outcome;
use crate::schema::STATE;
use crate::states as state;

type StateTable<'t> = Table<'t, (&'static str, &'static [u8]), &'static [u8]>;

/// The table of states, opened when somebody needs it.
pub(super) struct States<'t> {
    txn: &'t WriteTransaction,
    table: Option<StateTable<'t>>,
}

impl<'t> States<'t> {
    pub(super) fn new(txn: &'t WriteTransaction) -> Self {
        Self { txn, table: None }
    }

    pub(super) fn txn(&self) -> &'t WriteTransaction {
        self.txn
    }

    fn table(&mut self) -> Outcome<&mut StateTable<'t>> {
        let table = match self.table.take() {
            Some(table) => table,
            None => self.txn.open_table(STATE)?,
        };
        Ok(self.table.insert(table))
    }

    fn version(&mut self, write: &StateWrite) -> Outcome<u64> {
        let row = self.table()?.get((&*write.space, &write.key[..]))?;
        match row {
            Some(row) => Ok(state::read(&write.space, &write.key, row.value())?.version),
            None => Ok(0),
        }
    }

    /// Whether everything is as expected, when this is to be commit `commit`.
    pub(super) fn check(&mut self, append: &Append, commit: u64) -> Outcome<Result<(), Error>> {
        // A later change of the same key meets what an earlier one has left.
        let mut changed = HashMap::default();
        for write in &append.state {
            let place = (&write.space, &write.key);
            let version = match changed.get(&place) {
                Some(version) => *version,
                None if write.expected == Expected::Any => 0,
                None => self.version(write)?,
            };
            if let Err(error) = write.expected.require(version, || named(write)) {
                return Ok(Err(error));
            }
            changed.insert(place, if write.value.is_some() { commit } else { 0 });
        }
        Ok(Ok(()))
    }

    pub(super) fn apply(&mut self, append: &Append, commit: u64) -> Outcome<()> {
        for write in &append.state {
            let table = self.table()?;
            let place = (&*write.space, &write.key[..]);
            match &write.value {
                Some(value) => drop(
                    table.insert(place, &state::to_bytes(place.0, place.1, commit, value)[..])?,
                ),
                None => drop(table.remove(place)?),
            }
        }
        Ok(())
    }
}

fn named(write: &StateWrite) -> String {
    format!("the state `{}` of `{}`", String::from_utf8_lossy(&write.key), write.space)
}
