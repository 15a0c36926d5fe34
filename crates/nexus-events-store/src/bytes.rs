//! Numbers and texts as bytes, as compact as they go.

/// What is wrong with bytes that were to be read.
pub(crate) type Wrong = &'static str;

/// A number in as many groups of seven bits as it needs, the lowest first.
pub(crate) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// A number of either sign; small ones are short.
pub(crate) fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_number(into, ((number << 1) ^ (number >> 63)) as u64);
}

pub(crate) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Reads what was put, and never beyond the end.
#[derive(Clone)]
pub(crate) struct Bytes<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Bytes<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Wrong> {
        let byte = *self.bytes.get(self.at).ok_or("it ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Wrong> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
            if shift > 63 {
                return Err("a number is too long");
            }
        }
    }

    /// A number of things that each take a byte at least.
    pub(crate) fn count(&mut self) -> Result<usize, Wrong> {
        let count = usize::try_from(self.number()?).map_err(|_| "a count is too large")?;
        match count > self.bytes.len() - self.at {
            true => Err("a count is too large"),
            false => Ok(count),
        }
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, Wrong> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'b [u8], Wrong> {
        let end = self.at.checked_add(count).ok_or("a length is too large")?;
        let taken = self.bytes.get(self.at..end).ok_or("it ends too early")?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Wrong> {
        let count = self.count()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, Wrong> {
        text(self.bytes()?)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "it ends too early")
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| "a text is no UTF-8")
}

/// Bytes behind their checksum.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut all = crc32c::crc32c(bytes).to_le_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}

/// What [`sealed`] was given.
pub(crate) fn unsealed(bytes: &[u8]) -> Result<&[u8], Wrong> {
    let (sum, bytes) = bytes.split_first_chunk::<4>().ok_or("it ends too early")?;
    match crc32c::crc32c(bytes) == u32::from_le_bytes(*sum) {
        true => Ok(bytes),
        false => Err("its checksum does not match"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_signed(&mut bytes, number as i64);
            let mut read = Bytes::new(&bytes);
            assert_eq!((read.number(), read.signed()), (Ok(number), Ok(number as i64)));
            assert!(read.is_empty());
        }
    }

    #[test]
    fn a_changed_bit_breaks_the_seal() {
        let mut bytes = sealed(b"abc");
        assert_eq!(unsealed(&bytes), Ok(&b"abc"[..]));
        bytes[5] ^= 1;
        assert!(unsealed(&bytes).is_err());
        assert!(unsealed(&[1, 2]).is_err() && Bytes::new(&[0x80; 12]).number().is_err());
    }
}
