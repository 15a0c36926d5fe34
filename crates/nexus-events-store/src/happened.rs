//! Appends that had an idempotency key, for as long as they are remembered.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::HashMap;
use nexus_events_dispatch::store::{Appended, Offset};
use nexus_events_model::Text;

use redb::{ReadableTable, Table};

use crate::bytes::{Bytes, Wrong, put_bytes, put_number, put_signed, sealed, unsealed};
use crate::error::Outcome;
use crate::frame::{Named, time_of};

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Happened {
    known: HashMap<Text, Named>,
    order: VecDeque<(i64, Text)>,
    window: Duration,
    most: usize,
}

impl Happened {
    pub(crate) fn new(window: Duration, most: usize) -> Self {
        Self { known: HashMap::default(), order: VecDeque::new(), window, most }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The earliest time that is remembered, at this one.
    pub(crate) fn since(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX))
    }

    pub(crate) fn get(&self, key: &Text) -> Option<&Named> {
        self.known.get(key)
    }

    pub(crate) fn add(&mut self, named: Named) {
        self.order.push_back((named.recorded, named.key.clone()));
        self.known.insert(named.key.clone(), named);
    }

    /// Forgets what is too old or too much.
    pub(crate) fn forget(&mut self, now: i64) {
        let since = self.since(now);
        while let Some((recorded, _)) = self.order.front() {
            if *recorded >= since && self.order.len() <= self.most {
                return;
            }
            let Some((recorded, key)) = self.order.pop_front() else { return };
            // It may have happened again since.
            if self.known.get(&key).is_some_and(|named| named.recorded == recorded) {
                self.known.remove(&key);
            }
        }
    }
}

/// The answer to an append that had happened before.
pub(crate) fn duplicate(named: &Named) -> Appended {
    let recorded = time_of(named.recorded).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (first, last) = (Offset::new(named.first), Offset::new(named.last));
    let mut appended = Appended::new(first, last, named.version, recorded);
    appended.duplicate = true;
    appended
}

/// Writes these down as what was known after a commit, beside what is written down of it already.
pub(crate) fn put(
    table: &mut Table<'_, u64, &'static [u8]>,
    commit: u64,
    named: &[Named],
) -> Outcome<()> {
    // Odd, because what has no frame has even ones.
    let row = 2 * commit + 1;
    let there = table.get(row)?.map(|there| read(there.value()).unwrap_or_default());
    let mut all = there.unwrap_or_default();
    all.extend_from_slice(named);
    table.insert(row, &to_bytes(&all)[..])?;
    Ok(())
}

pub(crate) fn to_bytes(all: &[Named]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for named in all {
        put_bytes(&mut bytes, named.key.as_bytes());
        put_number(&mut bytes, named.first);
        put_number(&mut bytes, named.last);
        put_number(&mut bytes, named.version);
        put_signed(&mut bytes, named.recorded);
    }
    sealed(&bytes)
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Named>, Wrong> {
    let mut bytes = Bytes::new(unsealed(bytes)?);
    let mut all = Vec::new();
    while !bytes.is_empty() {
        all.push(Named {
            key: Text::from(bytes.text()?),
            first: bytes.number()?,
            last: bytes.number()?,
            version: bytes.number()?,
            recorded: bytes.signed()?,
        });
    }
    Ok(all)
}
