//! Reading everything, and comparing it with its checksums.

use nexus_events_dispatch::store::{Damage, Integrity, Offset, Progress};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::bytes::unsealed;
use crate::error::{Outcome, contained};
use crate::happened;
use crate::log::{At, Log};
use crate::postings::Block;
use crate::schema::{self, BLOCKS, FRAMES, HAPPENED, KEYS, STATE};
use crate::shared::Shared;
use crate::states;

pub(crate) fn verify(
    shared: &Shared,
    database: &Database,
    progress: &Progress,
) -> Outcome<Integrity> {
    let bounds = shared.bounds();
    let txn = database.begin_read()?;
    // What was trimmed meanwhile is not missing.
    let first = shared.bounds().first.max(bounds.first).number();
    let mut found = Integrity::default();
    events(&txn, first, bounds.last.next().number(), |at| shared.is_lost(at), &mut found, progress);
    rest(&txn, &mut found);
    Ok(found)
}

/// Reads all events between these offsets.
pub(crate) fn events(
    txn: &ReadTransaction,
    first: u64,
    next: u64,
    is_lost: impl Fn(u64) -> bool,
    found: &mut Integrity,
    progress: &Progress,
) {
    let (first_of_all, total) = (first, next.saturating_sub(first));
    let mut at = first;
    let mut log = None;
    while at < next {
        let step = contained(|| {
            let log = match &mut log {
                Some(log) => log,
                none => none.insert(Log::new(txn.open_table(FRAMES)?, next)),
            };
            Ok(match log.at(at)? {
                At::Frame(frame) => {
                    let last = frame.heading().last();
                    let wrong = (at..=last).find_map(|offset| frame.event(offset).err());
                    (at, last, wrong)
                }
                At::Nothing { last, .. } if is_lost(at) => {
                    let last = (at..=last).take_while(|at| is_lost(*at)).last().unwrap_or(at);
                    (last + 1, last, None)
                }
                At::Nothing { last, .. } => (at, last, Some("no frame has them")),
                At::Damaged { last, why, .. } => (at, last, Some(why)),
            })
        });
        let (first, last, wrong) = match step {
            Ok((first, last, wrong)) => (first, last, wrong.map(str::to_owned)),
            Err(fault) => {
                log = None;
                (at, at, Some(fault.what()))
            }
        };
        match wrong {
            None => found.events += (last + 1).saturating_sub(first),
            Some(what) => damaged(found, first, last, what),
        }
        at = last + 1;
        progress.say(at.min(next) - first_of_all, total);
    }
}

/// Adds damage, to what is right before it where it is the same.
fn damaged(found: &mut Integrity, first: u64, last: u64, what: String) {
    if let Some(before) = found.damage.last_mut()
        && before.what == what
        && let Some((from, to)) = before.offsets
        && to.next() == Offset::new(first)
    {
        before.offsets = Some((from, Offset::new(last)));
        return;
    }
    found.damage.push(Damage::new(Some((Offset::new(first), Offset::new(last))), what));
}

/// Reads what is beside the events.
pub(crate) fn rest(txn: &ReadTransaction, found: &mut Integrity) {
    let mut part = |name: &str, read: &mut dyn FnMut(&mut Integrity) -> Outcome<()>| {
        if let Err(fault) = contained(|| read(found)) {
            found.damage.push(Damage::new(None, format!("{name}: {}", fault.what())));
        }
    };
    part("state", &mut |found| {
        for row in txn.open_table(STATE)?.iter()? {
            let (place, value) = row?;
            let (space, key) = place.value();
            match states::read(space, key, value.value()) {
                Ok(_) => found.states += 1,
                Err(fault) => found.damage.push(Damage::new(None, fault.what())),
            }
        }
        Ok(())
    });
    part("lookups", &mut |found| {
        for row in txn.open_table(BLOCKS)?.iter()? {
            let (first, value) = row?;
            let first = first.value();
            if let Err(why) = unsealed(value.value()).and_then(|bytes| Block::read(first, bytes)) {
                let what = format!("the lookups from offset {first} on: {why}; no event is lost");
                found.damage.push(Damage::new(None, what));
            }
        }
        Ok(())
    });
    part("idempotency keys", &mut |found| {
        for row in txn.open_table(HAPPENED)?.iter()? {
            if let Err(why) = happened::read(row?.1.value()) {
                found.damage.push(Damage::new(None, format!("some idempotency keys: {why}")));
            }
        }
        Ok(())
    });
    part("versions of keys", &mut |_| {
        for row in txn.open_table(KEYS)?.iter()? {
            let (key, version) = row?;
            schema::key_read(key.value(), version.value())?;
        }
        Ok(())
    });
}
