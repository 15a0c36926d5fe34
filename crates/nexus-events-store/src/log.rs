//! Frames in their table.

use redb::{ReadableTable, Table};

use crate::bytes::{Bytes, Wrong};
use crate::error::{Fault, Outcome};
use crate::frame::{self, Frame, Heading, Part};
use crate::schema::PartKey;

/// What is at an offset.
pub(crate) enum At<'l> {
    /// A frame that has it.
    Frame(&'l Frame),
    /// A frame that cannot be read, or none: from its first offset to its last.
    Damaged { first: u64, last: u64, why: Wrong },
    /// No frame, from the first offset to the last.
    Nothing { first: u64, last: u64 },
}

/// The frames of a log, read at any offset; the last one read is at hand.
pub(crate) struct Log<T> {
    frames: T,
    current: Option<Frame>,
    /// The offset after the last.
    next: u64,
}

impl<T: ReadableTable<PartKey, &'static [u8]>> Log<T> {
    pub(crate) fn new(frames: T, next: u64) -> Self {
        Self { frames, current: None, next }
    }

    pub(crate) fn at(&mut self, offset: u64) -> Outcome<At<'_>> {
        let has = |frame: &Frame| {
            let heading = frame.heading();
            (heading.first..=heading.last()).contains(&offset)
        };
        if !self.current.as_ref().is_some_and(has) {
            match self.find(offset)? {
                Ok(frame) => self.current = Some(frame),
                Err(at) => return Ok(at),
            }
        }
        match &self.current {
            Some(frame) => Ok(At::Frame(frame)),
            None => Ok(At::Nothing { first: offset, last: offset }),
        }
    }

    fn find(&self, offset: u64) -> Outcome<Result<Frame, At<'static>>> {
        let below = self.frames.range(..=(offset, u64::MAX, u16::MAX))?.next_back();
        let Some(key) = below.transpose()?.map(|(key, _)| key.value()) else {
            let last = self.first_after(offset)? - 1;
            return Ok(Err(At::Nothing { first: offset, last }));
        };
        let (first, number, last_part) = key;
        let after = || self.first_after(offset);
        match load(&self.frames, first, number, last_part)? {
            Ok(frame) if frame.heading().last() < offset => {
                let first = frame.heading().last() + 1;
                Ok(Err(At::Nothing { first, last: after()? - 1 }))
            }
            Ok(frame) => Ok(Ok(frame)),
            Err(why) => Ok(Err(At::Damaged { first, last: after()? - 1, why })),
        }
    }

    /// The first offset of the next frame, or the one after the last.
    fn first_after(&self, offset: u64) -> Outcome<u64> {
        let above = self.frames.range((offset + 1, 0, 0)..)?.next().transpose()?;
        Ok(above.map_or(self.next, |(key, _)| key.value().0).max(offset + 1))
    }
}

fn load(
    frames: &impl ReadableTable<PartKey, &'static [u8]>,
    first: u64,
    number: u64,
    last_part: u16,
) -> Outcome<Result<Frame, Wrong>> {
    let mut rows = Vec::with_capacity(usize::from(last_part) + 1);
    for part in 0..=last_part {
        match frames.get((first, number, part))? {
            Some(row) => rows.push(row),
            None => return Ok(Err("some of its parts are missing")),
        }
    }
    let parts: Result<Vec<_>, _> = rows.iter().map(|row| Part::read(row.value())).collect();
    Ok(parts.and_then(|parts| {
        let belong = parts.iter().all(|part| (part.first, part.number) == (first, number));
        match belong {
            true => Frame::parse(number, first, frame::join(&parts)?),
            false => Err("it stands in another one's place"),
        }
    }))
}

/// The headings of all frames from this offset on, the oldest first.
pub(crate) fn headings<T: ReadableTable<PartKey, &'static [u8]>>(
    frames: &T,
    from: u64,
) -> Outcome<impl Iterator<Item = Outcome<Heading>> + use<'_, T>> {
    let below = frames.range(..=(from, u64::MAX, u16::MAX))?.next_back().transpose()?;
    let from = below.map_or(from, |(key, _)| key.value().0);
    let rows = frames.range((from, 0, 0)..)?;
    Ok(rows.filter_map(|row| match row {
        Ok((key, _)) if key.value().2 > 0 => None,
        Ok((key, value)) => {
            let (first, number, _) = key.value();
            let heading = Part::read(value.value())
                .and_then(|part| frame::heading(number, first, &mut Bytes::new(part.body)));
            Some(
                heading.map_err(|why| Fault::damage(format!("the frame of offset {first}: {why}"))),
            )
        }
        Err(error) => Some(Err(error.into())),
    }))
}

/// Puts a frame into its table; how many bytes that takes.
pub(crate) fn put(
    frames: &mut Table<'_, PartKey, &'static [u8]>,
    heading: &Heading,
    body: &[u8],
) -> Outcome<u64> {
    let mut bytes = 0;
    for piece in frame::split(heading.number, heading.first, body) {
        let place = (heading.first, heading.number, piece.index);
        piece.write(frames.insert_reserve(place, piece.size())?.as_mut());
        bytes += piece.size() as u64;
    }
    Ok(bytes)
}
