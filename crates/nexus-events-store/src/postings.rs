//! Lookups of a part of the log: which of its events have a type, a source, a conversation or a
//! key. They only save work: what they name is compared again.

use foldhash::HashMap;
use nexus_events_dispatch::store::{Select, StoredEvent};
use nexus_events_model::{EventType, IdBuffer};

use crate::bytes::{Bytes, Wrong, put_bytes, put_number, put_signed};
use crate::frame::micros_of;

const SOURCE: u8 = 1;
const CORRELATION: u8 = 2;
const KEY: u8 = 3;

/// The lookups of neighbouring events.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The times between which they were recorded, in microseconds since 1970.
    recorded: (i64, i64),
    types: HashMap<Box<str>, Vec<u32>>,
    /// Each hash with a place, as they came: brought into an order when they are written down, and
    /// few enough to be looked through until then.
    others: Vec<(u32, u32)>,
}

/// The same in every process and release: FNV-1a, folded.
fn hash(kind: u8, text: &str) -> u32 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.as_bytes().iter().fold(fold(0xcbf2_9ce4_8422_2325, &kind), fold);
    (hash ^ (hash >> 32)) as u32
}

impl Postings {
    pub(crate) fn is_empty(&self) -> bool {
        self.first == 0
    }

    pub(crate) fn events(&self) -> u64 {
        if self.is_empty() { 0 } else { self.last + 1 - self.first }
    }

    pub(crate) fn add(&mut self, stored: &StoredEvent) {
        let (offset, recorded) = (stored.offset.number(), micros_of(stored.recorded));
        if self.is_empty() {
            self.first = offset;
            self.recorded = (recorded, recorded);
        }
        self.last = offset;
        self.recorded = (self.recorded.0.min(recorded), self.recorded.1.max(recorded));
        let at = (offset - self.first) as u32;
        let event = &stored.event;
        let name = event.event_type().as_str();
        match self.types.get_mut(name) {
            Some(list) => list.push(at),
            None => drop(self.types.insert(name.into(), vec![at])),
        }
        let mut other = |kind, text: &str| self.others.push((hash(kind, text), at));
        other(SOURCE, event.source());
        if let Some(key) = &stored.key {
            other(KEY, key);
        }
        if let Some(id) = event.correlation_id() {
            other(CORRELATION, id.as_text(&mut IdBuffer::new()));
        }
    }

    /// Adds the lookups of the events that follow.
    pub(crate) fn append(&mut self, after: Self) {
        if after.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = after;
            return;
        }
        let by = (after.first - self.first) as u32;
        self.last = after.last;
        let recorded = (self.recorded, after.recorded);
        self.recorded = (recorded.0.0.min(recorded.1.0), recorded.0.1.max(recorded.1.1));
        for (name, list) in after.types {
            self.types.entry(name).or_default().extend(list.iter().map(|at| at + by));
        }
        self.others.extend(after.others.iter().map(|(hash, at)| (*hash, at + by)));
    }

    /// Where among them selected events can be, in order; `None` when anywhere.
    pub(crate) fn candidates(&self, select: &Select) -> Option<Vec<u32>> {
        let types = || self.types.iter().map(|(name, list)| (&**name, list.clone()));
        let other = |hash| {
            let all = self.others.iter().filter(|(it, _)| *it == hash).map(|(_, at)| *at);
            let mut all: Vec<u32> = all.collect();
            // Two texts of one event may have one hash.
            all.dedup();
            all
        };
        candidates(select, self.recorded, types, other)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut into = Vec::new();
        put_number(&mut into, self.first);
        put_number(&mut into, self.last - self.first);
        put_signed(&mut into, self.recorded.0);
        put_signed(&mut into, self.recorded.1);
        put_number(&mut into, self.types.len() as u64);
        for (name, list) in &self.types {
            put_bytes(&mut into, name.as_bytes());
            let mut bytes = Vec::new();
            put_list(&mut bytes, list.iter().copied());
            put_bytes(&mut into, &bytes);
        }
        let mut others = self.others.clone();
        others.sort_unstable();
        others.dedup();
        let others = || others.chunk_by(|(before, _), (hash, _)| before == hash);
        put_number(&mut into, others().count() as u64);
        let mut lists = Vec::new();
        for all in others() {
            into.extend_from_slice(&all[0].0.to_le_bytes());
            into.extend_from_slice(&(lists.len() as u32).to_le_bytes());
            put_list(&mut lists, all.iter().map(|(_, at)| *at));
        }
        into.extend_from_slice(&lists);
        into
    }
}

fn put_list(into: &mut Vec<u8>, list: impl ExactSizeIterator<Item = u32>) {
    put_number(into, list.len() as u64);
    let mut before = 0;
    for at in list {
        put_number(into, u64::from(at - before));
        before = at;
    }
}

fn list(bytes: &mut Bytes<'_>) -> Result<Vec<u32>, Wrong> {
    let (count, mut before) = (bytes.count()?, 0_u64);
    (0..count)
        .map(|_| {
            before = before.checked_add(bytes.number()?).ok_or("a place is too large")?;
            u32::try_from(before).map_err(|_| "a place is too large")
        })
        .collect()
}

/// Lookups as they are stored.
pub(crate) struct Block<'b> {
    pub(crate) last: u64,
    recorded: (i64, i64),
    types: Vec<(&'b str, &'b [u8])>,
    /// Hashes in their order, each with the place of its list.
    others: &'b [u8],
    lists: &'b [u8],
}

