//! The values under one pattern: nearly always one, sometimes a hundred thousand.

use crate::sync::Arc;

/// Values that one change copies at most, beside one pointer for each such number of them.
const CHUNK: usize = 128;

/// A bag of values that is itself a value: a clone is one pointer, a change copies one chunk.
#[derive(Debug, Clone, Default)]
pub(super) enum Values<T> {
    #[default]
    None,
    /// Without an allocation.
    One(T),
    Many(Arc<Many<T>>),
}

#[derive(Debug, Clone)]
pub(super) struct Many<T> {
    /// Each of [`CHUNK`] values.
    full: Vec<Arc<[T]>>,
    last: Vec<T>,
}

impl<T> Values<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(many) => many.full.len() * CHUNK + many.last.len(),
        }
    }

    #[inline]
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        match self {
            Self::None => {}
            Self::One(value) => visit(value),
            Self::Many(many) => many.iter().for_each(visit),
        }
    }

    pub(super) fn find(&self, mut same: impl FnMut(&T) -> bool) -> Option<&T> {
        match self {
            Self::None => None,
            Self::One(value) => same(value).then_some(value),
            Self::Many(many) => many.iter().find(|value| same(value)),
        }
    }
}

impl<T> Many<T> {
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.full.iter().flat_map(|chunk| &**chunk).chain(&self.last)
    }
}

impl<T: Clone> Values<T> {
    pub(super) fn push(&mut self, value: T) {
        match std::mem::take(self) {
            Self::None => *self = Self::One(value),
            Self::One(first) => {
                *self = Self::Many(Arc::new(Many { full: Vec::new(), last: vec![first, value] }));
            }
            Self::Many(mut many) => {
                Arc::make_mut(&mut many).push(value);
                *self = Self::Many(many);
            }
        }
    }

    /// Removes one value for which `same` holds; says whether there was one.
    pub(super) fn remove(&mut self, mut same: impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::None => false,
            Self::One(value) => {
                let removed = same(value);
                if removed {
                    *self = Self::None;
                }
                removed
            }
            Self::Many(many) => {
                let Some(at) = many.iter().position(same) else { return false };
                Arc::make_mut(many).remove(at);
                if let ([], []) = (&*many.full, &*many.last) {
                    *self = Self::None;
                }
                true
            }
        }
    }
}

impl<T: Clone> Many<T> {
    fn push(&mut self, value: T) {
        self.last.push(value);
        if self.last.len() == CHUNK {
            self.full.push(std::mem::take(&mut self.last).into());
        }
    }

    /// The last value takes the place of the removed one, so that every chunk stays full.
    fn remove(&mut self, at: usize) {
        if self.last.is_empty()
            && let Some(chunk) = self.full.pop()
        {
            self.last = chunk.to_vec();
        }
        let chunks = self.full.len();
        if at / CHUNK >= chunks {
            self.last.swap_remove(at - chunks * CHUNK);
        } else if let Some(value) = self.last.pop() {
            Arc::make_mut(&mut self.full[at / CHUNK])[at % CHUNK] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_keeps_what_it_holds() {
        let mut values = Values::default();
        for number in 0..3 * CHUNK {
            values.push(number);
            assert_eq!(values.len(), number + 1);
        }
        let all = values.clone();
        for number in (0..3 * CHUNK).map(|number| number * 7 % (3 * CHUNK)) {
            assert!(values.find(|value| *value == number).is_some());
            assert!(values.remove(|value| *value == number));
            assert!(!values.remove(|value| *value == number));
        }
        assert!(values.is_empty());
        let mut sum = 0;
        all.each(&mut |number| sum += number);
        assert_eq!(sum, (0..3 * CHUNK).sum::<usize>());
    }
}
