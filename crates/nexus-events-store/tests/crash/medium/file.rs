//! A file as the operating system shows it, and what of it the disk has for sure.

use std::collections::BTreeMap;

use super::Loss;
use super::image::{BLOCK, Block, Image, SECTOR};
use crate::random::Random;

#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) seen: Image,
    durable: Image,
    /// What the blocks have been since the last sync, oldest first.
    unsynced: BTreeMap<usize, Vec<Block>>,
    /// Its lengths since the last sync.
    lengths: Vec<usize>,
}

impl File {
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        let before = self.seen.len();
        let changed = self.seen.write(offset, data);
        self.changed(changed, before);
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        let before = self.seen.len();
        let changed = self.seen.set_len(len);
        self.changed(changed, before);
    }

    fn changed(&mut self, blocks: std::ops::Range<usize>, len_before: usize) {
        for index in blocks {
            self.unsynced.entry(index).or_default().push(self.seen.block(index));
        }
        if self.seen.len() != len_before {
            self.lengths.push(self.seen.len());
        }
    }

    pub(crate) fn sync(&mut self) {
        self.durable = self.seen.clone();
        self.unsynced.clear();
        self.lengths.clear();
    }

    /// Fills with noise what was written since the last sync, but for the first block, as a disk
    /// may that loses its power while it writes.
    pub(super) fn scramble_unsynced(&mut self, random: &mut Random) {
        let len = self.seen.len();
        let blocks: Vec<usize> = self.unsynced.keys().copied().filter(|index| *index > 0).collect();
        for index in blocks.into_iter().filter(|index| (index + 1) * BLOCK <= len) {
            let noise: Vec<u8> = (0..BLOCK).map(|_| random.next() as u8).collect();
            self.write(index * BLOCK, &noise);
        }
    }

    /// What is left of it when the power goes.
    pub(crate) fn after_power_cut(&self, loss: Loss, random: &mut Random) -> Self {
        let mut image = self.durable.clone();
        let len = match loss.kept() {
            100 => self.seen.len(),
            kept if random.percent(kept) && !self.lengths.is_empty() => random.pick(&self.lengths),
            _ => image.len(),
        };
        let longest = self.unsynced.keys().next_back().map_or(0, |last| (last + 1) * BLOCK);
        image.set_len(image.len().max(longest).max(len));
        for (index, versions) in &self.unsynced {
            for sector in 0..BLOCK / SECTOR {
                if random.percent(loss.kept()) {
                    let newest = loss.kept() == 100 || random.percent(75);
                    let oldest = if newest { versions.len() - 1 } else { 0 };
                    let version = oldest + random.below(versions.len() - oldest);
                    image.put_sector(*index, sector, &versions[version]);
                }
            }
        }
        image.set_len(len);
        Self { seen: image.clone(), durable: image, ..Self::default() }
    }
}