impl<'b> Block<'b> {
    pub(crate) fn read(first: u64, bytes: &'b [u8]) -> Result<Self, Wrong> {
        let mut bytes = Bytes::new(bytes);
        if bytes.number()? != first {
            return Err("it stands in another one's place");
        }
        let last = first.checked_add(bytes.number()?).ok_or("an offset is too large")?;
        let recorded = (bytes.signed()?, bytes.signed()?);
        let types = (0..bytes.count()?)
            .map(|_| Ok((bytes.text()?, bytes.bytes()?)))
            .collect::<Result<Vec<_>, Wrong>>()?;
        let count = bytes.count()?;
        let others = bytes.take(count.checked_mul(8).ok_or("a count is too large")?)?;
        Ok(Self { last, recorded, types, others, lists: bytes.rest() })
    }

    fn other(&self, hash: u32) -> Result<Vec<u32>, Wrong> {
        let (entries, _) = self.others.as_chunks::<8>();
        let of = |entry: &[u8; 8]| {
            let [a, b, c, d, e, f, g, h] = *entry;
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        };
        let Ok(at) = entries.binary_search_by_key(&hash, |entry| of(entry).0) else {
            return Ok(Vec::new());
        };
        let at = of(&entries[at]).1 as usize;
        list(&mut Bytes::new(self.lists.get(at..).ok_or("a list is nowhere")?))
    }

    /// As [`Postings::candidates`]. Where a list cannot be read, anywhere.
    pub(crate) fn candidates(&self, select: &Select) -> Option<Vec<u32>> {
        let broken = std::cell::Cell::new(false);
        let read = |found: Result<Vec<u32>, Wrong>| {
            found.unwrap_or_else(|_| {
                broken.set(true);
                Vec::new()
            })
        };
        let types =
            || self.types.iter().map(|(name, bytes)| (*name, read(list(&mut Bytes::new(bytes)))));
        let found = candidates(select, self.recorded, types, |hash| read(self.other(hash)));
        found.filter(|_| !broken.get())
    }
}

fn candidates<'n, I: Iterator<Item = (&'n str, Vec<u32>)>>(
    select: &Select,
    recorded: (i64, i64),
    types: impl FnOnce() -> I,
    other: impl Fn(u32) -> Vec<u32>,
) -> Option<Vec<u32>> {
    let too_old = select.since.is_some_and(|since| recorded.1 < micros_of(since));
    let too_new = select.before.is_some_and(|before| recorded.0 > micros_of(before));
    if too_old || too_new {
        return Some(Vec::new());
    }
    let mut found: Option<Vec<u32>> = None;
    let mut narrow = |list: Vec<u32>| {
        found = Some(match found.take() {
            Some(found) => both(&found, &list),
            None => list,
        });
    };
    if let Some(key) = &select.key {
        narrow(other(hash(KEY, key)));
    }
    if let Some(id) = &select.correlation_id {
        narrow(other(hash(CORRELATION, id)));
    }
    if let Some(source) = &select.source {
        narrow(other(hash(SOURCE, source)));
    }
    if !select.patterns.is_empty() {
        let meant = types().filter(|(name, _)| {
            EventType::new(*name).is_ok_and(|event_type| select.means(&event_type))
        });
        let mut all: Vec<u32> = meant.flat_map(|(_, list)| list).collect();
        all.sort_unstable();
        narrow(all);
    }
    found
}

/// What is in both lists, each in order.
fn both(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.iter().copied().filter(|at| many.binary_search(at).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use nexus_events_dispatch::store::Offset;
    use nexus_events_model::{Event, Pattern, Text};

    use super::*;

    fn stored(number: u64) -> StoredEvent {
        let builder = Event::builder(["a.b", "a.c", "d"][number as usize % 3]).id("1");
        let event = builder.timestamp_text("2026-01-02T03:04:05Z").source("shop");
        let event = event.correlation_id(format!("c{}", number % 7)).build().unwrap();
        let key =
            (number.is_multiple_of(2)).then(|| Text::from(format!("k{}", number % 5).as_str()));
        StoredEvent::new(Offset::new(number), key, time::OffsetDateTime::UNIX_EPOCH, event)
    }

    /// In one go, commit by commit and from the disk, the same is found: what is there.
    #[test]
    fn lookups_find_what_is_there_however_they_came_together() {
        let (mut whole, mut parts) = (Postings::default(), Postings::default());
        let all: Vec<_> = (11..311).map(stored).collect();
        for chunk in all.chunks(17) {
            let mut part = Postings::default();
            for stored in chunk {
                whole.add(stored);
                part.add(stored);
            }
            parts.append(part);
            parts.append(Postings::default());
        }
        let bytes = parts.to_bytes();
        let block = Block::read(11, &bytes).unwrap();
        assert_eq!((parts.first, parts.last, block.last), (11, 310, 310));
        let selects = [
            Select::new().key("k2"),
            Select::new().source("shop").correlation_id("c3"),
            Select::new().pattern(Pattern::new("a.*").unwrap()).key("k4"),
            Select::new().key("nowhere"),
        ];
        for select in selects {
            let there = all.iter().filter(|stored| select.matches(stored));
            let there: Vec<u32> = there.map(|stored| stored.offset.number() as u32 - 11).collect();
            assert_eq!(whole.candidates(&select), Some(there.clone()));
            assert_eq!(parts.candidates(&select), Some(there.clone()));
            assert_eq!(block.candidates(&select), Some(there));
        }
    }
}
