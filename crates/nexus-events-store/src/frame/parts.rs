//! A frame in parts. Pages have a power of two of bytes, so a frame in one piece would waste up to
//! half of its page, and all of the page is written.

use crate::bytes::{Bytes, Wrong};

/// Says that a part begins here, for those who look for them in the rubble.
const MARK: [u8; 4] = *b"nxf\x01";

/// Bytes in front of each part.
const HEADER: usize = 32;

/// What the database below adds to a page with one value.
const PAGE_OVERHEAD: usize = 32;

const PAGE: usize = 4096;

/// A part, its checksum found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) index: u16,
    pub(crate) count: u16,
    pub(crate) body: &'b [u8],
}

/// A piece of the body of a frame, to be stored as one of its parts.
pub(crate) struct Piece<'b> {
    number: u64,
    first: u64,
    pub(crate) index: u16,
    count: u16,
    body: &'b [u8],
}

/// The body of a frame in pieces.
pub(crate) fn split(number: u64, first: u64, body: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = body;
    loop {
        let (body, later) = rest.split_at(fitting(rest.len(), body.len()));
        pieces.push(Piece { number, first, index: pieces.len() as u16, count: 0, body });
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    let count = pieces.len() as u16;
    pieces.iter_mut().for_each(|piece| piece.count = count);
    pieces
}

impl Piece<'_> {
    /// How many bytes it takes where it is stored.
    pub(crate) fn size(&self) -> usize {
        HEADER + self.body.len()
    }

    /// Writes it where it is stored, which has room for exactly this.
    pub(crate) fn write(&self, into: &mut [u8]) {
        let (header, body) = into.split_at_mut(HEADER);
        header[..4].copy_from_slice(&MARK);
        header[8..16].copy_from_slice(&self.number.to_le_bytes());
        header[16..24].copy_from_slice(&self.first.to_le_bytes());
        header[24..26].copy_from_slice(&self.index.to_le_bytes());
        header[26..28].copy_from_slice(&self.count.to_le_bytes());
        header[28..].copy_from_slice(&(self.body.len() as u32).to_le_bytes());
        body.copy_from_slice(self.body);
        let sum = crc32c::crc32c(&into[8..]);
        into[4..8].copy_from_slice(&sum.to_le_bytes());
    }

    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size()];
        self.write(&mut bytes);
        bytes
    }
}

/// How much of what is left goes into the next part: all, if little of its page is wasted.
fn fitting(rest: usize, all: usize) -> usize {
    let around = HEADER + PAGE_OVERHEAD;
    let page = (rest + around).next_power_of_two().max(PAGE);
    let waste = page - around - rest;
    match page == PAGE || waste <= all / 16 {
        true => rest,
        false => page / 2 - around,
    }
}

impl<'b> Part<'b> {
    /// Reads one as it is stored; more bytes may follow.
    pub(crate) fn read(stored: &'b [u8]) -> Result<Self, Wrong> {
        let mut header = Bytes::new(stored);
        if header.fixed::<4>()? != MARK {
            return Err("no frame begins where one should");
        }
        let sum = u32::from_le_bytes(header.fixed()?);
        let number = u64::from_le_bytes(header.fixed()?);
        let first = u64::from_le_bytes(header.fixed()?);
        let index = u16::from_le_bytes(header.fixed()?);
        let count = u16::from_le_bytes(header.fixed()?);
        let length = u32::from_le_bytes(header.fixed()?) as usize;
        let body = header.take(length)?;
        match crc32c::crc32c(&stored[8..HEADER + length]) == sum {
            true => Ok(Self { number, first, index, count, body }),
            false => Err("its checksum does not match"),
        }
    }
}

/// The body of a frame from all of its parts.
pub(crate) fn join(parts: &[Part<'_>]) -> Result<Vec<u8>, Wrong> {
    let Some(one) = parts.first() else { return Err("it has no parts") };
    if parts.len() != usize::from(one.count) {
        return Err("some of its parts are missing");
    }
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.body.len()).sum());
    for (index, part) in parts.iter().enumerate() {
        if (part.number, part.first, usize::from(part.index)) != (one.number, one.first, index) {
            return Err("its parts do not belong together");
        }
        body.extend_from_slice(part.body);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_joins_again_and_wastes_little() {
        for length in [0, 1, 4_000, 4_032, 4_033, 33_000, 66_000, 70_000, 140_000, 5_000_000] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let stored: Vec<_> = split(7, 9, &body).iter().map(Piece::to_bytes).collect();
            let parts: Vec<_> = stored.iter().map(|part| Part::read(part).unwrap()).collect();
            assert_eq!(join(&parts).unwrap(), body);
            assert!(join(&parts[1..]).is_err());
            let pages: usize =
                stored.iter().map(|part| (part.len() + 32).next_power_of_two().max(PAGE)).sum();
            assert!(pages <= length + length / 16 + 2 * PAGE, "{length} takes {pages}");
        }
    }

    #[test]
    fn a_changed_bit_is_seen() {
        let stored = split(7, 9, b"some events")[0].to_bytes();
        for bit in 0..stored.len() * 8 {
            let mut changed = stored.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Part::read(&changed).is_err(), "bit {bit}");
        }
    }
}
