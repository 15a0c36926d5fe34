//! What time does to a file that nobody writes to.

use super::image::{BLOCK, Image, SECTOR};
use crate::random::Random;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    /// The number of a bit.
    Flipped(usize),
    /// Two blocks are where the other one was.
    Swapped(usize, usize),
    /// The number of a sector.
    Zeroed(usize),
    /// The file ends here.
    Cut(usize),
}

impl Damage {
    pub(crate) fn random(len: usize, random: &mut Random) -> Self {
        match random.below(20) {
            0 => Self::Swapped(random.below(len / BLOCK), random.below(len / BLOCK)),
            1 => Self::Zeroed(random.below(len / SECTOR)),
            2 => Self::Cut(random.below(len)),
            _ => Self::Flipped(random.below(8 * len)),
        }
    }

    pub(super) fn apply(self, image: &mut Image) {
        let read = |image: &Image, offset, len| {
            let mut bytes = vec![0; len];
            image.read(offset, &mut bytes).unwrap();
            bytes
        };
        match self {
            Self::Flipped(bit) => {
                let byte = read(image, bit / 8, 1)[0] ^ (1 << (bit % 8));
                image.write(bit / 8, &[byte]);
            }
            Self::Swapped(one, other) => {
                let (first, second) =
                    (read(image, one * BLOCK, BLOCK), read(image, other * BLOCK, BLOCK));
                image.write(one * BLOCK, &second);
                image.write(other * BLOCK, &first);
            }
            Self::Zeroed(sector) => drop(image.write(sector * SECTOR, &[0; SECTOR])),
            Self::Cut(len) => drop(image.set_len(len)),
        }
    }
}
