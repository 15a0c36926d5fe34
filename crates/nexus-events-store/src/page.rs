//! Pages of the log.

use nexus_events_dispatch::store::{Direction, Offset, Page, Read, Select, StoredEvent};
use nexus_events_dispatch::{Error, ErrorKind};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::bytes::unsealed;
use crate::error::{Fault, Outcome};
use crate::limits::LOOKED_AT_MAX;
use crate::log::{At, Log};
use crate::postings::{Block, Postings};
use crate::schema::{BLOCKS, FRAMES};
use crate::shared::Shared;

/// A page that is filled.
struct Filling {
    read: Read,
    chosen: Vec<StoredEvent>,
    bytes: usize,
    /// The last offset that the read can come to.
    end: u64,
}

impl Filling {
    /// Whether the page is full, and with which offset it ends.
    fn look(&mut self, stored: StoredEvent) -> Option<u64> {
        if !self.read.select.matches(&stored) {
            return None;
        }
        let offset = stored.offset.number();
        self.bytes += stored.event.size();
        if self.chosen.is_empty() || self.bytes <= self.read.bytes_max {
            self.chosen.push(stored);
        }
        let is_full =
            self.chosen.len() >= self.read.events_max || self.bytes >= self.read.bytes_max;
        let end = self.chosen.last().map_or(offset, |stored| stored.offset.number());
        is_full.then_some(end)
    }

    /// The page, when everything up to this offset was looked at.
    fn ends_at(self, offset: u64) -> Page {
        if offset == self.end {
            return Page::new(self.chosen, None);
        }
        let (offset, mut next) = (Offset::new(offset), self.read);
        match next.direction {
            Direction::Backward => next.until = Some(offset.before()),
            _ => next.after = offset,
        }
        Page::new(self.chosen, Some(next))
    }
}

/// The offsets that a read is about.
struct Range {
    from: u64,
    until: u64,
    backward: bool,
}

fn range(shared: &Shared, read: &Read, last: Offset) -> Outcome<Option<Range>> {
    let bounds = shared.bounds();
    let last = last.min(bounds.last);
    if read.after > Offset::START && read.after.next() < bounds.first {
        return Err(trimmed(read.after, bounds.first).into());
    }
    let from = read.after.next().max(bounds.first).number();
    let until = read.until.map_or(last, |until| until.min(last)).number();
    let backward = read.direction == Direction::Backward;
    Ok((from <= until).then_some(Range { from, until, backward }))
}

fn trimmed(after: Offset, first: Offset) -> Error {
    let message =
        format!("the event after offset {after} is no longer kept; the oldest one is {first}");
    Error::of_store(ErrorKind::Trimmed, message)
}

/// The page, when memory has it.
pub(crate) fn from_memory(shared: &Shared, read: &Read) -> Outcome<Option<Page>> {
    let Some(Range { from, until, backward }) = range(shared, read, shared.bounds().last)? else {
        return Ok(Some(Page::new(Vec::new(), None)));
    };
    let most = if read.select.is_all() { read.events_max } else { LOOKED_AT_MAX };
    let there = {
        let tail = shared.tail.lock();
        let start = if backward { until } else { from };
        match tail.first() {
            Some(first) if first <= start => tail.between(from.max(first), until, backward, most),
            _ => return Ok(None),
        }
    };
    let end = if backward { from } else { until };
    let mut filling = Filling { read: read.clone(), chosen: Vec::new(), bytes: 0, end };
    // A filter may read a payload, which is the program's own code, so not under the lock.
    let mut looked = None;
    for stored in there {
        looked = Some(stored.offset.number());
        if let Some(end) = filling.look(stored) {
            return Ok(Some(filling.ends_at(end)));
        }
    }
    Ok(looked.map(|looked| filling.ends_at(looked)))
}

