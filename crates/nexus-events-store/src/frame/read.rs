//! Reading a frame.

use nexus_events_dispatch::store::StoredEvent;
use nexus_events_model::{EventType, Text};
use time::OffsetDateTime;

use super::envelope::{self, Known};
use super::{FORMAT, Heading, Named, time_of};
use crate::bytes::{Bytes, Wrong};

/// A frame that is read: its heading at once, its events when they are asked for.
pub(crate) struct Frame {
    heading: Heading,
    texts: Vec<Text>,
    types: Vec<EventType>,
    named: Vec<Named>,
    body: Vec<u8>,
    /// Where in the body the ends of its events are, and where the events.
    ends_at: usize,
    events_at: usize,
    recorded: OffsetDateTime,
}

impl Frame {
    /// From what [`join`](super::join) gives.
    pub(crate) fn parse(number: u64, first: u64, body: Vec<u8>) -> Result<Self, Wrong> {
        let mut bytes = Bytes::new(&body);
        let heading = heading(number, first, &mut bytes)?;
        let types = (0..bytes.count()?)
            .map(|_| EventType::new(bytes.text()?).map_err(|_| "an event type is none"))
            .collect::<Result<Vec<_>, _>>()?;
        let texts = (0..bytes.count()?)
            .map(|_| bytes.text().map(Text::from))
            .collect::<Result<Vec<_>, _>>()?;
        let named = (0..bytes.count()?)
            .map(|_| named(&mut bytes, &heading))
            .collect::<Result<Vec<_>, _>>()?;
        let ends_at = bytes.at();
        let count = usize::try_from(heading.events).map_err(|_| "a count is too large")?;
        bytes.take(count.checked_mul(4).ok_or("a count is too large")?)?;
        let events_at = bytes.at();
        let recorded = time_of(heading.recorded).ok_or("a time is none")?;
        Ok(Self { heading, texts, types, named, body, ends_at, events_at, recorded })
    }

    pub(crate) fn heading(&self) -> Heading {
        self.heading
    }

    pub(crate) fn named(&self) -> &[Named] {
        &self.named
    }

    /// As it was given.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The bytes of all of its events.
    pub(crate) fn bytes(&self) -> u64 {
        (self.body.len() - self.events_at) as u64
    }

    fn end(&self, index: usize) -> Result<usize, Wrong> {
        let Some(before) = index.checked_sub(1) else { return Ok(0) };
        let end = Bytes::new(self.body.get(self.ends_at + 4 * before..).unwrap_or_default())
            .fixed()
            .map(u32::from_le_bytes)?;
        Ok(end as usize)
    }

    /// How many bytes the event at this offset takes.
    pub(crate) fn size(&self, offset: u64) -> Result<u64, Wrong> {
        let index = self.index(offset)?;
        Ok((self.end(index + 1)?.saturating_sub(self.end(index)?)) as u64)
    }

    fn index(&self, offset: u64) -> Result<usize, Wrong> {
        let index = offset.checked_sub(self.heading.first).ok_or("it has no such event")?;
        match index < self.heading.events {
            true => usize::try_from(index).map_err(|_| "a count is too large"),
            false => Err("it has no such event"),
        }
    }

    /// The event at this offset.
    pub(crate) fn event(&self, offset: u64) -> Result<StoredEvent, Wrong> {
        let index = self.index(offset)?;
        let (from, to) = (self.events_at + self.end(index)?, self.events_at + self.end(index + 1)?);
        let bytes = self.body.get(from..to).ok_or("an event ends before it begins")?;
        let known = Known { texts: &self.texts, types: &self.types };
        envelope::read(bytes, offset, self.heading.recorded, self.recorded, &known)
    }
}

/// The heading of a frame, from the body of its first part.
pub(crate) fn heading(number: u64, first: u64, bytes: &mut Bytes<'_>) -> Result<Heading, Wrong> {
    if bytes.byte()? != FORMAT {
        return Err("it is of a format that this program does not know");
    }
    let (events, commit) = (bytes.number()?, bytes.number()?);
    let (recorded, bytes_before) = (bytes.signed()?, bytes.number()?);
    match events == 0 || first.checked_add(events).is_none() {
        true => Err("a count is too large"),
        false => Ok(Heading { number, first, events, commit, recorded, bytes_before }),
    }
}

fn named(bytes: &mut Bytes<'_>, heading: &Heading) -> Result<Named, Wrong> {
    let key = Text::from(bytes.text()?);
    let first = heading.first.checked_add(bytes.number()?).ok_or("an offset is too large")?;
    let events = bytes.number()?;
    let last = first.checked_add(events).and_then(|end| end.checked_sub(1));
    let version = heading.commit.checked_sub(bytes.number()?).ok_or("a version is too large")?;
    let recorded = heading.recorded;
    Ok(Named { key, first, last: last.ok_or("an offset is too large")?, version, recorded })
}
