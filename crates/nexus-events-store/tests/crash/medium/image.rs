//! What a file holds, in blocks that copies of it share.

use std::io;
use std::ops::Range;
use std::sync::Arc;

pub(crate) const BLOCK: usize = 4096;
pub(crate) const SECTOR: usize = 512;

/// `None` is all zero.
pub(crate) type Block = Option<Arc<[u8; BLOCK]>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    blocks: Vec<Block>,
    len: usize,
}

impl Image {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn block(&self, index: usize) -> Block {
        self.blocks.get(index).cloned().flatten()
    }

    /// Blocks that take room.
    pub(crate) fn blocks_taken(&self) -> usize {
        self.blocks.iter().flatten().count()
    }

    pub(crate) fn read(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        if offset + buffer.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (index, part, within) in parts(offset, buffer.len()) {
            match &self.blocks[index] {
                Some(block) => buffer[part].copy_from_slice(&block[within]),
                None => buffer[part].fill(0),
            }
        }
        Ok(())
    }

    /// Gives the blocks that have changed.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) -> Range<usize> {
        let end = offset + data.len();
        if end > self.len {
            self.set_len(end);
        }
        for (index, part, within) in parts(offset, data.len()) {
            self.block_mut(index)[within].copy_from_slice(&data[part]);
        }
        offset / BLOCK..end.div_ceil(BLOCK)
    }

    /// Gives the blocks that have changed.
    pub(crate) fn set_len(&mut self, len: usize) -> Range<usize> {
        let before = self.blocks.len();
        self.blocks.resize(len.div_ceil(BLOCK), None);
        let is_cut = len < self.len;
        self.len = len;
        if is_cut && !len.is_multiple_of(BLOCK) {
            self.block_mut(len / BLOCK)[len % BLOCK..].fill(0);
        }
        if is_cut { len / BLOCK..before } else { 0..0 }
    }

    /// Puts one sector of another block here; the file is long enough.
    pub(crate) fn put_sector(&mut self, index: usize, sector: usize, from: &Block) {
        let within = sector * SECTOR..(sector + 1) * SECTOR;
        match from {
            Some(from) => self.block_mut(index)[within.clone()].copy_from_slice(&from[within]),
            None => self.block_mut(index)[within].fill(0),
        }
    }

    fn block_mut(&mut self, index: usize) -> &mut [u8; BLOCK] {
        Arc::make_mut(self.blocks[index].get_or_insert_with(|| Arc::new([0; BLOCK])))
    }
}

/// Each block, the part of the data that is in it, and where in it.
fn parts(offset: usize, len: usize) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
    let end = offset + len;
    (offset / BLOCK..end.div_ceil(BLOCK)).map(move |index| {
        let (from, to) = (offset.max(index * BLOCK), end.min((index + 1) * BLOCK));
        (index, from - offset..to - offset, from - index * BLOCK..to - index * BLOCK)
    })
}
