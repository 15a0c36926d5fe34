//! Writing down what was only in frames so far: the lookups of the newest events as a block, the
//! idempotency keys among them, the versions of keys.

use redb::{ReadableTable, Table, WriteTransaction};

use super::Writer;
use crate::bytes::sealed;
use crate::error::Outcome;
use crate::happened;
use crate::limits::{BLOCK_EVENTS, KEYED_EVENTS_MAX, KEYS_CHANGED_MAX};
use crate::schema::{self, BLOCKS, HAPPENED, Head, KEYS};

/// What is to be written down.
pub(super) struct Due {
    block: bool,
    pub(super) keys: bool,
    /// About how much room that takes.
    pub(super) bytes: u64,
}

impl Due {
    pub(super) fn any(&self) -> bool {
        self.block
    }
}

/// Rows of old idempotency keys that one seal removes.
const FORGOTTEN_MAX: usize = 64;

impl Writer {
    pub(super) fn seal_due(&self) -> Due {
        let events = self.shared.head.lock().events();
        let block = events >= BLOCK_EVENTS;
        let changed = self.keys.len() >= KEYS_CHANGED_MAX || self.keyed_events >= KEYED_EVENTS_MAX;
        // Each key may change a page.
        let keys = if changed { 4096 * self.keys.len() as u64 } else { 0 };
        Due { block, keys: block && changed, bytes: 64 * events + 2 * keys }
    }

    pub(super) fn seal(
        &self,
        txn: &WriteTransaction,
        head: Head,
        keys: bool,
        now: i64,
    ) -> Outcome<()> {
        let (first, postings) = {
            let head = self.shared.head.lock();
            (head.first, head.to_bytes())
        };
        txn.open_table(BLOCKS)?.insert(first, &sealed(&postings)[..])?;
        self.write_named(txn, now)?;
        if keys {
            self.write_keys(txn)?;
        }
        schema::write_head(txn, head)
    }

    fn write_named(&self, txn: &WriteTransaction, now: i64) -> Outcome<()> {
        let mut table = txn.open_table(HAPPENED)?;
        self.forget_rows(&mut table, now)?;
        if !self.named.is_empty() {
            // Odd, because what has no frame has even ones.
            table.insert(2 * self.head.commit + 1, &happened::to_bytes(&self.named)[..])?;
        }
        Ok(())
    }

    /// Removes rows of idempotency keys that are no longer remembered.
    pub(super) fn forget_rows(
        &self,
        table: &mut Table<'_, u64, &'static [u8]>,
        now: i64,
    ) -> Outcome<()> {
        let since = self.happened.since(now);
        for _ in 0..FORGOTTEN_MAX {
            let oldest = table
                .first()?
                .map(|(key, row)| (key.value(), happened::read(row.value()).unwrap_or_default()));
            let Some((key, all)) = oldest else { break };
            if all.iter().any(|named| named.recorded >= since) {
                break;
            }
            table.remove(key)?;
        }
        Ok(())
    }

    pub(super) fn write_keys(&self, txn: &WriteTransaction) -> Outcome<()> {
        let mut table = txn.open_table(KEYS)?;
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable();
        for (key, more) in keys {
            let version = schema::key_version(&table, key)? + more;
            table.insert(&**key, &schema::key_to_bytes(key, version)[..])?;
        }
        Ok(())
    }
}
