//! Reading everything, and comparing it with its checksums.

use nexus_events_dispatch::store::{Damage, Integrity, Offset, Progress};
use redb::{Database, ReadTransaction, ReadableDatabase};

use crate::bytes::unsealed;
use crate::error::{Outcome, contained};
use crate::happened;
use crate::log::{At, Log};
use crate::postings::Block;
use crate::schema::{self, BLOCKS, FRAMES, HAPPENED, KEYS, STATE};
use crate::shared::Shared;
use crate::{rows, states};

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
                    let last = last.min(next - 1);
                    let last = (at..=last).take_while(|at| is_lost(*at)).last().unwrap_or(at);
                    (last + 1, last, None)
                }
                At::Nothing { last, .. } => (at, last, Some("no frame has them")),
                At::Damaged { last, why, .. } => (at, last, Some(why)),
            })
        });
        let (first, last, wrong) = match step {
            // A damaged place may claim more than there ever was.
            Ok((first, last, wrong)) => (first, last.min(next - 1), wrong.map(str::to_owned)),
            Err(fault) => {
                log = None;
                (at, readable_after(txn, at, next) - 1, Some(fault.what()))
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

/// The first offset after this one from which on frames can be found again: a page that cannot be
/// read may hold very many, and a damaged key may say that there are more than there ever were.
fn readable_after(txn: &ReadTransaction, at: u64, next: u64) -> u64 {
    let found = |from: u64| {
        let first = || {
            let frames = txn.open_table(FRAMES)?;
            let first = frames.range((from, 0, 0)..)?.next().transpose()?;
            Ok(first.map_or(next, |(key, _)| key.value().0))
        };
        contained(first).ok()
    };
    let mut step = 1_u64;
    while at.saturating_add(step) < next && found(at + step).is_none() {
        step = step.saturating_mul(2);
    }
    let (mut unreadable, mut readable) = (at + step / 2, at.saturating_add(step).min(next));
    while readable - unreadable > 1 {
        let middle = unreadable + (readable - unreadable) / 2;
        match found(middle) {
            Some(_) => readable = middle,
            None => unreadable = middle,
        }
    }
    found(readable).unwrap_or(next).clamp(at + 1, next)
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
        rows::each(&txn.open_table(STATE)?, |(space, key), value| {
            match states::read(space, key, value) {
                Ok(_) => found.states += 1,
                Err(fault) => found.damage.push(Damage::new(None, fault.what())),
            }
            Ok(())
        })
    });
    part("lookups", &mut |found| {
        rows::each(&txn.open_table(BLOCKS)?, |first, value| {
            if let Err(why) = unsealed(value).and_then(|bytes| Block::read(first, bytes)) {
                let what = format!("the lookups from offset {first} on: {why}; no event is lost");
                found.damage.push(Damage::new(None, what));
            }
            Ok(())
        })
    });
    part("idempotency keys", &mut |found| {
        rows::each(&txn.open_table(HAPPENED)?, |_, value| {
            if let Err(why) = happened::read(value) {
                found.damage.push(Damage::new(None, format!("some idempotency keys: {why}")));
            }
            Ok(())
        })
    });
    part("versions of keys", &mut |found| {
        rows::each(&txn.open_table(KEYS)?, |key, version| {
            if let Err(fault) = schema::key_read(key, version) {
                found.damage.push(Damage::new(None, fault.what()));
            }
            Ok(())
        })
    });
}
