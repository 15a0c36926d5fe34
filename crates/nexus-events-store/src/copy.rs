//! Everything of one store into a new one.

use nexus_events_dispatch::store::{Integrity, Offset, Progress};
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::{Fault, Outcome, contained};
use crate::limits::COPY_BYTES;
use crate::log::{self, At, Log};
use crate::rows::Rows;
use crate::schema::{self, BLOCKS, FRAMES, HAPPENED, KEYS, META, Meta, STATE};
use crate::{bytes::unsealed, happened, postings::Block, states, verify};

/// A new store that is filled, a part at a time.
struct Target<'d> {
    database: &'d Database,
    txn: Option<WriteTransaction>,
    bytes: usize,
}

impl Target<'_> {
    fn put(
        &mut self,
        bytes: usize,
        put: impl FnOnce(&WriteTransaction) -> Outcome<()>,
    ) -> Outcome<()> {
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.begin_write()?,
        };
        put(&txn)?;
        self.bytes += bytes;
        match self.bytes < COPY_BYTES {
            true => self.txn = Some(txn),
            false => self.commit(txn)?,
        }
        Ok(())
    }

    fn commit(&mut self, txn: WriteTransaction) -> Outcome<()> {
        self.bytes = 0;
        Ok(txn.commit()?)
    }
}

/// Copies what can be read. The damage is what cannot.
pub(crate) fn copy(
    from: &ReadTransaction,
    meta: &Meta,
    to: &Database,
    progress: &Progress,
) -> Outcome<Integrity> {
    let mut target = Target { database: to, txn: None, bytes: 0 };
    target.put(0, |txn| schema::create(txn, meta))?;
    let mut found = Integrity::default();
    frames(from, meta, &mut target, &mut found, progress)?;
    verify::rest(from, &mut found);
    rows(from, STATE, &mut target, |(space, key), value| states::read(space, key, value).is_ok())?;
    rows(from, KEYS, &mut target, |key, value| schema::key_read(key, value).is_ok())?;
    rows(from, HAPPENED, &mut target, |_, value| happened::read(value).is_ok())?;
    rows(from, BLOCKS, &mut target, |first, value| {
        unsealed(value).and_then(|bytes| Block::read(first, bytes)).is_ok()
    })?;
    if let Some(txn) = target.txn.take() {
        txn.commit()?;
    }
    Ok(found)
}

/// Copies rows that are right. Where a table ends in damage, what is before it.
fn rows<K: redb::Key + 'static>(
    from: &ReadTransaction,
    table: TableDefinition<'static, K, &'static [u8]>,
    target: &mut Target<'_>,
    is_right: impl Fn(K::SelfType<'_>, &[u8]) -> bool,
) -> Outcome<()> {
    let opened = contained(|| Ok(from.open_table(table)?));
    let Ok(opened) = opened else { return Ok(()) };
    let mut iter = match contained(|| Ok(opened.iter()?)) {
        Ok(iter) => iter,
        Err(_) => return Ok(()),
    };
    let Ok(mut known) = contained(|| Rows::of(&opened)) else { return Ok(()) };
    while let Ok(Some((key, value))) = contained(|| Ok(iter.next().transpose()?)) {
        if !known.goes_on::<K>(&key.value()) {
            break;
        }
        if is_right(key.value(), value.value()) {
            target.put(value.value().len(), |txn| {
                txn.open_table(table)?.insert(key.value(), value.value())?;
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn frames(
    from: &ReadTransaction,
    meta: &Meta,
    target: &mut Target<'_>,
    found: &mut Integrity,
    progress: &Progress,
) -> Outcome<()> {
    let next = next(from, meta)?;
    let first = meta.head.first;
    verify::events(from, first, next, |at| is_lost(meta, at), found, progress);
    let damage: Vec<(u64, u64)> = found
        .damage
        .iter()
        .filter_map(|damage| damage.offsets)
        .map(|(first, last)| (first.number(), last.number()))
        .collect();
    let mut log = Log::new(from.open_table(FRAMES)?, next);
    let mut at = first;
    while at < next {
        if let Some((_, last)) = damage.iter().find(|(first, last)| (*first..=*last).contains(&at))
        {
            at = last + 1;
            continue;
        }
        match log.at(at)? {
            At::Frame(frame) => {
                let heading = frame.heading();
                at = heading.last() + 1;
                target.put(frame.body().len(), |txn| {
                    log::put(&mut txn.open_table(FRAMES)?, &heading, frame.body())?;
                    Ok(())
                })?;
            }
            At::Nothing { last, .. } | At::Damaged { last, .. } => at = last + 1,
        }
    }
    Ok(())
}

fn is_lost(meta: &Meta, at: u64) -> bool {
    meta.lost.iter().any(|(first, last)| (*first..=*last).contains(&at))
}

/// The offset after the last, as far as can be told.
pub(crate) fn next(from: &ReadTransaction, meta: &Meta) -> Outcome<u64> {
    let frames = from.open_table(FRAMES)?;
    let newest = frames.last()?.map(|(key, _)| key.value().0);
    let Some(newest) = newest else { return Ok(meta.head.next) };
    let after = |first: u64| {
        let read = contained(|| {
            let mut log = Log::new(from.open_table(FRAMES)?, u64::MAX);
            Ok(match log.at(first)? {
                At::Frame(frame) => Some(frame.heading().last() + 1),
                _ => None,
            })
        });
        read.ok().flatten()
    };
    let mut known = meta.head.next;
    let mut first = newest;
    for row in frames.iter()?.rev().take(FRAMES_LOOKED_AT) {
        first = match contained(|| Ok(row?.0.value().0)) {
            Ok(first) => first,
            Err(_) => break,
        };
        if let Some(next) = after(first) {
            known = known.max(next);
            break;
        }
    }
    // How many events it had is not known then, nor that it was there at all, where its key is no
    // neighbour of what is there.
    Ok(if first != newest && newest == known { newest + 1 } else { known })
}

/// Rows of frames that are looked at from the end, in search for one that can be read.
const FRAMES_LOOKED_AT: usize = 256;

/// What the file says of itself.
pub(crate) fn meta(from: &ReadTransaction) -> Outcome<Meta> {
    schema::meta(&from.open_table(META)?)
}

/// What was found as one error, when nothing may be lost.
pub(crate) fn sound(found: Integrity) -> Outcome<Integrity> {
    match found.damage.first() {
        None => Ok(found),
        Some(first) => Err(Fault::damage(match found.damage.len() {
            1 => first.to_string(),
            count => format!("{first}, and {} more places", count - 1),
        })),
    }
}

/// The offsets that are lost with this damage.
pub(crate) fn lost(found: &Integrity) -> Vec<(u64, u64)> {
    let offsets = found.damage.iter().filter_map(|damage| damage.offsets);
    offsets.map(|(first, last): (Offset, Offset)| (first.number(), last.number())).collect()
}
