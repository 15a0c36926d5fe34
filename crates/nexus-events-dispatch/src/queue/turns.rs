//! Whose turn it is among four priorities.

use crate::limits::{QUEUE_AGEING_STEP, QUEUE_TURNS};
use crate::queue::{Age, CLASSES};
use crate::sync::Instant;

/// A round gives each class its turns, the highest first. A turn goes to an item of that class or
/// to an older one of a lower class that counts as that high by now; when both are there,
/// alternately, so that neither a crowd of new items nor one of old ones shuts the other out.
///
/// The turns of its own class stay open to an item that counts higher: as each class has twice the
/// turns of the one below, age never costs it anything.
pub(super) struct Turns {
    left: [u8; CLASSES],
    /// Whether the class owes its next turn to an aged item.
    owed: [bool; CLASSES],
}

impl Turns {
    pub(super) const NEW: Self = Self { left: QUEUE_TURNS, owed: [false; CLASSES] };

    /// The class whose front runs next; there must be one.
    pub(super) fn next(&mut self, fronts: &[Option<Age>; CLASSES], now: Instant) -> usize {
        loop {
            for class in (0..CLASSES).rev() {
                if self.left[class] > 0
                    && let Some(chosen) = self.choose(class, fronts, now)
                {
                    self.left[class] -= 1;
                    return chosen;
                }
            }
            self.left = QUEUE_TURNS;
        }
    }

    fn choose(
        &mut self,
        class: usize,
        fronts: &[Option<Age>; CLASSES],
        now: Instant,
    ) -> Option<usize> {
        let aged = (0..class)
            .filter_map(|lower| Some((lower, fronts[lower]?)))
            .filter(|(lower, front)| counts_as(*lower, *front, now) == class)
            .min_by_key(|(_, front)| front.number)
            .map(|(lower, _)| lower);
        let own = fronts[class].map(|_| class);
        if own.is_none() || aged.is_none() {
            return own.or(aged);
        }
        self.owed[class] = !self.owed[class];
        if self.owed[class] { own } else { aged }
    }
}

/// The class an item counts as at its age.
fn counts_as(class: usize, age: Age, now: Instant) -> usize {
    let waited = now.saturating_duration_since(age.since);
    let above = CLASSES - 1 - class;
    class + (1..=above).take_while(|steps| waited >= QUEUE_AGEING_STEP * *steps as u32).count()
}