/// The page, from the disk.
pub(crate) fn from_disk(shared: &Shared, database: &Database, read: &Read) -> Outcome<Page> {
    // The tables have at least what is shown before they are opened, and, from the oldest event on,
    // what is shown afterwards.
    let last = shared.bounds().last;
    let txn = database.begin_read()?;
    let (frames, blocks) = (txn.open_table(FRAMES)?, txn.open_table(BLOCKS)?);
    let Some(range) = range(shared, read, last)? else { return Ok(Page::new(Vec::new(), None)) };
    let (start, end) = match range.backward {
        true => (range.until, range.from),
        false => (range.from, range.until),
    };
    let mut filling = Filling { read: read.clone(), chosen: Vec::new(), bytes: 0, end };
    let mut log = Log::new(frames, last.next().number());
    let (mut at, mut looked_at) = (start, 0);
    loop {
        let segment = segment(shared, &blocks, at, &range, &read.select)?;
        for offset in segment.offsets(range.backward) {
            match log.at(offset)? {
                At::Frame(frame) => {
                    let stored =
                        frame.event(offset).map_err(|why| unreadable(offset, offset, why))?;
                    looked_at += 1;
                    if let Some(end) = filling.look(stored) {
                        return Ok(filling.ends_at(end));
                    }
                }
                At::Nothing { first, .. } if shared.is_lost(first) => looked_at += 1,
                At::Nothing { first, last } => {
                    return before(filling, offset, first, last, "no frame has them");
                }
                At::Damaged { first, last, why } => {
                    return before(filling, offset, first, last, why);
                }
            }
            if looked_at >= LOOKED_AT_MAX {
                return Ok(filling.ends_at(offset));
            }
        }
        let edge = if range.backward { segment.first } else { segment.last };
        if edge == end {
            return Ok(filling.ends_at(end));
        }
        looked_at += 1;
        at = if range.backward { edge - 1 } else { edge + 1 };
    }
}

pub(crate) fn unreadable(first: u64, last: u64, why: &str) -> Fault {
    Fault::damage(match first == last {
        true => format!("offset {first} cannot be read: {why}"),
        false => format!("offsets {first} to {last} cannot be read: {why}"),
    })
}

/// What was read before damage is given first; the next page then begins with the damage.
fn before(filling: Filling, offset: u64, first: u64, last: u64, why: &str) -> Outcome<Page> {
    match filling.chosen.last().map(|stored| stored.offset.number()) {
        Some(_) if filling.read.direction == Direction::Backward => Ok(filling.ends_at(offset + 1)),
        Some(_) => Ok(filling.ends_at(offset - 1)),
        None => Err(unreadable(first, last, why)),
    }
}

/// Neighbouring offsets that have their lookups together.
struct Segment {
    first: u64,
    last: u64,
    /// Only these of them, counted from `base`.
    only: Option<Vec<u32>>,
    base: u64,
}

impl Segment {
    fn offsets(&self, backward: bool) -> Box<dyn Iterator<Item = u64> + '_> {
        let (first, last) = (self.first, self.last);
        match (&self.only, backward) {
            (None, false) => Box::new(first..=last),
            (None, true) => Box::new((first..=last).rev()),
            (Some(only), false) => Box::new(
                only.iter()
                    .map(|at| self.base + u64::from(*at))
                    .filter(move |offset| (first..=last).contains(offset)),
            ),
            (Some(only), true) => Box::new(
                only.iter()
                    .rev()
                    .map(|at| self.base + u64::from(*at))
                    .filter(move |offset| (first..=last).contains(offset)),
            ),
        }
    }
}

fn segment(
    shared: &Shared,
    blocks: &impl ReadableTable<u64, &'static [u8]>,
    at: u64,
    range: &Range,
    select: &Select,
) -> Outcome<Segment> {
    let all = Segment { first: range.from, last: range.until, only: None, base: 0 };
    if select.is_all() {
        return Ok(all);
    }
    let cut = |first: u64, last: u64, only, base| Segment {
        first: first.max(range.from),
        last: last.min(range.until),
        only,
        base,
    };
    if let Some((key, row)) = blocks.range(..=at)?.next_back().transpose()? {
        let first = key.value();
        // Lookups that cannot be read cost time, nothing else.
        let block = unsealed(row.value()).and_then(|bytes| Block::read(first, bytes));
        if let Ok(block) = block
            && at <= block.last
        {
            return Ok(cut(first, block.last, block.candidates(select), first));
        }
    }
    let head: &Postings = &shared.head.lock();
    if !head.is_empty() && (head.first..=head.last).contains(&at) {
        return Ok(cut(head.first, head.last, head.candidates(select), head.first));
    }
    Ok(match range.backward {
        true => Segment { first: at, last: at, ..all },
        false => Segment { first: at, last: at, ..all },
    })
}
